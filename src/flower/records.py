"""The nouns: what an event, a task, an attempt and a worker are. Frozen; imports nothing of ours.

Times are epoch seconds by the clock of whoever sent the event; durations are seconds. Every field
but the identity may be missing (None): events get lost, come twice and come late. `args`, `kwargs`,
`result`, `exception` and `traceback` are the text that the event carried, never re-serialised.
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

#: States in which a task has ended. Everything else may still change.
FINAL_STATES = frozenset({SUCCESS, FAILURE, REVOKED, REJECTED})

#: States of a task that has not ended and that nobody is working on right now.
WAITING_STATES = frozenset({PENDING, RECEIVED, RETRY})

#: The documented list (`flower.utils.tasks.TASK_STATES`). A task may also bear RECEIVED, REJECTED
#: or the name of a custom event (`task-progress` → PROGRESS).
TASK_STATES = [PENDING, STARTED, SUCCESS, FAILURE, RETRY, REVOKED]


# What an event may hold: msgspec checks the bounds while it decodes, which costs nothing. A number that
# no database column and no `datetime` can take is not a number to us.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Timestamp = Annotated[float, Meta(ge=0, le=253402300799)]  # 1970 to 9999
TaskId = Annotated[str, Meta(min_length=1, max_length=512)]
EventType = Annotated[str, Meta(min_length=1, max_length=256)]


class Event(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One message of the `celeryev` exchange, checked: types are right and `timestamp` is there.

    Fields that Celery does not define are in `data`. Task events have a `uuid`; worker events have
    a `hostname` and no `uuid`. `hostname` is the sender: for `task-sent` that is the producer, not a worker.
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
    # how it ended
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
    #: everything else that the sender put in, by name
    data: dict[str, Any] | None = None


class Attempt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One try at running a task. `state` is its outcome (RETRY if it was tried again), None while open."""

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
    """A task as far as its events tell.

    The times `sent` … `rejected` are those of the last event of that kind; `timestamp` is the
    newest of all. `hostname` is the worker's node name. The fields describe the current (or last)
    attempt; those before it are in `earlier`. `data` holds what custom events and unknown fields
    brought: event type → field → last value.
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
        """All attempts, oldest first; the last one is put together from the task's own fields."""
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
        """Seconds from being sent (or received, if nobody saw the sending) to being started. Two clocks are
        involved, so it may be negative."""
        since = self.received if self.sent is None else self.sent
        return None if since is None or self.started is None else self.started - since

    @property
    def worker(self) -> "WorkerName | None":
        """The worker as an object with a `hostname`, the shape `celery.events.state.Task` has."""
        return WorkerName(self.hostname, self.pid) if self.hostname else None


_END_TIME_FIELD = {SUCCESS: "succeeded", FAILURE: "failed", REVOKED: "revoked", REJECTED: "rejected", RETRY: "retried"}


class WorkerName(msgspec.Struct, frozen=True):
    hostname: str
    pid: int | None = None


class Worker(msgspec.Struct, frozen=True):
    """A worker as far as its events tell. `heartbeat` is when *we* heard it last, by our clock."""

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
    #: when it said last that it had come, by its own clock: what it was given before that is not with it any more
    since: float | None = None

    def is_alive(self, now: float) -> bool:
        """Flower's rule: the last heartbeat is not older than twice the announced frequency."""
        return self.online and self.heartbeat is not None and now - self.heartbeat <= 2 * (self.freq or 2.0)

    def is_stale(self, now: float, after: float) -> bool:
        """Whether it was heard last so many seconds ago or more, and is not alive."""
        last = self.timestamp if self.heartbeat is None else self.heartbeat
        return not self.is_alive(now) and (last is None or now - last >= after)


class Gap(msgspec.Struct, frozen=True):
    """A stretch of time in which events may have been missed; `end` is None while it lasts."""

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
    """The documented dict of a task, as `iter_tasks` yields it."""

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
