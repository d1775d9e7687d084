"""Registered tasks: those of this process, with their signatures, and those of the workers."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flower import cluster
from flower.api.actions.models import RegisteredTask, RegisteredTasks, TaskParameter

if TYPE_CHECKING:
    from celery import Celery

#: Characters of a docstring in the result.
_MAX_DOC_LENGTH: Final = 500


async def registered_tasks(app: "Celery") -> RegisteredTasks:
    """All registered tasks by name, except those of Celery itself (`celery.*`)."""
    names_by_worker = await cluster.task_registry.worker_task_names(app)
    local_tasks = await cluster.task_registry.local_tasks(app)
    names = sorted({*local_tasks, *(name for names in names_by_worker.values() for name in names)})
    tasks = (
        _describe_task(app, name, local_tasks.get(name), names_by_worker)
        for name in names
        if not name.startswith("celery.")
    )
    return RegisteredTasks(tuple(tasks), tuple(sorted(names_by_worker)))


def _describe_task(
    app: "Celery", name: str, task: Any, names_by_worker: Mapping[str, tuple[str, ...]]
) -> RegisteredTask:
    """`task` is None if it is not registered in this process."""
    workers = tuple(sorted(worker for worker, names in names_by_worker.items() if name in names))
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
        abortable=cluster.task_registry.is_abortable(app, name),
        doc=doc,
    )


def _get_signature(task: Any) -> inspect.Signature | None:
    """The arguments that a caller passes, without `self` of a bound task. None if Python cannot determine them."""
    try:
        return inspect.signature(task.run)
    except (TypeError, ValueError):
        return None


def _describe_parameter(parameter: inspect.Parameter) -> TaskParameter:
    is_variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    empty = inspect.Parameter.empty
    return TaskParameter(
        name=parameter.name,
        kind=parameter.kind.name.lower(),
        required=parameter.default is empty and not is_variadic,
        default=None if parameter.default is empty else repr(parameter.default),
        annotation=None if parameter.annotation is empty else inspect.formatannotation(parameter.annotation),
    )
