"""What a store answers beside tasks: frozen values that are JSON as they stand.

Times are epoch seconds, durations seconds. `partial` says in a sentence why an answer is not whole and what would
narrow the question (the time limit came first); what was found until then is in the answer. None: it is whole.
"""

from typing import Literal, TypeAlias

import msgspec

from flower.fingerprint import Fingerprint
from flower.quantile_sketch import Sketch
from flower.records import Task

#: What tasks can be grouped by. `exception` is the exception's class, `failure` the group of alike failures.
Facet: TypeAlias = Literal[
    "state", "name", "worker", "queue", "exception", "failure", "routing_key", "exchange", "client"
]
FACETS: tuple[Facet, ...] = (
    "state", "name", "worker", "queue", "exception", "failure", "routing_key", "exchange", "client",
)  # fmt: skip
#: The times by which a window can be laid.
TimeKey: TypeAlias = Literal["received", "started", "timestamp", "sent"]
TIME_KEYS: tuple[TimeKey, ...] = ("received", "started", "timestamp", "sent")


class BucketSpan(msgspec.Struct, frozen=True):
    """`buckets` stretches of `width` seconds each, from `start` on; a bucket has its start and not its end."""

    start_at: float
    width: float
    buckets: int
    time: TimeKey = "received"

    @property
    def end(self) -> float:
        return self.start_at + self.width * self.buckets


class Page(msgspec.Struct, frozen=True):
    """`cursor` gives the next page; None if there is none."""

    tasks: tuple[Task, ...]
    cursor: str | None = None
    partial: str | None = None


class Count(msgspec.Struct, frozen=True):
    count: int
    partial: str | None = None


class FacetValue(msgspec.Struct, frozen=True):
    """A value of a facet, None for tasks without one, and how many tasks have it."""

    value: str | None
    count: int


class FacetCounts(msgspec.Struct, frozen=True):
    """Most frequent first, equal ones by value (None last). `more`: how many further values there are."""

    values: tuple[FacetValue, ...]
    more: int = 0


class Facets(msgspec.Struct, frozen=True):
    count: int
    facets: dict[str, FacetCounts]
    partial: str | None = None


class Histogram(msgspec.Struct, frozen=True):
    """`states`: of each state that occurs, the number of tasks in each bucket of `span`."""

    span: BucketSpan
    states: dict[str, tuple[int, ...]]
    partial: str | None = None


class Summary(msgspec.Struct, frozen=True):
    """Figures of one group of tasks. `group` is the facet's value, or the start of the stretch of time.

    `runtime` is that of the last attempt; `wait` is `Task.wait`. Both hold only tasks that have the value."""

    group: str | float | None
    count: int
    states: dict[str, int]
    runtime: Sketch
    wait: Sketch


class Summaries(msgspec.Struct, frozen=True):
    """`total` is over all groups, also those that were left out (`more`). Groups: largest first, equal ones by value
    (None last); or stretches of time in their order, empty ones included."""

    total: Summary
    groups: tuple[Summary, ...] = ()
    more: int = 0
    partial: str | None = None


class FailureGroup(msgspec.Struct, frozen=True):
    fingerprint: Fingerprint
    count: int
    #: of `Task.timestamp`
    first_failure_at: float | None
    last_failure_at: float | None
    #: tasks in each bucket of the span that was asked for
    trend: tuple[int, ...]
    types: tuple[FacetValue, ...]
    workers: tuple[FacetValue, ...]
    #: the id of the latest task in it
    example: str


class SeenRange(msgspec.Struct, frozen=True):
    """Of all tasks on record in a group of failures: the first and last `Task.timestamp`, and how many there are."""

    first: float | None
    last: float | None
    count: int


class Failures(msgspec.Struct, frozen=True):
    """Largest first, equal ones latest first. `more`: how many groups were left out. `count`: tasks in all groups."""

    groups: tuple[FailureGroup, ...]
    count: int
    more: int = 0
    partial: str | None = None


class TaskFamily(msgspec.Struct, frozen=True):
    """All that belongs to a workflow, in the order in which it was first written. `whole` is False if there is more
    than was asked for."""

    root_id: str
    tasks: tuple[Task, ...]
    complete: bool = True


class Workflow(msgspec.Struct, frozen=True):
    """A task that others name as their root, and all of these with it, as far as they are on record. `ended` of the
    `tasks` have ended, `failed` of them in FAILURE; `running` are being worked on. `started`: when the first of them
    was sent (received or started, if nobody saw that); `last`: their newest event."""

    root: Task
    tasks: int
    finished: int
    failed: int
    running: int
    started_at: float | None
    last_event_at: float | None


class Workflows(msgspec.Struct, frozen=True):
    """Newest root first, by the order in which roots were first written. `cursor` gives the next page."""

    workflows: tuple[Workflow, ...]
    cursor: str | None = None
    partial: str | None = None


class WorkerSnapshot(msgspec.Struct, frozen=True):
    """A line of a worker's history: it came, went, or said how it was (about once a minute). `at` is by our clock."""

    worker: str
    recorded_at: float
    event: Literal["online", "offline", "heartbeat"]
    pid: int | None = None
    active: int | None = None
    processed: int | None = None
    loadavg: tuple[float, ...] | None = None
