"""Which tasks can be run: those of this process, with their signatures, and those that workers tell."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flower.api.actions.models import RegisteredTask, RegisteredTasks, TaskParameter
from flower.cluster.registered import is_abortable, local_tasks, worker_task_names

if TYPE_CHECKING:
    from celery import Celery

#: Of a docstring, as much is told.
_MAX_DOC_LENGTH = 500


async def registered_tasks(app: "Celery") -> RegisteredTasks:
    """All of them, by name; those of Celery itself (`celery.*`) are left out."""
    known, here = await worker_task_names(app), await local_tasks(app)
    names = sorted({*here, *(name for names in known.values() for name in names)})
    tasks = (_describe_task(app, name, here.get(name), known) for name in names if not name.startswith("celery."))
    return RegisteredTasks(tuple(tasks), tuple(sorted(known)))


def _describe_task(app: "Celery", name: str, task: Any, known: Mapping[str, tuple[str, ...]]) -> RegisteredTask:
    workers = tuple(sorted(worker for worker, names in known.items() if name in names))
    if task is None:
        return RegisteredTask(name=name, local=False, workers=workers)
    signature = _get_signature(task)
    doc = inspect.cleandoc(task.run.__doc__)[:_MAX_DOC_LENGTH] if isinstance(task.run.__doc__, str) else None
    return RegisteredTask(
        name=name,
        local=True,
        workers=workers,
        signature=None if signature is None else str(signature),
        parameters=None if signature is None else tuple(map(_describe_parameter, signature.parameters.values())),
        abortable=is_abortable(app, name),
        doc=doc,
    )


def _get_signature(task: Any) -> inspect.Signature | None:
    """What may be given: without `self` of a bound task. None if Python cannot tell."""
    try:
        return inspect.signature(task.run)
    except (TypeError, ValueError):
        return None


def _describe_parameter(parameter: inspect.Parameter) -> TaskParameter:
    variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    empty = inspect.Parameter.empty
    return TaskParameter(
        name=parameter.name,
        kind=parameter.kind.name.lower(),
        required=parameter.default is empty and not variadic,
        default=None if parameter.default is empty else repr(parameter.default),
        annotation=None if parameter.annotation is empty else inspect.formatannotation(parameter.annotation),
    )
