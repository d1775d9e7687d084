"""The port of the store: what it is asked, in records and search trees. No SQL above this line.

A store has one `Writer` at a time (the recorder's) and any number of `Reader`s, in any thread or
process. Merging events is the fold's work: a store loads, inserts, replaces and finds.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from flower.counters import CounterDelta, CounterKey, InFlight, LiveWorkers, TaskCounters
from flower.records import Gap, Task, Worker
from flower.search.tree import EVERYTHING, Node
from flower.store.query_results import (
    BucketSpan,
    Count,
    Facet,
    Facets,
    Failures,
    Histogram,
    Page,
    SeenRange,
    Summaries,
    TaskFamily,
    WorkerSnapshot,
    Workflows,
)

#: What tasks can be ordered by. Text orders without regard to case.
#: `wait` is `Task.wait`, seconds between being sent and started.
SORT_KEYS = ("name", "state", "received", "started", "runtime", "wait", "worker", "queue", "timestamp", "sent", "uuid")


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key. A task without the value comes last in either direction."""

    key: str
    descending: bool = False


#: Newest received first.
NEWEST = (Sort("received", descending=True),)


@dataclass(frozen=True, slots=True)
class Query:
    """Which tasks, in which order. Ties are broken by the order in which tasks were first written,
    in the direction of the first key, so that pages never repeat or skip a task."""

    where: Node = EVERYTHING
    sort: tuple[Sort, ...] = NEWEST


class StoredTask(NamedTuple):
    """A task and the store's own handle on it; None until it has been written."""

    key: int | None
    task: Task


@dataclass(frozen=True, slots=True)
class TaskChange:
    """A row that exists: what it holds now and what it shall hold."""

    key: int
    before: Task
    after: Task


@dataclass(frozen=True, slots=True)
class Batch:
    """What one write brings. All of it becomes visible under one number of the change sequence."""

    new: Sequence[Task] = ()
    changed: Sequence[TaskChange] = ()
    workers: Sequence[Worker] = ()
    gaps: Sequence[Gap] = ()
    #: what is known of tasks that shall become rows later; takes the place of what was held before. None = as before.
    #: Nobody sees them, but they outlive the process that holds them back.
    parked: Sequence[Task] | None = None
    #: tallies that are forgotten, and then what these are from now on (not what is to be added)
    dropped_counters: Sequence[CounterKey] = ()
    counters: Sequence[TaskCounters] = ()
    #: what tells events apart that were counted in this write and may come again; takes the place of what was there.
    #: None = as before.
    dedup_marks: bytes | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it brings nothing that can be seen."""
        return not (self.new or self.changed or self.workers or self.gaps or self.counters or self.dropped_counters)


@dataclass(frozen=True, slots=True)
class Retention:
    """What may go. None = no limit. Tasks that have not ended go last."""

    max_tasks: int | None = None
    max_age: float | None = None  # seconds since a task's last event
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened after a number of the change sequence: the newest number and the tasks touched.
    `complete` is False if the log no longer reaches back that far: read everything again."""

    sequence: int
    uuids: tuple[str, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class StoreStatus:
    sequence: int
    tasks: int
    size_bytes: int
    segments: int
    damaged: tuple[str, ...] = ()
    #: bytes that may still be written where the store is; None if there is no such place
    free_bytes: int | None = None


class Reader(Protocol):
    """Every method may be called from any thread."""

    def task(self, uuid: str) -> Task | None: ...

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0) -> Iterator[Task]:
        """Lazily: memory does not grow with the result. Limit 0 or negative gives nothing."""
        ...

    def task_page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        """One page and where the next one begins. A task that keeps its place is neither repeated nor passed over,
        whatever is written meanwhile; with `sort=()` (in the order of first writing) every task keeps its place.
        Raises Invalid for a cursor of another query."""
        ...

    def count(self, where: Node = EVERYTHING) -> int:
        """Exactly. Raises WaitedTooLong."""
        ...

    def count_until_deadline(self, where: Node = EVERYTHING) -> Count:
        """The same, or what was counted until the time was over."""
        ...

    def facets(self, where: Node, facets: Sequence[Facet], *, limit: int = 20, containing: str | None = None) -> Facets:
        """How many tasks have each value, the `limit` most frequent ones. `containing`: only values with this
        text in them, ignoring case (then no None)."""
        ...

    def histogram(self, where: Node, span: BucketSpan) -> Histogram: ...

    def summaries(self, where: Node, *, by: Facet | None = None, limit: int = 20) -> Summaries:
        """Figures over all these tasks and, if `by` is given, by its values."""
        ...

    def timeline(self, where: Node, span: BucketSpan) -> Summaries:
        """Figures of each stretch of time; `total` is over all stretches."""
        ...

    def failures(self, where: Node, *, limit: int = 20, span: BucketSpan | None = None) -> Failures:
        """The groups of the tasks that have an exception or traceback. `types` and `workers` are the five most
        frequent ones. Without a span, `trend` is empty."""
        ...

    def failures_seen(self, failures: Collection[str] | None = None) -> Mapping[str, SeenRange]:
        """When these groups of failures (None: all) were first and last seen, whatever the window, by the ids of their
        fingerprints. What was found out about segments that do not change is remembered, so it may be asked every
        second."""
        ...

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        """The workflow of a task: all tasks with its root_id, and the root. None if the task is not known."""
        ...

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        """The tasks that `where` lets through and that others name as their root; the others need not fulfil it. Pages
        neither repeat nor skip any. Raises Invalid for a cursor of another query."""
        ...

    def slow_thresholds(self) -> Mapping[str, float]:
        """The run time, by name, above which `is:slow` holds (`sketch.slow_thresholds`)."""
        ...

    def worker_history(self, hostname: str | None = None, *, limit: int = 1_000) -> Sequence[WorkerSnapshot]:
        """Newest first; of all workers if none is named."""
        ...

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """The ids of the tasks that these started, for those that started any."""
        ...

    def names(self) -> Sequence[str]:
        """All task names (types) in the store, sorted."""
        ...

    def workers(self) -> Mapping[str, Worker]: ...

    def counters(self, after: int = 0) -> CounterDelta:
        """What was counted, as far as it changed after this number of the change sequence."""
        ...

    def in_flight(self, live_workers: LiveWorkers) -> Sequence[InFlight]:
        """What these workers have received and not started, and what they are running; without tasks that have an ETA,
        and without those of an earlier life of the worker. Only pairs that have such tasks, in no order. Raises
        WaitedTooLong."""
        ...

    def gaps(self) -> Sequence[Gap]: ...

    def changes(self, after: int) -> Changes: ...

    def status(self) -> StoreStatus: ...

    def recorder_status(self) -> Mapping[str, Any]:
        """What the recorder last said of itself (`Writer.set_status`); empty if it never did."""
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    """One thread only. A method that raises has changed nothing that can be seen."""

    @property
    def identity(self) -> str:
        """A name given when the store was made, letters and digits: the broker's queue bears it."""
        ...

    def load(self, uuids: Iterable[str]) -> Mapping[str, StoredTask]:
        """Those of these tasks that the store holds."""
        ...

    def write(self, batch: Batch) -> Sequence[int]:
        """Write a batch, durable against the death of the process; gives the keys of `batch.new`.

        Raises StoreFull if there is no room; the batch may be offered again later."""
        ...

    def parked_tasks(self) -> Sequence[Task]:
        """What the last write that said so held back (`Batch.held`)."""
        ...

    def counters(self) -> Sequence[TaskCounters]:
        """All that was counted."""
        ...

    def dedup_marks(self) -> bytes:
        """What the last write that said so told (`Batch.marks`)."""
        ...

    def prune(self, retention: Retention, now: float) -> int:
        """One bounded step of forgetting; gives the number of tasks that went (0 = nothing to do)."""
        ...

    def maintain(self) -> bool:
        """One bounded step of upkeep, so that searching is fast; False = nothing is to be done now."""
        ...

    def workers(self) -> Mapping[str, Worker]: ...

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Say how the recorder is (see `Recorder`); kept even when the disk is full."""
        ...

    def close(self) -> None: ...
