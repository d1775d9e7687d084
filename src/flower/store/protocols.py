"""Protocols of a store, in terms of records and search trees.

A store has at most one `Writer` (that of the recorder) and any number of `Reader`s, in any thread or process. Folding
events into records is not its task: a store loads, inserts, updates and queries records.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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

#: Sort keys. Text is compared ignoring case. `wait` is `Task.wait`, seconds from sent to the first start; `time`
#: and `ended` are those of `Task`.
SORT_KEYS = (
    "name", "state", "received", "started", "runtime", "wait", "worker", "queue", "timestamp", "sent", "uuid", "time",
    "ended",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key. Tasks without the value come last in both directions."""

    key: str
    descending: bool = False


#: Newest received first: the order of the documented Python API and of Flower's routes.
NEWEST = (Sort("received", descending=True),)
#: Newest first by `Task.time`, which tasks that no worker has received have too: the order of all other lists.
NEWEST_BY_TIME = (Sort("time", descending=True),)


@dataclass(frozen=True, slots=True)
class Query:
    """A search and a sort order. Ties are broken by the order in which tasks were first written, in the direction of
    the first key, so that pages never repeat or skip a task."""

    where: Node = EVERYTHING
    sort: tuple[Sort, ...] = NEWEST


class StoredTask(NamedTuple):
    """A task and its key in the store; None until it has been written."""

    key: int | None
    task: Task


@dataclass(frozen=True, slots=True)
class TaskChange:
    """An update of a stored task: its content now and after the update."""

    key: int
    before: Task
    after: Task


@dataclass(frozen=True, slots=True)
class Batch:
    """The content of one write. All of it becomes visible under one number of the change sequence."""

    new: Sequence[Task] = ()
    changed: Sequence[TaskChange] = ()
    workers: Sequence[Worker] = ()
    gaps: Sequence[Gap] = ()
    #: unfinished tasks that will be written as rows later; replaces the previously parked tasks. None = unchanged.
    #: Readers do not see them, but they survive the end of the process.
    parked: Sequence[Task] | None = None
    #: counters to remove, and counters with their new values (not increments)
    dropped_counters: Sequence[CounterKey] = ()
    counters: Sequence[TaskCounters] = ()
    #: what capture stores with every write (`Capture.progress`); None = unchanged
    capture_progress: bytes | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the batch changes nothing that readers can see."""
        return not (self.new or self.changed or self.workers or self.gaps or self.counters or self.dropped_counters)


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits of the store; None = no limit. Unfinished tasks are removed last."""

    max_tasks: int | None = None
    max_age: float | None = None  # seconds since a task's last event
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes after a number of the change sequence: the latest number and the ids of the tasks that changed.
    `complete` is False if the log does not reach back that far: read everything again."""

    sequence: int
    uuids: tuple[str, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class StoreMigration:
    """A migration that is not complete: files of an earlier version are converted, or built again, in the background.
    Results are complete meanwhile; searches are slower. `total` files, of which `done` are up to date."""

    done: int
    total: int
    #: epoch seconds
    started_at: float
    #: why a file cannot be converted; "" without a failure
    error: str = ""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Size and state of the store."""

    sequence: int
    tasks: int
    size_bytes: int
    segments: int
    damaged: tuple[str, ...] = ()
    #: free disk space in bytes; None if the directory does not exist
    free_bytes: int | None = None
    #: None if all files are up to date
    migration: StoreMigration | None = None


class Reader(Protocol):
    """All methods may be called from any thread."""

    def task(self, uuid: str) -> Task | None: ...

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0, strict: bool = False) -> Iterator[Task]:
        """Iterate lazily: memory use does not grow with the result. A limit of 0 or less returns nothing. With
        `strict`, raises StoreDamaged after the last task if tasks could not be read, so that a file that lacks tasks is
        not taken for a complete one; tasks in files that were moved away before are reported by `explain_missing`
        only."""
        ...

    def task_page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        """One page, and the cursor of the next one. A task whose position does not change is neither repeated nor
        skipped, whatever is written meanwhile; with `sort=()` (the order of first writing) no position changes. Raises
        InvalidRequest for a cursor of another query."""
        ...

    def count(self, where: Node = EVERYTHING) -> int:
        """The exact number. Raises DeadlineExceeded."""
        ...

    def count_until_deadline(self, where: Node = EVERYTHING) -> Count:
        """The number of tasks, or a partial count if the time limit is reached."""
        ...

    def facets(self, where: Node, facets: Sequence[Facet], *, limit: int = 20, containing: str | None = None) -> Facets:
        """Number of tasks by value, for the `limit` most frequent values. `containing`: only values that contain this
        text, ignoring case (then without None)."""
        ...

    def histogram(self, where: Node, span: BucketSpan) -> Histogram: ...

    def summaries(self, where: Node, *, by: Facet | None = None, limit: int = 20) -> Summaries:
        """Statistics of all matching tasks and, with `by`, by the values of a facet."""
        ...

    def timeline(self, where: Node, span: BucketSpan) -> Summaries:
        """Statistics by time bucket; `total` includes all buckets."""
        ...

    def failures(self, where: Node, *, limit: int = 20, span: BucketSpan | None = None) -> Failures:
        """The failure groups of the tasks that have an exception or traceback. `types` and `workers` are the five most
        frequent ones. Without a span, `trend` is empty."""
        ...

    def failures_seen(self, failures: Collection[str] | None = None) -> Mapping[str, SeenRange]:
        """When these failure groups (None: all) were first and last seen, in all stored tasks, by the id of the
        fingerprint. Results of segments that do not change are cached, so that it can be called every second."""
        ...

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        """The workflow of a task: all tasks with its root_id, and the root. None if the task is unknown."""
        ...

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        """The tasks that match `where` and that other tasks name as their root; the others need not match. Pages
        neither repeat nor skip any. Raises InvalidRequest for a cursor of another query."""
        ...

    def slow_thresholds(self) -> Mapping[str, float]:
        """Run time above which `is:slow` matches, by task name (`quantile_sketch.derive_slow_thresholds`)."""
        ...

    def worker_history(self, hostname: str | None = None, *, limit: int = 1_000) -> Sequence[WorkerSnapshot]:
        """Newest first; of all workers if no hostname is given."""
        ...

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Ids of the tasks that these tasks sent; tasks without children are absent."""
        ...

    def names(self) -> Sequence[str]:
        """All task names (types) in the store, sorted."""
        ...

    def workers(self) -> Mapping[str, Worker]: ...

    def counters(self, after: int = 0) -> CounterDelta:
        """Counters that changed after this number of the change sequence."""
        ...

    def in_flight(self, live_workers: LiveWorkers) -> Sequence[InFlight]:
        """Prefetched and running tasks of these workers, without lost tasks, without tasks that have an ETA and without
        those of an earlier incarnation of the worker. Only pairs that have such tasks, in no particular order. Raises
        DeadlineExceeded."""
        ...

    def gaps(self) -> Sequence[Gap]: ...

    def changes(self, after: int) -> Changes: ...

    @property
    def change_signal_path(self) -> Path | None:
        """A file whose modification time is set after each write; None if there is none."""
        ...

    def status(self) -> StoreStatus: ...

    def explain_missing(self, where: Node = EVERYTHING) -> str | None:
        """Why results for this filter lack tasks: names damaged files. None if no task is missing. The same sentence is
        in `partial` of every result."""
        ...

    def recorder_status(self) -> Mapping[str, Any]:
        """The last status of the recorder (`Writer.set_status`); empty if there is none."""
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    """For one thread only. A method that raises has made no visible change."""

    @property
    def identity(self) -> str:
        """Random name of the store, letters and digits, part of the name of the broker's queue."""
        ...

    def load(self, uuids: Iterable[str]) -> Mapping[str, StoredTask]:
        """Those of these tasks that the store contains."""
        ...

    def write(self, batch: Batch) -> Sequence[int]:
        """Write a batch and return the keys of `batch.new`. The write survives the end of the process.

        Raises StoreFull if there is no disk space; the same batch can be written again later.
        """
        ...

    def parked_tasks(self) -> Sequence[Task]:
        """The parked tasks of the last batch that had any (`Batch.parked`)."""
        ...

    def counters(self) -> Sequence[TaskCounters]:
        """All counters."""
        ...

    def capture_progress(self) -> bytes:
        """The progress of the last batch that had any (`Batch.capture_progress`); empty in a new store."""
        ...

    def recorder_status(self) -> Mapping[str, Any]:
        """The last status of this or the previous recorder (`set_status`); empty if there is none."""
        ...

    def prune(self, retention: Retention, now: float) -> int:
        """One bounded step of retention. Return the number of removed tasks (0 = nothing to do)."""
        ...

    def maintain(self) -> bool:
        """One bounded step of maintenance, which keeps queries fast. Return False if there is nothing to do."""
        ...

    def workers(self) -> Mapping[str, Worker]: ...

    def remove_workers(self, hostnames: Collection[str]) -> None:
        """Remove the records of these workers. Their tasks and their history stay."""
        ...

    def set_status(self, status: Mapping[str, Any]) -> None:
        """Store the status of the recorder (see `Recorder`). Works when the disk is full."""
        ...

    def close(self) -> None: ...
