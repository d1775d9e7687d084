"""The task to re-run: its arguments, routing and headers. Sources are the result backend, then the worker that has the
task, then the text of its events. Arguments are complete or unknown; they are never guessed."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from flower import cluster
from flower.api.actions.models import ActionContext
from flower.api.actions.workflow_membership import find_workflow_root
from flower.api.thread_pool import run_in_thread
from flower.api.worker_states import find_live_workers
from flower.errors import InvalidRequest, NoSuchTask, TruncatedArguments
from flower.records import FINAL_STATES, Task
from flower.search.python_literal import MAX_LITERAL_LENGTH, parse_literal_strict

if TYPE_CHECKING:
    from flower.cluster.task_metadata import TaskMetadata

ArgumentKind: TypeAlias = Literal["args", "kwargs"]

#: Characters of unusable text in an error message.
MAX_DISPLAY_LENGTH: Final = 2_000

_DESCRIPTIONS: Final = {"args": "positional arguments", "kwargs": "keyword arguments"}

_HINT: Final = (
    "pass `{part}` explicitly; with result_extended in the application's configuration, the result backend stores "
    "complete arguments"
)

#: An object without a literal: `<Order 17>`, `<function f at 0x7f…>`, `Order(id=17)`, `datetime.date(2026, 1, 2)`.
_OBJECT_REPR = re.compile(r"<[^<>]*>|\b[A-Za-z_][\w.]*\(")

#: Masks that replaced a secret when the task was sent or recorded: a re-run with them would use a wrong value. Stars
#: may be part of a text (a URL without its password).
_STARS = re.compile(r"\*{3,}")
_MASK = re.compile(
    r"[\[<({]{1,2}[^\[\]<>(){}]*\b(?:redacted|filtered|masked|hidden|removed)\b.*|redacted|filtered", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ArgumentSource:
    """`source`: where the arguments come from. `value` is None if `problem` is set: they are not completely known."""

    source: str
    value: Any = None
    problem: TruncatedArguments | None = None


@dataclass(frozen=True, slots=True)
class RerunSource:
    uuid: str
    name: str
    args: ArgumentSource
    kwargs: ArgumentSource
    #: the known ones of `queue`, `exchange`, `routing_key`, `priority`
    delivery: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    #: id of the root of the workflow that the task belongs to
    workflow: str | None = None

    @property
    def unknown_options(self) -> tuple[str, ...]:
        return tuple(name for name in ("queue", "priority") if name not in self.delivery)


async def load_rerun_source(ctx: ActionContext, uuid: str) -> RerunSource:
    """Raises NoSuchTask if the task is unknown to the records and to Celery, InvalidRequest if its name is unknown,
    BackendUnavailable."""
    record = await run_in_thread(lambda: ctx.store.task(uuid))
    metadata = [
        each
        for each in (
            await cluster.task_metadata.metadata_from_backend(ctx.app, uuid),
            await _read_worker_metadata(ctx, record),
        )
        if each
    ]
    if record is None and not metadata:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint="neither the records nor the result backend contains it")
    name = (record.name if record else None) or next((each.name for each in metadata if each.name), None)
    if name is None:
        raise InvalidRequest(f"The name of task '{uuid}' is unknown", hint="no event contains it; run the task by name")
    return RerunSource(
        uuid=uuid,
        name=name,
        args=_find_arguments("args", uuid, record, metadata),
        kwargs=_find_arguments("kwargs", uuid, record, metadata),
        delivery=await run_in_thread(lambda: _find_delivery_options(ctx, uuid, record, metadata)),
        headers=next((each.headers for each in metadata if each.headers), {}),
        workflow=None if record is None else await run_in_thread(lambda: find_workflow_root(ctx.store, record)),
    )


def parse_arguments(part: ArgumentKind, text: str | None, uuid: str) -> list[Any] | dict[str, Any]:
    """The arguments from the text of an event. Raises TruncatedArguments, with the text and the reason."""
    if text is None:
        raise _truncated_error(part, None, uuid, "no event contains them")
    if part == "args" and text in ("()", "[]", ""):
        return []
    if part == "kwargs" and text in ("{}", ""):
        return {}
    try:
        value = parse_literal_strict(text)
    except ValueError:
        raise _truncated_error(part, text, uuid, _find_defect(text)) from None
    if any(_STARS.search(leaf) or _MASK.fullmatch(leaf) for leaf in _iter_texts(value)):
        raise _truncated_error(part, text, uuid, "a value was masked when the task was sent or recorded")
    if part == "args" and isinstance(value, list | tuple):
        return list(value)
    if part == "kwargs" and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    raise _truncated_error(part, text, uuid, f"the text is not {'a tuple' if part == 'args' else 'a dict'}")


def _find_defect(text: str) -> str:
    if len(text) > MAX_LITERAL_LENGTH:
        return "the text is too long"
    if "..." in text or "…" in text:
        return "the text was truncated"
    if _OBJECT_REPR.search(text):
        return "the text contains objects that only the sender can create"
    return "the text does not determine the values"


def _truncated_error(part: ArgumentKind, text: str | None, uuid: str, reason: str) -> TruncatedArguments:
    shown = "" if text is None else f": {text[:MAX_DISPLAY_LENGTH]}{'…' if len(text) > MAX_DISPLAY_LENGTH else ''}"
    message = f"The {_DESCRIPTIONS[part]} of task '{uuid}' are incomplete ({reason}){shown}"
    return TruncatedArguments(message, part, text, reason, hint=_HINT.format(part=part))


def _iter_texts(value: Any) -> Iterator[str]:
    """All texts at any depth, except keys."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list | tuple | set):
            stack.extend(item)


async def _read_worker_metadata(ctx: ActionContext, record: Task | None) -> "TaskMetadata | None":
    """Only a worker that is online and has the unfinished task is queried: any other request waits a second for its
    timeout."""
    if record is None or record.hostname is None or record.state in FINAL_STATES:
        return None
    hostname = record.hostname
    if hostname not in await run_in_thread(lambda: find_live_workers(ctx.store, time.time())):
        return None
    return await cluster.task_metadata.metadata_from_worker(ctx.app, record.uuid, hostname)


def _find_arguments(
    part: ArgumentKind, uuid: str, record: Task | None, metadata: "Sequence[TaskMetadata]"
) -> ArgumentSource:
    for each in metadata:
        value = getattr(each, part)
        if value is not None:
            return ArgumentSource(each.source, value)
    try:
        return ArgumentSource("event", parse_arguments(part, getattr(record, part, None), uuid))
    except TruncatedArguments as problem:
        return ArgumentSource("event", problem=problem)


def _find_delivery_options(
    ctx: ActionContext, uuid: str, record: Task | None, metadata: "Sequence[TaskMetadata]"
) -> dict[str, Any]:
    route = _find_route(ctx, record, metadata)
    link = ctx.ledger.reruns.find_origin(uuid) if ctx.ledger else None
    priorities = [*(each.priority for each in metadata), record.priority if record else None]
    priorities.append(link.priority if link else None)
    priority = next((number for number in priorities if number is not None), None)
    return route if priority is None else {**route, "priority": priority}


def _find_route(ctx: ActionContext, record: Task | None, metadata: "Sequence[TaskMetadata]") -> dict[str, Any]:
    """Queue, exchange and routing key, as far as they are known. A queue of the default exchange is sufficient
    alone."""
    if record is not None and record.queue:
        if not record.exchange or not record.routing_key:
            return {"queue": record.queue}
        return {"queue": record.queue, "exchange": record.exchange, "routing_key": record.routing_key}
    for each in metadata:
        if each.routing_key is None:
            continue
        if each.exchange == "":
            return {"queue": each.routing_key}
        queue = cluster.task_metadata.queue_for_routing_key(ctx.app, each.routing_key)
        if each.exchange:
            route = {"exchange": each.exchange, "routing_key": each.routing_key}
            return route if queue is None else {"queue": queue, **route}
        if queue is not None:
            return {"queue": queue}
    return {}
