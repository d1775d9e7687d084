"""The task after all events of a run that succeeds, constructed at once: it takes a third of the time of folding the
events one by one, and most tasks are such runs.

The result is equal to that of `fold_next_step` for each event, which is the definition of the rules.
"""

from collections.abc import Sequence
from typing import Final

from flower.records import SUCCESS, Event, Task

#: Types of the events of these runs; `task-sent` may be missing.
RUN_TYPES: Final = ("task-sent", "task-received", "task-started", "task-succeeded")


def fold_successful_run(events: Sequence[Event]) -> Task | None:
    """The task after these events, its first ones, whose types must be RUN_TYPES, with or without `task-sent`. None if
    one of them is unusual: then they are folded one by one."""
    received, started, succeeded = events[-3:]
    sent = events[0] if len(events) == len(RUN_TYPES) else None
    hostname, pid = received.hostname, received.pid
    if (
        hostname is None
        or not hostname == started.hostname == succeeded.hostname
        or not pid == started.pid == succeeded.pid
        or not received.timestamp <= started.timestamp <= succeeded.timestamp
        or started.name is not None
        or succeeded.name is not None
        or received.runtime is not None
        or started.runtime is not None
        or received.data
        or started.data
        or succeeded.data
    ):
        return None
    uuid, parent_id, clock = received.uuid or "", received.parent_id, succeeded.clock
    if clock is None:
        clock = next((each.clock for each in reversed(events) if each.clock is not None), None)
    if sent is None:
        return Task(
            uuid,
            received.name,
            SUCCESS,
            hostname,
            pid,
            succeeded.timestamp,
            clock,
            received=received.timestamp,
            started=started.timestamp,
            succeeded=succeeded.timestamp,
            runtime=succeeded.runtime,
            args=received.args,
            kwargs=received.kwargs,
            result=succeeded.result,
            root_id=received.root_id,
            parent_id=None if parent_id == uuid else parent_id,
            retries=received.retries,
            eta=received.eta,
            expires=received.expires,
        )
    name = received.name or sent.name
    if (
        sent.timestamp > received.timestamp
        or sent.name != name
        or sent.retries
        or sent.runtime is not None
        or sent.data
    ):
        return None
    if parent_id is None or parent_id == uuid:
        parent_id = None if sent.parent_id == uuid else sent.parent_id
    return Task(
        uuid,
        name,
        SUCCESS,
        hostname,
        pid,
        succeeded.timestamp,
        clock,
        sent=sent.timestamp,
        client=sent.hostname,
        received=received.timestamp,
        started=started.timestamp,
        succeeded=succeeded.timestamp,
        runtime=succeeded.runtime,
        args=sent.args if received.args is None else received.args,
        kwargs=sent.kwargs if received.kwargs is None else received.kwargs,
        result=succeeded.result,
        root_id=sent.root_id if received.root_id is None else received.root_id,
        parent_id=parent_id,
        retries=sent.retries if received.retries is None else received.retries,
        eta=sent.eta if received.eta is None else received.eta,
        expires=sent.expires if received.expires is None else received.expires,
        queue=sent.queue,
        exchange=sent.exchange,
        routing_key=sent.routing_key,
    )
