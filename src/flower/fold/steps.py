"""The ordinary steps of a task, written out by type of event: a call of `replace` with named fields takes half the time
of one with a dict, and nearly all events are ordinary.

Each function has the rules of `transitions` for an event that belongs to the current attempt and is newer than it; the
attempt has no worker yet, or that of the event.
"""

from collections.abc import Callable

from msgspec.structs import replace

from flower.records import FAILURE, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, STARTED, SUCCESS, Event, Task


def create_from_sent(event: Event) -> Task:
    """The task whose first event is this `task-sent`."""
    uuid, parent_id = event.uuid or "", event.parent_id
    return Task(
        uuid,
        name=event.name,
        state=PENDING,
        timestamp=event.timestamp,
        clock=event.clock,
        sent=event.timestamp,
        client=event.hostname,
        args=event.args,
        kwargs=event.kwargs,
        root_id=event.root_id,
        parent_id=None if parent_id == uuid else parent_id,
        retries=event.retries,
        eta=event.eta,
        expires=event.expires,
        queue=event.queue,
        exchange=event.exchange,
        routing_key=event.routing_key,
    )


def create_from_received(event: Event) -> Task:
    """The task whose first event is this `task-received`."""
    uuid, parent_id = event.uuid or "", event.parent_id
    return Task(
        uuid,
        name=event.name,
        state=RECEIVED,
        hostname=event.hostname,
        pid=event.pid,
        timestamp=event.timestamp,
        clock=event.clock,
        received=event.timestamp,
        args=event.args,
        kwargs=event.kwargs,
        root_id=event.root_id,
        parent_id=None if parent_id == uuid else parent_id,
        retries=event.retries,
        eta=event.eta,
        expires=event.expires,
    )


def receive(task: Task, event: Event, timestamp: float, clock: int | None) -> Task:
    parent_id = event.parent_id
    return replace(
        task,
        state=RECEIVED,
        received=event.timestamp,
        hostname=event.hostname,
        pid=event.pid,
        name=task.name if event.name is None else event.name,
        args=task.args if event.args is None else event.args,
        kwargs=task.kwargs if event.kwargs is None else event.kwargs,
        root_id=task.root_id if event.root_id is None else event.root_id,
        parent_id=task.parent_id if parent_id is None or parent_id == event.uuid else parent_id,
        retries=task.retries if event.retries is None else event.retries,
        eta=task.eta if event.eta is None else event.eta,
        expires=task.expires if event.expires is None else event.expires,
        timestamp=timestamp,
        clock=clock,
    )


def start(task: Task, event: Event, timestamp: float, clock: int | None) -> Task:
    return replace(
        task,
        state=STARTED,
        started=event.timestamp,
        hostname=event.hostname,
        pid=event.pid,
        timestamp=timestamp,
        clock=clock,
    )


def succeed(task: Task, event: Event, timestamp: float, clock: int | None) -> Task:
    return replace(
        task,
        state=SUCCESS,
        succeeded=event.timestamp,
        result=task.result if event.result is None else event.result,
        runtime=event.runtime,
        hostname=event.hostname,
        pid=event.pid,
        timestamp=timestamp,
        clock=clock,
    )


def fail(task: Task, event: Event, timestamp: float, clock: int | None) -> Task:
    return replace(
        task,
        state=FAILURE,
        failed=event.timestamp,
        exception=event.exception,
        traceback=event.traceback,
        runtime=None if task.started is None else event.timestamp - task.started,
        hostname=event.hostname,
        pid=event.pid,
        timestamp=timestamp,
        clock=clock,
    )


def retry(task: Task, event: Event, timestamp: float, clock: int | None) -> Task:
    return replace(
        task,
        state=RETRY,
        retried=event.timestamp,
        exception=event.exception,
        traceback=event.traceback,
        hostname=event.hostname,
        pid=event.pid,
        timestamp=timestamp,
        clock=clock,
    )


def revoke(task: Task, event: Event, timestamp: float, clock: int | None) -> Task:
    return replace(
        task,
        state=REVOKED,
        revoked=event.timestamp,
        runtime=None if task.started is None else event.timestamp - task.started,
        hostname=event.hostname,
        pid=event.pid,
        timestamp=timestamp,
        clock=clock,
    )


def reject(task: Task, event: Event, timestamp: float, clock: int | None) -> Task:
    return replace(
        task,
        state=REJECTED,
        rejected=event.timestamp,
        hostname=event.hostname,
        pid=event.pid,
        timestamp=timestamp,
        clock=clock,
    )


#: By type of event.
STEPS: dict[str, Callable[[Task, Event, float, int | None], Task]] = {
    "task-received": receive,
    "task-started": start,
    "task-succeeded": succeed,
    "task-failed": fail,
    "task-retried": retry,
    "task-cancelled": retry,
    "task-revoked": revoke,
    "task-rejected": reject,
}
