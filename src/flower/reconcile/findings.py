"""What the sources answered, as values. Times are epoch seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

#: The lists of a worker: running; prefetched; waiting for the ETA.
WorkerList: TypeAlias = Literal["active", "reserved", "scheduled"]

#: answered      it answered completely, so a task that is in none of its lists is not running there
#: no_answer     it is alive and did not answer
#: silent        neither events nor answers: it was killed, is stopped, or is unreachable
#: gone          the process that had the task does not exist any more
#: none          the task is not with a worker
WorkerCondition: TypeAlias = Literal["answered", "no_answer", "silent", "gone", "none"]

#: waiting         the message is in its queue
#: unacknowledged  the broker delivered the message and waits for the acknowledgement
#: absent          neither
#: incomplete      it was not found, but there are too many messages to read all
#: unavailable     this broker does not show it
#: unknown         the query failed, or its answer is ambiguous
QueuePosition: TypeAlias = Literal["waiting", "unacknowledged", "absent", "incomplete", "unavailable", "unknown"]

#: What a result backend is good for:
#: failed        the query failed; the next one may succeed
#: unreachable   it has failed for `BACKEND_PATIENCE`: tasks are decided without it
#: none          there is none that can be read
BackendCondition: TypeAlias = Literal["answered", "failed", "unreachable", "none"]


class HeldTask(msgspec.Struct, frozen=True, gc=False):
    """A task in a list of a worker. `started` is by the worker's clock, `observed_at` by ours."""

    uuid: str
    hostname: str
    list_name: WorkerList
    observed_at: float
    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    queue: str | None = None
    started: float | None = None
    pid: int | None = None


class QueuedMessage(msgspec.Struct, frozen=True, gc=False):
    """The message of a task at the broker, waiting or unacknowledged. Texts are redacted."""

    uuid: str
    is_waiting: bool
    observed_at: float
    queue: str | None = None
    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    retries: int | None = None
    eta: str | None = None
    expires: str | None = None
    root_id: str | None = None
    parent_id: str | None = None


class StoredResult(msgspec.Struct, frozen=True, gc=False):
    """An entry of the result backend. `ended` is by the worker's clock; texts are redacted."""

    uuid: str
    state: str
    observed_at: float
    ended: float | None = None
    result: str | None = None
    exception: str | None = None
    traceback: str | None = None
    parent_id: str | None = None
    # stored with `result_extended` only
    name: str | None = None
    args: str | None = None
    kwargs: str | None = None
    hostname: str | None = None
    queue: str | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What the sources answered about one task."""

    #: the worker that its record names
    worker: WorkerCondition = "none"
    #: the worker that has it; the one that runs it, if several have it
    held: HeldTask | None = None
    #: workers that are alive, could have it, and did not answer
    unanswered: tuple[str, ...] = ()
    position: QueuePosition = "unknown"
    #: when the broker was queried
    position_at: float = 0.0
    backend: BackendCondition = "none"
    #: its end, if that belongs to the current run
    result: StoredResult | None = None
    #: the worker may have it in its memory without listing it (rate limit)
    may_be_unlisted: bool = False
    #: the connection to the broker was lost after the worker had received it: the worker may have dropped it
    may_have_dropped: bool = False
    #: the broker drops the message at its expiry time, which has passed, and no worker can have taken it unobserved
    has_expired: bool = False
    #: names of the sources that were queried, for people
    queried: tuple[str, ...] = ()


#: Tasks by id.
HeldTasks: TypeAlias = Mapping[str, HeldTask]


@dataclass(frozen=True, slots=True)
class WorkersAnswer:
    """The result of one inspection."""

    observed_at: float
    #: workers that answered with all lists
    answered: frozenset[str] = frozenset()
    #: workers that gave any answer
    alive: frozenset[str] = frozenset()
    held: HeldTasks = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueReading:
    """What the broker answered about one queue."""

    #: number of ready messages; None = not known
    ready: int | None = None
    consumers: int | None = None
    #: ids of the ready messages; None = the broker does not show them, or they were not read completely
    waiting: frozenset[str] | None = None
    exists: bool = True


@dataclass(frozen=True, slots=True)
class BrokerAnswer:
    """What the broker answered."""

    observed_at: float
    queues: Mapping[str, QueueReading] = field(default_factory=dict)
    #: ids of all unacknowledged messages; None = the broker does not show them, or they were not read completely
    unacknowledged: frozenset[str] | None = None
    #: ids that were read, also if reading was incomplete: proof of presence, not of absence
    seen_waiting: frozenset[str] = frozenset()
    seen_unacknowledged: frozenset[str] = frozenset()
    #: whether ids can be read (Redis), else only numbers
    shows_ids: bool = False
    #: whether the broker removes expired messages (RabbitMQ)
    drops_expired: bool = False
    #: whether messages may be in queues for delayed delivery
    has_delayed_messages: bool = False
    #: why the query failed
    error: str | None = None
