"""Domain records: events, tasks, attempts, workers and gaps. Frozen; this module imports no other module of the
project.

Times are epoch seconds by the clock of the sender of the event; durations are seconds. Every field except the identity
may be None, because events can be lost, duplicated or late. `args`, `kwargs`, `result`, `exception` and `traceback` are
the text of the event; they are never serialised again.
"""

from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"
REJECTED = "REJECTED"
STARTED = "STARTED"
RECEIVED = "RECEIVED"
RETRY = "RETRY"
PENDING = "PENDING"

#: Final states. A task in any other state can still change.
FINAL_STATES = frozenset({SUCCESS, FAILURE, REVOKED, REJECTED})

#: States of a task that has not finished and that no worker is running.
WAITING_STATES = frozenset({PENDING, RECEIVED, RETRY})

#: The documented list (`flower.utils.tasks.TASK_STATES`). A task can also have the state RECEIVED, REJECTED or that of
#: a custom event (`task-progress` → PROGRESS).
TASK_STATES = [PENDING, STARTED, SUCCESS, FAILURE, RETRY, REVOKED]


# Types of event fields. msgspec checks the bounds while it decodes, at no extra cost. A number that does not fit into a
# database column or a `datetime` is invalid.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Timestamp = Annotated[float, Meta(ge=0, le=253402300799)]  # 1970 to 9999
TaskId = Annotated[str, Meta(min_length=1, max_length=512)]
EventType = Annotated[str, Meta(min_length=1, max_length=256)]


class Event(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A message of the `celeryev` exchange, validated: all fields have the right type, and `timestamp` is present.

    Fields that Celery does not define are in `data`. Task events have a `uuid`; worker events have a `hostname` and no
    `uuid`. `hostname` is the sender: for `task-sent` that is the producer, not a worker.
    """

    type: EventType
    timestamp: Timestamp
    uuid: TaskId | None = None
    hostname: str | None = None
    clock: Integer | None = None
    pid: Integer | None = None
    utcoffset: float | None = None
    # task-sent, task-received
    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    retries: Integer | None = None
    eta: str | None = None
    expires: str | None = None
    # task-sent only
    queue: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    # the outcome
    runtime: float | None = None
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None
    terminated: bool | None = None
    signum: Integer | str | None = None
    expired: bool | None = None
    requeue: bool | None = None
    # worker-online, worker-heartbeat, worker-offline
    freq: float | None = None
    active: Integer | None = None
    processed: Integer | None = None
    loadavg: tuple[float, ...] | None = None
    sw_ident: str | None = None
    sw_ver: str | None = None
    sw_sys: str | None = None
    #: all other fields of the event, by name
    data: dict[str, Any] | None = None


class Attempt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One attempt to run a task. `state` is its outcome (RETRY if another attempt follows), None while it is not
    finished."""

    number: int
    hostname: str | None = None
    pid: int | None = None
    received: float | None = None
    started: float | None = None
    ended: float | None = None
    state: str | None = None
    runtime: float | None = None
    exception: str | None = None
    traceback: str | None = None


class Task(msgspec.Struct, frozen=True, gc=False):
    """A task, as known from its events.

    The times `sent` to `rejected` are those of the last event of that type; `timestamp` is the time of the newest
    event. `hostname` is the worker's node name. The fields describe the current (or last) attempt; earlier attempts are
    in `earlier`. `data` holds the fields of custom events and unknown fields: event type → field → last value.
    """

    uuid: str
    name: str | None = None
    state: str = PENDING
    hostname: str | None = None
    pid: int | None = None
    timestamp: float | None = None
    clock: int | None = None
    sent: float | None = None
    received: float | None = None
    started: float | None = None
    succeeded: float | None = None
    failed: float | None = None
    retried: float | None = None
    revoked: float | None = None
    rejected: float | None = None
    runtime: float | None = None
    retries: int | None = None
    eta: str | None = None
    expires: str | None = None
    queue: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    priority: int | None = None
    client: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    args: str | None = None
    kwargs: str | None = None
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None
    earlier: tuple[Attempt, ...] = ()
    data: dict[str, dict[str, Any]] | None = None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts, oldest first. The last one is built from the fields of the task."""
        ended = _END_TIME_FIELD.get(self.state)
        current = Attempt(
            number=len(self.earlier),
            hostname=self.hostname,
            pid=self.pid,
            received=self.received,
            started=self.started,
            ended=getattr(self, ended) if ended else None,
            state=self.state if ended else None,
            runtime=self.runtime,
            exception=self.exception,
            traceback=self.traceback,
        )
        return (*self.earlier, current)

    @property
    def text_length(self) -> int:
        """Characters of the arguments, the result, the exception and the traceback together."""
        texts = (self.args, self.kwargs, self.result, self.exception, self.traceback)
        return sum(len(text) for text in texts if text is not None)

    @property
    def wait(self) -> float | None:
        """Seconds from `sent` (or `received`, if there was no `task-sent` event) to `started`. The two times come from
        two clocks, so the value may be negative."""
        since = self.received if self.sent is None else self.sent
        return None if since is None or self.started is None else self.started - since

    @property
    def worker(self) -> "WorkerName | None":
        """The worker as an object with a `hostname`, as in `celery.events.state.Task`."""
        return WorkerName(self.hostname, self.pid) if self.hostname else None


_END_TIME_FIELD = {SUCCESS: "succeeded", FAILURE: "failed", REVOKED: "revoked", REJECTED: "rejected", RETRY: "retried"}


class WorkerName(msgspec.Struct, frozen=True):
    hostname: str
    pid: int | None = None


class Worker(msgspec.Struct, frozen=True):
    """A worker, as known from its events. `heartbeat` is the time of its last event by the recorder's clock."""

    hostname: str
    pid: int | None = None
    online: bool = True
    timestamp: float | None = None
    heartbeat: float | None = None
    freq: float | None = None
    active: int | None = None
    processed: int | None = None
    loadavg: tuple[float, ...] | None = None
    sw_ident: str | None = None
    sw_ver: str | None = None
    sw_sys: str | None = None
    clock: int | None = None
    #: time of the last `worker-online` event, by the clock of the worker: tasks that it received before are no longer
    #: in its memory
    since: float | None = None

    def is_alive(self, now: float) -> bool:
        """Flower's rule: the last heartbeat is not older than twice the heartbeat interval."""
        return self.online and self.heartbeat is not None and now - self.heartbeat <= 2 * (self.freq or 2.0)

    def is_stale(self, now: float, after: float) -> bool:
        """Whether the worker is not alive and its last event is at least `after` seconds old."""
        last = self.timestamp if self.heartbeat is None else self.heartbeat
        return not self.is_alive(now) and (last is None or now - last >= after)


class Gap(msgspec.Struct, frozen=True):
    """An interval in which events may be missing; `end` is None while the interval lasts."""

    start: float
    end: float | None
    reason: str


class WorkerInfo(TypedDict):
    hostname: str | None
    pid: int | None
    sw_ident: str | None
    sw_ver: str | None
    sw_sys: str | None


class TaskInfo(TypedDict, total=False):
    """The documented dict of a task, as `iter_tasks` returns it."""

    uuid: str
    name: str | None
    state: str
    hostname: str | None
    timestamp: float | None
    sent: float | None
    received: float | None
    started: float | None
    succeeded: float | None
    failed: float | None
    retried: float | None
    revoked: float | None
    rejected: float | None
    runtime: float | None
    args: "list[Any] | str | None"
    kwargs: "dict[str, Any] | str | None"
    retries: int | None
    eta: str | None
    expires: str | None
    result: Any
    traceback: str | None
    exception: str | None
    queue: str | None
    exchange: str | None
    routing_key: str | None
    priority: int | None
    worker: WorkerInfo | None
    clock: int | None
    client: str | None
    root_id: str | None
    parent_id: str | None
    children: list[str]
    attempts: list[dict[str, Any]]
    data: dict[str, dict[str, Any]]
