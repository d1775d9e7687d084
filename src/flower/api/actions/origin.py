"""What is known of a task that is to run again: with what, and where it was sent. The result backend is asked first,
then the worker that has it, then the text of its events."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flower.api.actions.arguments import ArgumentKind, parse_arguments
from flower.api.actions.means import ActionContext
from flower.api.reading import run_in_thread
from flower.cluster import origins
from flower.cluster.origins import TaskMetadata
from flower.errors import InvalidRequest, NoSuchTask, TruncatedArguments
from flower.records import FINAL_STATES, Task


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
        for place in (await origins.metadata_from_backend(means.app, uuid), await _read_worker_metadata(means, record))
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
    return await origins.metadata_from_worker(means.app, record.uuid, hostname)


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
            queue = origins.queue_for_routing_key(means.app, place.routing_key)
            way = {"exchange": place.exchange, "routing_key": place.routing_key}
            return way if queue is None else {"queue": queue, **way}
        queue = origins.queue_for_routing_key(means.app, place.routing_key)
        if queue is not None:
            return {"queue": queue}
    return {}
