"""The arguments of a task, out of the text of its events: all of them, or nothing. Never guessed.

What is known of a task that is to run again: with what, and where it was sent. The result backend is asked first,
then the worker that has it, then the text of its events."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from flower.api.actions.models import ActionContext
from flower.api.thread_pool import run_in_thread
from flower.cluster import task_metadata
from flower.cluster.task_metadata import TaskMetadata
from flower.errors import InvalidRequest, NoSuchTask, TruncatedArguments
from flower.records import FINAL_STATES, Task
from flower.search.python_literal import MAX_LITERAL_LENGTH, parse_literal_strict

ArgumentKind: TypeAlias = Literal["args", "kwargs"]

#: Of a text that cannot be used, as much is told.
MAX_DISPLAY_LENGTH = 2_000

_DESCRIPTIONS = {"args": "positional arguments", "kwargs": "keyword arguments"}

_HINT = "give `{part}` yourself; with result_extended in the application's configuration they are kept whole"

#: An object that has no literal: `<Order 17>`, `<function f at 0x7f…>`, `Order(id=17)`, `datetime.date(2026, 1, 2)`.
_OBJECT_REPR = re.compile(r"<[^<>]*>|\b[A-Za-z_][\w.]*\(")

#: What was put in place of a secret, by the sender or when it was recorded: sending that would run the task with a
#: wrong value. Stars may stand within a text (an address without its password).
_STARS = re.compile(r"\*{3,}")

_MASK = re.compile(
    r"[\[<({]{1,2}[^\[\]<>(){}]*\b(?:redacted|filtered|masked|hidden|removed)\b.*|redacted|filtered", re.IGNORECASE
)


def parse_arguments(part: ArgumentKind, text: str | None, uuid: str) -> list[Any] | dict[str, Any]:
    """Raises NotWhole, with the text and what is wrong with it."""
    if text is None:
        raise _truncated_error(part, None, uuid, "no event told them")
    if part == "args" and text in ("()", "[]", ""):
        return []
    if part == "kwargs" and text in ("{}", ""):
        return {}
    try:
        value = parse_literal_strict(text)
    except ValueError:
        raise _truncated_error(part, text, uuid, _find_defect(text)) from None
    if any(_STARS.search(leaf) or _MASK.fullmatch(leaf) for leaf in _iter_texts(value)):
        raise _truncated_error(part, text, uuid, "a value in it was replaced by a mask when it was sent or recorded")
    if part == "args" and isinstance(value, list | tuple):
        return list(value)
    if part == "kwargs" and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    raise _truncated_error(part, text, uuid, f"the text is not {'a tuple' if part == 'args' else 'a dict'}")


def _find_defect(text: str) -> str:
    if len(text) > MAX_LITERAL_LENGTH:
        return "the text is too long to be read"
    if "..." in text or "…" in text:
        return "the text was cut"
    if _OBJECT_REPR.search(text):
        return "there are objects in it that only the sender could make"
    return "the text leaves in doubt what was sent"


def _truncated_error(part: ArgumentKind, text: str | None, uuid: str, reason: str) -> TruncatedArguments:
    told = "" if text is None else f": {text[:MAX_DISPLAY_LENGTH]}{'…' if len(text) > MAX_DISPLAY_LENGTH else ''}"
    message = f"The {_DESCRIPTIONS[part]} of task '{uuid}' are not known in full, {reason}{told}"
    return TruncatedArguments(message, part, text, reason, hint=_HINT.format(part=part))


def _iter_texts(value: Any) -> Iterator[str]:
    """All texts at any depth, keys left out."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set):
            waiting.extend(item)


@dataclass(frozen=True, slots=True)
class ArgumentSource:
    """`value` is None where `problem` says why it cannot be told."""

    source: str
    value: Any = None
    problem: TruncatedArguments | None = None


@dataclass(frozen=True, slots=True)
class RerunSource:
    uuid: str
    name: str
    args: ArgumentSource
    kwargs: ArgumentSource
    #: `queue`, `exchange`, `routing_key`, `priority`: those that are known
    delivery: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unknown_options(self) -> tuple[str, ...]:
        return tuple(name for name in ("queue", "priority") if name not in self.delivery)


async def load_rerun_source(means: ActionContext, uuid: str) -> RerunSource:
    """Raises NoSuchTask if neither the records nor Celery know the task, Invalid if nobody knows its name,
    Unavailable."""
    record = await run_in_thread(lambda: means.store.task(uuid))
    kept = [
        place
        for place in (
            await task_metadata.metadata_from_backend(means.app, uuid),
            await _read_worker_metadata(means, record),
        )
        if place
    ]
    if record is None and not kept:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint="neither the records nor the result backend know it")
    name = (record.name if record else None) or next((place.name for place in kept if place.name), None)
    if name is None:
        raise InvalidRequest(f"The name of task '{uuid}' is not known", hint="no event told it; run it by name instead")
    headers = next((place.headers for place in kept if place.headers), {})
    return RerunSource(
        uuid=uuid,
        name=name,
        args=_find_arguments("args", uuid, record, kept),
        kwargs=_find_arguments("kwargs", uuid, record, kept),
        delivery=await run_in_thread(lambda: _find_delivery_options(means, uuid, record, kept)),
        headers=headers,
    )


async def _read_worker_metadata(means: ActionContext, record: Task | None) -> TaskMetadata | None:
    """Only a task that has not ended is at a worker, and only a worker that lives is asked: others take a second."""
    if record is None or record.hostname is None or record.state in FINAL_STATES:
        return None
    hostname = record.hostname
    worker = (await run_in_thread(means.store.workers)).get(hostname)
    if worker is None or not worker.is_alive(time.time()):
        return None
    return await task_metadata.metadata_from_worker(means.app, record.uuid, hostname)


def _find_arguments(part: ArgumentKind, uuid: str, record: Task | None, kept: list[TaskMetadata]) -> ArgumentSource:
    for place in kept:
        value = getattr(place, part)
        if value is not None:
            return ArgumentSource(place.source, value)
    try:
        return ArgumentSource("event", parse_arguments(part, getattr(record, part, None), uuid))
    except TruncatedArguments as problem:
        return ArgumentSource("event", problem=problem)


def _find_delivery_options(
    means: ActionContext, uuid: str, record: Task | None, kept: list[TaskMetadata]
) -> dict[str, Any]:
    found = _find_route(means, record, kept)
    noted = means.ledger.reruns.find_origin(uuid) if means.ledger else None
    priorities = [place.priority for place in kept] + [record.priority if record else None]
    priorities.append(noted.priority if noted else None)
    priority = next((number for number in priorities if number is not None), None)
    return found if priority is None else {**found, "priority": priority}


def _find_route(means: ActionContext, record: Task | None, kept: list[TaskMetadata]) -> dict[str, Any]:
    """Where it was sent. Beside a queue of the default exchange nothing else is needed."""
    if record is not None and record.queue:
        if not record.exchange or not record.routing_key:
            return {"queue": record.queue}
        return {"queue": record.queue, "exchange": record.exchange, "routing_key": record.routing_key}
    for place in kept:
        if place.routing_key is None:
            continue
        if place.exchange == "":
            return {"queue": place.routing_key}
        if place.exchange:
            queue = task_metadata.queue_for_routing_key(means.app, place.routing_key)
            way = {"exchange": place.exchange, "routing_key": place.routing_key}
            return way if queue is None else {"queue": queue, **way}
        queue = task_metadata.queue_for_routing_key(means.app, place.routing_key)
        if queue is not None:
            return {"queue": queue}
    return {}
