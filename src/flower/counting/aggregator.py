"""Aggregates events into counters, exactly once.

An event is counted in the same transaction that writes its effect on the task. After a crash, an event whose effect was
not written is delivered again and counted then; any other event that is delivered again leaves the task unchanged, and
is not counted.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from flower.counters import OTHER, CounterKey, CounterLimits, DurationHistogram, TaskCounters, duration_bucket_bounds
from flower.counting.cardinality import LabelLimiter
from flower.counting.event_counts import EventCounts, EventSequence, TaskCounts, WorkerTask, find_wait
from flower.records import Task
from flower.surrogates import escape_surrogates


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

    def add(self, seconds: Iterable[float], bounds: tuple[float, ...]) -> None:
        """Add durations. A negative one, from two different clocks, counts as 0."""
        counts, total = self.counts, self.total
        for value in seconds:
            bound = bounds[bisect_left(bounds, value)]
            counts[bound] = counts.get(bound, 0) + 1
            if value > 0.0:
                total += value
        self.total = total

    @property
    def histogram(self) -> DurationHistogram:
        return DurationHistogram(self.counts.copy(), self.total, self.created)


class TaskCounterBuilder:
    """Counters of one task type on one worker, updated in place."""

    __slots__ = ("_backoff", "_events", "_runtime", "_wait", "key")

    def __init__(self, key: CounterKey, counters: TaskCounters | None = None) -> None:
        self.key = key
        self._events = dict(counters.events) if counters else {}
        self._runtime = _restore(counters.runtime) if counters and counters.runtime else None
        self._wait = _restore(counters.wait) if counters and counters.wait else None
        self._backoff = _restore(counters.backoff) if counters and counters.backoff else None

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

    def backoff_builder(self, now: float) -> HistogramBuilder:
        if self._backoff is None:
            self._backoff = HistogramBuilder(now)
        return self._backoff

    @property
    def counters(self) -> TaskCounters:
        runtime, wait, backoff = self._runtime, self._wait, self._backoff
        return TaskCounters(
            self.key[0],
            self.key[1],
            self._events.copy(),
            None if runtime is None else runtime.histogram,
            None if wait is None else wait.histogram,
            None if backoff is None else backoff.histogram,
        )


def _restore(histogram: DurationHistogram) -> HistogramBuilder:
    builder = HistogramBuilder(histogram.created)
    builder.merge(histogram.counts, histogram.sum)
    return builder


#: Maximum number of characters of a name.
_MAX_NAME_LENGTH: Final = 500


@dataclass(frozen=True, slots=True)
class CounterUpdate:
    """For the store: the current values of changed counters, and keys to remove first."""

    counters: Sequence[TaskCounters] = ()
    removed_keys: Sequence[CounterKey] = ()


class _Group:
    """The events of one sender and task type in a write."""

    __slots__ = ("events", "runtimes", "sequences")

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.sequences: dict[EventSequence, int] = {}
        self.runtimes: list[float] = []

    def count_events(self) -> dict[str, int]:
        """Numbers of events by type."""
        counts = self.events
        for sequence, number in self.sequences.items():
            for event_type in sequence.worker_types:
                counts[event_type] = counts.get(event_type, 0) + number
        return counts


class _Totals:
    """The events of a write, added up by sender and task type; waits and backoffs by task type."""

    __slots__ = ("backoffs", "groups", "waits")

    def __init__(self) -> None:
        self.groups: defaultdict[WorkerTask, _Group] = defaultdict(_Group)
        self.waits: defaultdict[str | None, list[float]] = defaultdict(list)
        self.backoffs: defaultdict[str | None, list[float]] = defaultdict(list)

    def add_sequence(self, sequence: EventSequence, task: Task) -> None:
        name = task.name
        if sequence.worker_types:
            group = self.groups[task.hostname, name]
            group.sequences[sequence] = group.sequences.get(sequence, 0) + 1
            if sequence.has_end and task.runtime:
                group.runtimes.append(task.runtime)
            if sequence.has_start and (wait := find_wait(task)) is not None:
                self.waits[name].append(wait)
        if sequence.is_sent:
            events = self.groups[task.client, name].events
            events["task-sent"] = events.get("task-sent", 0) + 1

    def add(self, counts: EventCounts) -> None:
        for worker, event_type, name in counts.events:
            events = self.groups[worker, name].events
            events[event_type] = events.get(event_type, 0) + 1
        for key, runtime in counts.runtimes or ():
            self.groups[key].runtimes.append(runtime)
        for name, wait in counts.waits or ():
            self.waits[name].append(wait)
        for name, backoff in counts.backoffs or ():
            self.backoffs[name].append(backoff)

    def event_types(self) -> dict[str, None]:
        """The types, in the order in which they get a label."""
        return dict.fromkeys(
            event_type
            for group in self.groups.values()
            for event_type in chain(group.events, *(sequence.worker_types for sequence in group.sequences))
        )


class EventAggregator:
    """Adds up the events of captured batches. Used by the recorder only, in its thread."""

    def __init__(self, counters: Iterable[TaskCounters], limits: CounterLimits, now: float) -> None:
        """`counters` is the content of the store."""
        self._bounds = duration_bucket_bounds(limits.bucket_bounds)
        self._builders: dict[CounterKey, TaskCounterBuilder] = {}
        self._workers = LabelLimiter[str]("workers and producers", limits.max_names, self._remove_workers)
        self._tasks = LabelLimiter[str]("task types", limits.max_names, self._remove_tasks)
        self._types = LabelLimiter[str]("event types", limits.max_names)
        self._worker_tasks = LabelLimiter[CounterKey]("(worker, task type) pairs", limits.max_pairs, self._remove_keys)
        self._changed: dict[CounterKey, TaskCounterBuilder] = {}
        self._removed_keys: list[CounterKey] = []
        for each in counters:
            self._load_counters(each, now)

    def collect(self, counts: Sequence[tuple[TaskCounts, Task | None]], now: float) -> CounterUpdate:
        """Add these counts, each with the present record of its task. Returns the update to write; a part that was not
        written is returned again."""
        if counts:
            self._add_counts(counts, now)
        return CounterUpdate([builder.counters for builder in self._changed.values()], tuple(self._removed_keys))

    def list_full_labels(self, now: float) -> list[str]:
        """The kinds of names of which some were counted as OTHER within the last hour."""
        limiters = (self._tasks, self._workers, self._types, self._worker_tasks)
        return [limiter.label_name for limiter in limiters if limiter.is_full(now)]

    def mark_written(self) -> None:
        """The result of `collect` is on disk."""
        self._changed = {}
        self._removed_keys = []

    def _add_counts(self, pending: Iterable[tuple[TaskCounts, Task | None]], now: float) -> None:
        """Count the events of many tasks at once: the same few thousand combinations recur."""
        totals = _Totals()
        for counts, task in pending:
            if isinstance(counts, EventCounts):
                totals.add(counts)
            elif task is not None:
                totals.add_sequence(counts, task)
        bounds = self._bounds
        labels = {event_type: self._event_type_label(event_type, now) for event_type in totals.event_types()}
        for (worker, name), group in totals.groups.items():
            builder = self._builder_for(worker or "", name or "", now)
            for event_type, count in group.count_events().items():
                builder.add_events(labels[event_type], count, now)
            if group.runtimes:
                builder.runtime_builder(now).add(group.runtimes, bounds)
        for name, waits in totals.waits.items():
            self._builder_for(None, name or "", now).wait_builder(now).add(waits, bounds)
        for name, backoffs in totals.backoffs.items():
            self._builder_for(None, name or "", now).backoff_builder(now).add(backoffs, bounds)

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


def _clean_name(name: str) -> str:
    """Safe to store and transmit: without lone surrogates, limited in length."""
    if len(name) > _MAX_NAME_LENGTH:
        name = f"{name[: _MAX_NAME_LENGTH - 1]}…"
    return escape_surrogates(name)
