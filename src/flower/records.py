"""Domain records: events, evidence, tasks, attempts, workers and gaps. Frozen; this module imports no other module of
the project.

Times are epoch seconds by the clock of the sender of the event; durations are seconds. Every field except the identity
may be None, because events can be lost, duplicated or late. `args`, `kwargs`, `result`, `exception` and `traceback` are
the text of the event; they are never serialised again.
"""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import combinations, count, pairwise
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, get_args

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


#: A source other than the task's own events that proves the state of a task.
TaskSource = Literal["worker", "result_backend", "broker"]

#: Why no source proves the state of a task:
#: worker_offline          its worker stopped, and no other worker received the task
#: message_unacknowledged  the broker still holds the message for a worker that stopped, and will deliver it again
#: not_in_queue            its message is no longer in the queue, and no worker reported it
#: end_not_observed        its worker is alive and does not have it
#: not_received            it is known from one event only, and no source has it
LostReason = Literal["worker_offline", "message_unacknowledged", "not_in_queue", "end_not_observed", "not_received"]

#: Why events may be missing. `recorder_stopped` is planned.
GapCause = Literal[
    "recorder_stopped", "recorder_crashed", "broker_unreachable", "redis_overflow", "queue_expired", "queue_overflow",
    "broker_restarted", "worker_events_disabled", "unreadable_messages", "stream_overflow", "unknown",
]  # fmt: skip
GAP_CAUSES: Final[tuple[GapCause, ...]] = get_args(GapCause)


# Types of event fields. msgspec checks the bounds while it decodes, at no extra cost. A number that does not fit into a
# database column or a `datetime` is invalid.
Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Timestamp = Annotated[float, Meta(ge=0, le=253402300799)]  # 1970 to 9999
#: Maximum characters of ids and names (of tasks, workers, clients, queues, exchanges, routing keys), and of types of
#: events and names of fields. `capture` shortens longer ones. AMQP permits 255 bytes for names of queues, exchanges and
#: routing keys.
MAX_NAME_LENGTH: Final = 512
MAX_TYPE_LENGTH: Final = 256
TaskId = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
Name = Annotated[str, Meta(max_length=MAX_NAME_LENGTH)]
EventType = Annotated[str, Meta(min_length=1, max_length=MAX_TYPE_LENGTH)]
#: Number of load averages: over 1, 5 and 15 minutes. `capture` removes further ones; every page of workers shows them.
MAX_LOAD_AVERAGES: Final = 3
LoadAverages = Annotated[tuple[float, ...], Meta(max_length=MAX_LOAD_AVERAGES)]


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A message of the `celeryev` exchange, validated: all fields have the right type, and `timestamp` is present.

    Fields that Celery does not define are in `data`. Task events have a `uuid`; worker events have a `hostname` and no
    `uuid`. `hostname` is the sender: for `task-sent` that is the producer, not a worker. The fields are in the order in
    which Celery sends them: msgspec decodes them faster than in another order.
    """

    hostname: Name | None = None
    utcoffset: float | None = None
    pid: Integer | None = None
    clock: Integer | None = None
    uuid: TaskId | None = None
    # task-sent, task-received
    name: Name | None = None
    args: str | None = None
    kwargs: str | None = None
    root_id: Name | None = None
    parent_id: Name | None = None
    retries: Integer | None = None
    eta: Name | None = None
    expires: Name | None = None
    # task-sent only
    queue: Name | None = None
    exchange: Name | None = None
    routing_key: Name | None = None
    # the outcome
    result: str | None = None
    runtime: float | None = None
    exception: str | None = None
    traceback: str | None = None
    terminated: bool | None = None
    signum: Integer | Name | None = None
    expired: bool | None = None
    requeue: bool | None = None
    # worker-online, worker-heartbeat, worker-offline
    freq: float | None = None
    sw_ident: Name | None = None
    sw_ver: Name | None = None
    sw_sys: Name | None = None
    active: Integer | None = None
    processed: Integer | None = None
    loadavg: LoadAverages | None = None
    timestamp: Timestamp
    type: EventType
    #: all other fields of the event, by name
    data: dict[str, Any] | None = None


class Lost(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Mark of a task whose state no source proves. `since` is when that was established, by the recorder's clock;
    `detail` is a sentence for people; `queried` names the sources that were queried."""

    since: float
    reason: LostReason
    detail: str
    queried: tuple[str, ...] = ()


class Attempt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One attempt to run a task. `state` is its outcome (RETRY if another attempt follows), None while it is not
    finished. `lost` is the reason why an attempt ended without an outcome. An attempt with neither is active."""

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
    lost: str | None = None
    #: of Celery: 0 for the first attempt and its redeliveries; None: not known
    retries: int | None = None
    #: number of the run: an id that is sent again after its end is a new run
    run: int = 0
    #: seconds by which the clock of the worker was ahead of the recorder's; None: less than 2 s, or unknown
    clock_offset: float | None = None

    @property
    def is_active(self) -> bool:
        """Whether a worker is running the attempt, as far as known."""
        return self.started is not None and self.state is None and self.lost is None


class Task(msgspec.Struct, frozen=True, gc=False):
    """A task, as known from its events and from evidence.

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
    #: which source proved the present state; None: the events of the task
    source: TaskSource | None = None
    #: no source proves the state, which is the last one that was proven; None: the state is proven
    lost: Lost | None = None
    #: number of the current run; None: the first one
    run: int | None = None
    #: seconds by which the clock of the worker was ahead of the recorder's; None: less than 2 s, or unknown
    clock_offset: float | None = None
    #: the same for the sender of `task-sent`
    client_offset: float | None = None
    #: seconds from sent to the first start, if that is not `started` minus `sent` (or `received`)
    queue_wait: float | None = None
    #: times of events that leave no other trace, such as `task-sent` of a retry, so that duplicates are recognized:
    #: event type → times
    event_times: dict[str, tuple[float, ...]] | None = None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts in order of their number. The current one, which is built from the fields of the task, is the
        last, unless another worker has received the task meanwhile."""
        numbers = {attempt.number for attempt in self.earlier}
        # A retry whose message went back to its queue has no worker.
        is_to_come = self.state == RETRY and self.hostname is None and bool(self.earlier)
        ended = None if is_to_come else END_TIME_FIELDS.get(self.state)
        lost = None if ended or self.lost is None else self.lost.reason
        current = Attempt(
            number=next(number for number in count() if number not in numbers),
            hostname=self.hostname,
            pid=self.pid,
            received=self.received,
            started=self.started,
            ended=getattr(self, ended) if ended else None,
            state=self.state if ended else None,
            runtime=self.runtime,
            exception=self.exception,
            traceback=self.traceback,
            lost=lost,
            retries=self.retries,
            run=self.run or 0,
            clock_offset=self.clock_offset,
        )
        return tuple(sorted((*self.earlier, current), key=attrgetter("number"))) if self.earlier else (current,)

    @property
    def text_length(self) -> int:
        """Characters of the arguments, the result, the exception and the traceback together."""
        texts = (self.args, self.kwargs, self.result, self.exception, self.traceback)
        return sum(len(text) for text in texts if text is not None)

    @property
    def wait(self) -> float | None:
        """Seconds that the task waited in its queue: from `sent` (or `received`, if there was no `task-sent` event) to
        the first start. The two times come from two clocks, so the value may be negative."""
        if self.queue_wait is not None:
            return self.queue_wait
        since = self.received if self.sent is None else self.sent
        return None if since is None or self.started is None else self.started - since

    @property
    def time(self) -> float | None:
        """The time of the task within a window: received, else sent, else its first event that is known. Clock offsets
        are subtracted."""
        if self.received is not None:
            return self.received - (self.clock_offset or 0.0)
        if self.sent is not None:
            return self.sent - (self.client_offset or 0.0)
        return self.timestamp if self.started is None else self.started - (self.clock_offset or 0.0)

    @property
    def ended(self) -> float | None:
        """When the last attempt ended: succeeded, failed, was revoked, rejected or retried; None while it has not."""
        field = END_TIME_FIELDS.get(self.state)
        return None if field is None else getattr(self, field)

    @property
    def retry_count(self) -> int:
        """Number of recorded attempts that ended with a retry."""
        return sum(attempt.state == RETRY for attempt in self.earlier) + (self.state == RETRY)

    @property
    def first_started(self) -> float | None:
        """When the first attempt of the current run started, by the clock of its worker."""
        return next((each.started for each in self._attempts_of_run() if each.started is not None), None)

    @property
    def backoff(self) -> float | None:
        """Seconds between the attempts of the current run, from each retry to the next start; None if it was not
        retried."""
        pauses = [pause for _, pause in self._backoffs()]
        return sum(pauses) if pauses else None

    def backoff_before(self, started: float) -> float | None:
        """Seconds from a retry to the attempt of the current run that started at this time; None without a retry."""
        return next((pause for attempt, pause in self._backoffs() if attempt.started == started), None)

    def _backoffs(self) -> Iterator[tuple[Attempt, float]]:
        """The attempts that follow a retry, and the seconds between."""
        for before, after in pairwise(self._attempts_of_run() if self.earlier else ()):
            if before.state == RETRY and before.ended is not None and after.started is not None:
                pause = _on_recorder_clock(after, after.started) - _on_recorder_clock(before, before.ended)
                yield after, max(0.0, pause)

    @property
    def is_double_run(self) -> bool:
        """Whether two attempts of a run were active at the same time."""
        return bool(self.earlier) and any(
            first.run == second.run and _do_overlap(first, second) for first, second in combinations(self.attempts, 2)
        )

    @property
    def runtime_is_derived(self) -> bool:
        """Whether `runtime` was computed from the times of the attempt: Celery sends it with a success only."""
        return self.runtime is not None and self.state != SUCCESS

    def _attempts_of_run(self) -> tuple[Attempt, ...]:
        return tuple(attempt for attempt in self.attempts if attempt.run == (self.run or 0))

    @property
    def worker(self) -> "WorkerName | None":
        """The worker as an object with a `hostname`, as in `celery.events.state.Task`."""
        return WorkerName(self.hostname, self.pid) if self.hostname else None


def _on_recorder_clock(attempt: Attempt, moment: float) -> float:
    """A time of the clock of the attempt's worker, by the clock of the recorder."""
    return moment - (attempt.clock_offset or 0.0)


def _do_overlap(first: Attempt, second: Attempt) -> bool:
    """Whether an attempt started before an earlier one had ended. A retry is sent by the attempt that it follows."""
    if first.started is None or second.started is None or first.lost is not None or first.state == RETRY:
        return False
    if first.ended is None:
        return first.state is None
    return _on_recorder_clock(second, second.started) < _on_recorder_clock(first, first.ended)


#: The field with the time of a state that ends an attempt.
END_TIME_FIELDS = {SUCCESS: "succeeded", FAILURE: "failed", REVOKED: "revoked", REJECTED: "rejected", RETRY: "retried"}


class WorkerName(msgspec.Struct, frozen=True):
    hostname: str
    pid: int | None = None


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """State of a task that a source other than its events proves: an event of Bellflower's own kind."""

    uuid: str
    source: TaskSource
    #: by the recorder's clock
    observed_at: float
    #: a state of Celery; None: no source has the task, and `lost` is set
    state: str | None
    #: `state` and `timestamp` of the record that was examined: evidence about a record that has changed since is
    #: ignored. None: the task was not recorded
    basis: tuple[str, float | None] | None
    lost: Lost | None = None
    hostname: str | None = None
    pid: int | None = None
    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    queue: str | None = None
    retries: int | None = None
    root_id: str | None = None
    parent_id: str | None = None
    eta: str | None = None
    expires: str | None = None
    received: float | None = None
    started: float | None = None
    ended: float | None = None
    runtime: float | None = None
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None


class WorkerAnswer(msgspec.Struct, frozen=True):
    """An answer of a worker to an inspection: a sign of life. `answered_at` is by the recorder's clock."""

    hostname: str
    answered_at: float
    pid: int | None = None
    pool: str | None = None
    prefetch: int | None = None
    freq: float | None = None


class Worker(msgspec.Struct, frozen=True):
    """A worker, as known from its events and answers. `heartbeat` is the time of its last `worker-*` event by the
    recorder's clock. `flower.worker_state` decides whether it is alive."""

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
    #: False: it runs with `--without-heartbeat`; None: not known
    sends_heartbeats: bool | None = None
    #: "prefork", "threads", "solo", …
    pool: str | None = None
    #: seconds by which its clock is ahead of the recorder's
    clock_offset: float | None = None
    #: time of its last answer to an inspection, by the recorder's clock
    answered_at: float | None = None
    #: since when its events are known to be enabled, by the recorder's clock
    events_enabled_at: float | None = None
    #: since when this process is known, by the recorder's clock
    known_since: float | None = None
    #: time of its newest event of any kind, those of tasks included, by the recorder's clock
    seen_at: float | None = None
    #: the same if that event is `task-started`, else None
    started_at: float | None = None
    #: when two workers with this name last sent events, by the recorder's clock
    duplicate_at: float | None = None
    #: processes other than `pid` that sent events under this name, with the time of their last one, newest first
    pids: tuple[tuple[int, float], ...] = ()


class Gap(msgspec.Struct, frozen=True):
    """An interval in which events may be missing; `end` is None while the interval lasts. `worker`: only the events of
    this worker are affected."""

    start: float
    end: float | None
    #: a sentence
    reason: str
    cause: GapCause = "unknown"
    worker: str | None = None

    @property
    def id(self) -> str:
        """Stable id: a gap that is written again with the same one is replaced, for example when it ends."""
        # gaps of earlier versions have no cause and are distinguished by their reason
        distinct = self.reason if self.cause == "unknown" else ""
        identity = f"{self.start!r}\n{self.cause}\n{self.worker or ''}\n{distinct}"
        return blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
