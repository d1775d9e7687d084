"""Result types of store queries: frozen values that encode to JSON unchanged.

Times are epoch seconds, durations seconds. `partial` is a sentence that states why a result is incomplete: the time
limit was reached (and how to narrow the query), or a part of the store is damaged. The result contains what was found.
None: the result is complete.
"""

from typing import Literal, TypeAlias

import msgspec

from flower.fingerprint import Fingerprint
from flower.quantile_sketch import Sketch
from flower.records import Task

#: What tasks can be grouped by. `exception` is the class of the exception, `failure` the failure group.
Facet: TypeAlias = Literal[
    "state", "name", "worker", "queue", "exception", "failure", "routing_key", "exchange", "client", "source"
]
FACETS: tuple[Facet, ...] = (
    "state", "name", "worker", "queue", "exception", "failure", "routing_key", "exchange", "client", "source",
)  # fmt: skip
#: The times of a task that a window can refer to. `time` and `ended` are those of `Task`.
TimeKey: TypeAlias = Literal["time", "sent", "received", "started", "ended", "timestamp"]
TIME_KEYS: tuple[TimeKey, ...] = ("time", "sent", "received", "started", "ended", "timestamp")


class BucketSpan(msgspec.Struct, frozen=True):
    """`buckets` intervals of `width` seconds each, from `start_at` on; a bucket includes its start and excludes its
    end."""

    start_at: float
    width: float
    buckets: int
    time: TimeKey = "received"

    @property
    def end(self) -> float:
        return self.start_at + self.width * self.buckets


class Page(msgspec.Struct, frozen=True):
    """`cursor` returns the next page; None on the last page."""

    tasks: tuple[Task, ...]
    cursor: str | None = None
    partial: str | None = None


class Count(msgspec.Struct, frozen=True):
    """Number of tasks."""

    count: int
    partial: str | None = None


class FacetValue(msgspec.Struct, frozen=True):
    """A value of a facet (None for tasks without one) and the number of tasks with it."""

    value: str | None
    count: int


class FacetCounts(msgspec.Struct, frozen=True):
    """Most frequent first, ties by value (None last). `more`: number of further values."""

    values: tuple[FacetValue, ...]
    more: int = 0


class Facets(msgspec.Struct, frozen=True):
    """Counts by facet."""

    count: int
    facets: dict[str, FacetCounts]
    partial: str | None = None


class Histogram(msgspec.Struct, frozen=True):
    """`states`: by state, the number of tasks in each bucket of `span`."""

    span: BucketSpan
    states: dict[str, tuple[int, ...]]
    partial: str | None = None


class Summary(msgspec.Struct, frozen=True):
    """Statistics of one group of tasks. `group` is the value of the facet, or the start of the bucket.

    `runtime` is that of the last attempt; `wait` is `Task.wait`. Both include only tasks that have the value.
    `retries` is the number of attempts that ended with a retry.
    """

    group: str | float | None
    count: int
    states: dict[str, int]
    runtime: Sketch
    wait: Sketch
    retries: int = 0


class Summaries(msgspec.Struct, frozen=True):
    """`total` includes all groups, also those that are left out (`more`). Groups: largest first, ties by value (None
    last); or time buckets in order, including empty ones."""

    total: Summary
    groups: tuple[Summary, ...] = ()
    more: int = 0
    partial: str | None = None


class FailureGroup(msgspec.Struct, frozen=True):
    """A group of failures with the same fingerprint."""

    fingerprint: Fingerprint
    count: int
    #: of `Task.timestamp`
    first_failure_at: float | None
    last_failure_at: float | None
    #: number of tasks in each bucket of the span
    trend: tuple[int, ...]
    types: tuple[FacetValue, ...]
    workers: tuple[FacetValue, ...]
    #: id of the latest task of the group
    example: str


class SeenRange(msgspec.Struct, frozen=True):
    """First and last `Task.timestamp` of all stored tasks of a failure group, and their number."""

    first: float | None
    last: float | None
    count: int


class Failures(msgspec.Struct, frozen=True):
    """Largest group first, ties by latest failure. `more`: number of groups that are left out. `count`: tasks in all
    groups."""

    groups: tuple[FailureGroup, ...]
    count: int
    more: int = 0
    partial: str | None = None


class TaskFamily(msgspec.Struct, frozen=True):
    """All tasks of a workflow, in the order in which they were first written. `complete` is False if there are more
    than the limit."""

    root_id: str
    tasks: tuple[Task, ...]
    complete: bool = True
    partial: str | None = None


class Workflow(msgspec.Struct, frozen=True):
    """A task that other tasks name as their root, with statistics of all stored tasks of the workflow. Of `tasks`,
    `finished` are in a final state and `failed` in FAILURE; `running` are being executed and not lost. `started_at`:
    when the first task was sent (or received or started, without a `task-sent` event); `last_event_at`: time of the
    last event."""

    root: Task
    tasks: int
    finished: int
    failed: int
    running: int
    started_at: float | None
    last_event_at: float | None


class Workflows(msgspec.Struct, frozen=True):
    """Newest root first, in the order in which roots were first written. `cursor` returns the next page."""

    workflows: tuple[Workflow, ...]
    cursor: str | None = None
    partial: str | None = None


class WorkerSnapshot(msgspec.Struct, frozen=True):
    """An entry of a worker's history: it came online, went offline, or its state (about once a minute). `recorded_at`
    is by the recorder's clock."""

    worker: str
    recorded_at: float
    event: Literal["online", "offline", "heartbeat"]
    pid: int | None = None
    active: int | None = None
    processed: int | None = None
    loadavg: tuple[float, ...] | None = None
