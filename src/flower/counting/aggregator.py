"""Aggregates events into counters, exactly once.

Counters are written in the same transaction that allows the broker to discard the events: after a crash no count of a
discarded event is missing, and an event that the broker redelivers, because its acknowledgement was lost, is recognised
by its mark and not counted twice.
"""

from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Final, TypeVar
from zlib import crc32

from flower.capture.protocols import CapturedBatch
from flower.counters import OTHER, CounterKey, CounterLimits, DurationHistogram, TaskCounters, duration_bucket_bounds
from flower.counting.cardinality import LabelLimiter
from flower.records import Event, Task
from flower.surrogates import escape_surrogates

K = TypeVar("K", bound=Hashable)


class HistogramBuilder:
    """A duration histogram that is updated in place."""

    __slots__ = ("counts", "created", "total")

    def __init__(self, created: float) -> None:
        self.counts: dict[float, int] = {}
        self.total = 0.0
        self.created = created

    def merge(self, counts: Mapping[float, int], total: float) -> None:
        own_counts = self.counts
        for bound, count in counts.items():
            own_counts[bound] = own_counts.get(bound, 0) + count
        self.total += total

    @property
    def histogram(self) -> DurationHistogram:
        return DurationHistogram(self.counts.copy(), self.total, self.created)


def build_histograms(
    seconds: Iterable[tuple[K, float]], bounds: tuple[float, ...], now: float
) -> dict[K, HistogramBuilder]:
    """Histograms by key. A negative duration, from two different clocks, counts as 0."""
    histograms: dict[K, HistogramBuilder] = {}
    for key, value in seconds:
        histogram = histograms.get(key)
        if histogram is None:
            histogram = histograms[key] = HistogramBuilder(now)
        counts, bound = histogram.counts, bounds[bisect_left(bounds, value)]
        counts[bound] = counts.get(bound, 0) + 1
        if value > 0.0:
            histogram.total += value
    return histograms


class TaskCounterBuilder:
    """Counters of one task type on one worker, updated in place."""

    __slots__ = ("_events", "_runtime", "_wait", "key")

    def __init__(self, key: CounterKey, counters: TaskCounters | None = None) -> None:
        self.key = key
        self._events = dict(counters.events) if counters else {}
        self._runtime = _restore(counters.runtime) if counters and counters.runtime else None
        self._wait = _restore(counters.wait) if counters and counters.wait else None

    def add_events(self, event_type: str, count: int, now: float) -> None:
        counted = self._events.get(event_type)
        self._events[event_type] = (count, now) if counted is None else (counted[0] + count, counted[1])

    def runtime_builder(self, now: float) -> HistogramBuilder:
        if self._runtime is None:
            self._runtime = HistogramBuilder(now)
        return self._runtime

    def wait_builder(self, now: float) -> HistogramBuilder:
        if self._wait is None:
            self._wait = HistogramBuilder(now)
        return self._wait

    @property
    def counters(self) -> TaskCounters:
        runtime, wait = self._runtime, self._wait
        return TaskCounters(
            self.key[0],
            self.key[1],
            self._events.copy(),
            None if runtime is None else runtime.histogram,
            None if wait is None else wait.histogram,
        )


def _restore(histogram: DurationHistogram) -> HistogramBuilder:
    builder = HistogramBuilder(histogram.created)
    builder.merge(histogram.counts, histogram.sum)
    return builder


#: Number of writes whose events are recognised: by the third write the broker has received the first acknowledgement.
_MARK_GENERATIONS: Final = 3

#: Maximum number of characters of a name.
_MAX_NAME_LENGTH: Final = 500

#: Encoding and error handler that accept lone surrogates.
_ENCODING: Final = ("utf-8", "surrogatepass")

#: Sender, event type, task.
_CountKey = tuple[str | None, str, str | None]

#: Sender and task, as in the events.
_WorkerTask = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class CounterUpdate:
    """For the store: the current values of changed counters, keys to remove first, and the marks of those of the
    counted events that may be redelivered (None: no such events)."""

    counters: Sequence[TaskCounters] = ()
    removed_keys: Sequence[CounterKey] = ()
    marks: bytes | None = None


@dataclass(slots=True)
class PendingBatch:
    """Counts of one captured batch until the broker may discard it. The recorder fills the lists while it folds: a
    function call per event would cost more than all the counting."""

    token: int
    received: float
    marks: Sequence[int]
    #: `id` of events that were counted before and are redelivered
    duplicates: frozenset[int]
    events: list[_CountKey] = field(default_factory=list)
    #: runtimes, with the worker and task
    runtimes: list[tuple[_WorkerTask, float]] = field(default_factory=list)
    #: started events, each with the task after it; and how long each task waited
    started: list[tuple[Event, Task]] = field(default_factory=list)
    waits: list[tuple[str | None, float]] = field(default_factory=list)


class EventAggregator:
    """Adds up the events of captured batches. Used by the recorder only, in its thread."""

    def __init__(self, counters: Iterable[TaskCounters], marks: bytes, limits: CounterLimits, now: float) -> None:
        """`counters` and `marks` are the content of the store."""
        self._bounds = duration_bucket_bounds(limits.bucket_bounds)
        self._builders: dict[CounterKey, TaskCounterBuilder] = {}
        self._workers = LabelLimiter[str]("workers and producers", limits.max_names, self._remove_workers)
        self._tasks = LabelLimiter[str]("task types", limits.max_names, self._remove_tasks)
        self._types = LabelLimiter[str]("event types", limits.max_names)
        self._worker_tasks = LabelLimiter[CounterKey]("(worker, task type) pairs", limits.max_pairs, self._remove_keys)
        self._changed: dict[CounterKey, TaskCounterBuilder] = {}
        self._removed_keys: list[CounterKey] = []
        self._pending_batches: deque[PendingBatch] = deque()
        #: marks that are recognised: of pending batches, of the current write, of the last writes
        self._known_marks = set(array("q", marks))
        self._unwritten_marks: list[int] = []
        self._written_marks: deque[Sequence[int]] = deque([array("q", marks)])
        for each in counters:
            self._load_counters(each, now)

    def begin_batch(self, captured: CapturedBatch) -> PendingBatch:
        """The pending batch for the events of this captured batch, which are about to be folded."""
        if captured.messages:
            marks, duplicates = self._deduplicate(captured.events)
            batch = PendingBatch(captured.token, captured.received, marks, duplicates)
        else:
            # the broker does not keep the messages: there is no redelivery
            batch = PendingBatch(0, captured.received, (), frozenset())
        return batch

    def add_batch(self, batch: PendingBatch) -> None:
        """The events are folded, and the lists of the batch are filled."""
        batch.waits = [
            (task.name, _wait_seconds(event, task)) for event, task in batch.started if _has_known_wait(task)
        ]
        batch.started = []  # events take more memory than their counts
        self._pending_batches.append(batch)

    def collect(self, token: int) -> CounterUpdate:
        """The update to write when everything up to this token is about to be acknowledged. It is returned again until
        `mark_written` is called."""
        batches: list[PendingBatch] = []
        while self._pending_batches and self._pending_batches[0].token <= token:
            batches.append(self._pending_batches.popleft())
        if batches:
            self._count_batches(batches)
            self._unwritten_marks.extend(chain.from_iterable(batch.marks for batch in batches))
        marks = array("q", self._unwritten_marks).tobytes() if self._unwritten_marks else None
        return CounterUpdate([builder.counters for builder in self._changed.values()], tuple(self._removed_keys), marks)

    def mark_written(self) -> None:
        """The result of `collect` is on disk."""
        if self._unwritten_marks:
            self._written_marks.append(self._unwritten_marks)
            self._unwritten_marks = []
            if len(self._written_marks) > _MARK_GENERATIONS:
                self._known_marks.difference_update(self._written_marks.popleft())
        self._changed = {}
        self._removed_keys = []

    def _deduplicate(self, events: Sequence[Event]) -> tuple[Sequence[int], frozenset[int]]:
        """The marks of events not counted before, and the ids of events that were."""
        marks = [_event_mark(event) for event in events]
        distinct = set(marks)
        duplicates: frozenset[int] = frozenset()
        if len(distinct) < len(marks) or not distinct.isdisjoint(self._known_marks):
            new_events = {
                mark: id(event) for mark, event in zip(marks, events, strict=True) if mark not in self._known_marks
            }
            marks, duplicates = list(new_events), frozenset(map(id, events)).difference(new_events.values())
        self._known_marks.update(marks)
        return marks, duplicates

    def _count_batches(self, batches: Sequence[PendingBatch]) -> None:
        """Count several batches at once: the same few thousand combinations recur."""
        now, bounds = batches[-1].received, self._bounds
        counts = Counter(chain.from_iterable(batch.events for batch in batches))
        builders: dict[_WorkerTask, TaskCounterBuilder] = {}
        labels = {
            event_type: self._event_type_label(event_type, now)
            for event_type in dict.fromkeys(event_type for _, event_type, _ in counts)
        }
        for (worker, event_type, task), count in counts.items():
            builder = builders.get((worker, task))
            if builder is None:
                builder = builders[worker, task] = self._builder_for(worker or "", task or "", now)
            builder.add_events(labels[event_type], count, now)
        for key, histogram in build_histograms(
            chain.from_iterable(batch.runtimes for batch in batches), bounds, now
        ).items():
            builders[key].runtime_builder(now).merge(histogram.counts, histogram.total)
        for name, histogram in build_histograms(
            chain.from_iterable(batch.waits for batch in batches), bounds, now
        ).items():
            self._builder_for(None, name or "", now).wait_builder(now).merge(histogram.counts, histogram.total)

    def _event_type_label(self, event_type: str, now: float) -> str:
        return _clean_name(event_type) if self._types.admit(event_type, now) else OTHER

    def _builder_for(self, worker: str | None, task: str, now: float) -> TaskCounterBuilder:
        """The counters of this worker and task, created if necessary; the caller is going to change them."""
        worker, task = worker if worker is None else _clean_name(worker), _clean_name(task)
        if not self._tasks.admit(task, now):
            task = OTHER
        if worker is not None:
            if not self._workers.admit(worker, now):
                worker = OTHER
            elif task != OTHER and not self._worker_tasks.admit((worker, task), now):
                task = OTHER
        builder = self._builders.get((worker, task))
        if builder is None:
            builder = self._builders[worker, task] = TaskCounterBuilder((worker, task))
        self._changed[builder.key] = builder
        return builder

    def _load_counters(self, counters: TaskCounters, now: float) -> None:
        """Load counters of the previous recorder; there may be more than the limits permit."""
        self._builders[counters.key] = TaskCounterBuilder(counters.key, counters)
        if counters.task != OTHER:
            self._tasks.restore(counters.task, now)
        if counters.worker not in (None, OTHER):
            self._workers.restore(counters.worker, now)
            if counters.task != OTHER:
                self._worker_tasks.restore(counters.key, now)
        for event_type in counters.events:
            if event_type != OTHER:
                self._types.restore(event_type, now)

    def _remove_workers(self, names: Collection[str]) -> None:
        removed = set(names)
        self._remove_keys([key for key in self._builders if key[0] in removed])

    def _remove_tasks(self, names: Collection[str]) -> None:
        removed = set(names)
        self._remove_keys([key for key in self._builders if key[1] in removed])

    def _remove_keys(self, keys: Collection[CounterKey]) -> None:
        for key in keys:
            self._changed.pop(key, None)
            self._worker_tasks.remove(key)
            builder = self._builders.pop(key, None)
            if builder is not None:
                self._retain_runtime(builder)
        self._removed_keys.extend(keys)

    def _retain_runtime(self, builder: TaskCounterBuilder) -> None:
        """Keep the runtimes of a removed worker in the totals of the task type, which must not decrease."""
        runtime, (worker, task) = builder.counters.runtime, builder.key
        if runtime is not None and worker is not None and task in self._tasks:
            self._builder_for(None, task, runtime.created).runtime_builder(runtime.created).merge(
                runtime.counts, runtime.sum
            )


def _has_known_wait(task: Task) -> bool:
    """Whether the task was to start immediately and the time from which it waited is known."""
    return task.eta is None and (task.received is not None or task.sent is not None)


def _wait_seconds(event: Event, task: Task) -> float:
    """Seconds from sent to started. For a retry, seconds from received to started: before that it was running."""
    since = task.received if task.sent is None or (task.retries and task.received is not None) else task.sent
    return event.timestamp - (since or 0.0)


def _event_mark(event: Event) -> int:
    """64 bits, the same in every process: hashes of numbers are not salted."""
    return hash(
        (event.timestamp, event.clock or 0, _type_hash(event.type), crc32((event.uuid or "").encode(*_ENCODING)))
    )


@lru_cache(1_000)
def _type_hash(event_type: str) -> int:
    return crc32(event_type.encode(*_ENCODING))


def _clean_name(name: str) -> str:
    """Safe to store and transmit: without lone surrogates, limited in length."""
    if len(name) > _MAX_NAME_LENGTH:
        name = f"{name[: _MAX_NAME_LENGTH - 1]}…"
    return escape_surrogates(name)
