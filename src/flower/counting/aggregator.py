"""What is counted of one type of task on one worker; grows in place, and is told as a `Tally`.

Events to tallies. What is counted goes into the very write that makes the broker forget the events: so a crash loses
no count of what the broker has forgotten, and what the broker sends again, as we died before we could
tell it, is known by its mark and not counted a second time.
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
from flower.counters import OTHER, CounterKey, DurationHistogram, TaskCounters, duration_bucket_bounds
from flower.counting.cardinality import LabelLimiter
from flower.records import Event, Task
from flower.text_encoding import escape_surrogates

K = TypeVar("K", bound=Hashable)


class HistogramBuilder:
    """Durations that grow."""

    __slots__ = ("counts", "created", "total")

    def __init__(self, created: float) -> None:
        self.counts: dict[float, int] = {}
        self.total = 0.0
        self.created = created

    def merge(self, counts: Mapping[float, int], total: float) -> None:
        known = self.counts
        for bound, count in counts.items():
            known[bound] = known.get(bound, 0) + count
        self.total += total

    @property
    def histogram(self) -> DurationHistogram:
        return DurationHistogram(self.counts.copy(), self.total, self.created)


def build_histograms(
    seconds: Iterable[tuple[K, float]], bounds: tuple[float, ...], now: float
) -> dict[K, HistogramBuilder]:
    """Durations by key. Negative ones, where two clocks are involved, are none."""
    found: dict[K, HistogramBuilder] = {}
    for key, value in seconds:
        took = found.get(key)
        if took is None:
            took = found[key] = HistogramBuilder(now)
        counts, bound = took.counts, bounds[bisect_left(bounds, value)]
        counts[bound] = counts.get(bound, 0) + 1
        if value > 0.0:
            took.total += value
    return found


class TaskCounterBuilder:
    __slots__ = ("_events", "_runtime", "_wait", "key")

    def __init__(self, key: CounterKey, tally: TaskCounters | None = None) -> None:
        self.key = key
        self._events = dict(tally.events) if tally else {}
        self._runtime = _restore(tally.runtime) if tally and tally.runtime else None
        self._wait = _restore(tally.wait) if tally and tally.wait else None

    def add_events(self, kind: str, count: int, now: float) -> None:
        known = self._events.get(kind)
        self._events[kind] = (count, now) if known is None else (known[0] + count, known[1])

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


def _restore(known: DurationHistogram) -> HistogramBuilder:
    took = HistogramBuilder(known.created)
    took.merge(known.counts, known.sum)
    return took


#: Writes whose events are known again: at the time of the third the broker has long heard of the first.
_MARK_GENERATIONS: Final = 3

#: Characters of a name.
_MAX_NAME_LENGTH: Final = 500

#: How texts become bytes, lone surrogates too.
_ENCODING: Final = ("utf-8", "surrogatepass")

#: Sender, type of event, task.
_CountKey = tuple[str | None, str, str | None]

#: Sender and task, as the events have them.
_WorkerTask = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class CounterLimits:
    """How much is told apart. `names`: so many workers, tasks and types of events, of each; `pairs` of a worker and a
    task; `bounds`: the exact ones of durations, seconds."""

    max_names: int = 1_000
    max_pairs: int = 20_000
    bucket_bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class CounterUpdate:
    """For the store: what these tallies are now, those to forget before, and the marks of the events in them that may
    come again (None: no such events)."""

    counters: Sequence[TaskCounters] = ()
    removed_keys: Sequence[CounterKey] = ()
    marks: bytes | None = None


@dataclass(slots=True)
class PendingBatch:
    """What one batch of capture holds, until the broker may forget it. The recorder fills the lists while it folds: a
    function called for each event would cost more than all the counting."""

    token: int
    received: float
    marks: Sequence[int]
    #: by `id`, events that were counted before and come again
    duplicates: frozenset[int]
    events: list[_CountKey] = field(default_factory=list)
    #: what told a run time, and how long it was
    runtimes: list[tuple[_WorkerTask, float]] = field(default_factory=list)
    #: events that tell of a start, with the task as it is after it; and how long each had waited
    started: list[tuple[Event, Task]] = field(default_factory=list)
    waits: list[tuple[str | None, float]] = field(default_factory=list)


class EventAggregator:
    """Used by the recorder alone, in its thread."""

    def __init__(self, known: Iterable[TaskCounters], marks: bytes, limits: CounterLimits, now: float) -> None:
        """`known` and `marks` are what the store holds."""
        self._bounds = duration_bucket_bounds(limits.bucket_bounds)
        self._builders: dict[CounterKey, TaskCounterBuilder] = {}
        self._workers = LabelLimiter[str]("workers and producers", limits.max_names, self._remove_workers)
        self._tasks = LabelLimiter[str]("types of tasks", limits.max_names, self._remove_tasks)
        self._types = LabelLimiter[str]("types of events", limits.max_names)
        self._worker_tasks = LabelLimiter[CounterKey](
            "pairs of a worker and a task", limits.max_pairs, self._remove_keys
        )
        self._changed: dict[CounterKey, TaskCounterBuilder] = {}
        self._removed_keys: list[CounterKey] = []
        self._pending_batches: deque[PendingBatch] = deque()
        #: marks that are known again: of what is not written yet, what is just being written, the last writes
        self._known_marks = set(array("q", marks))
        self._unwritten_marks: list[int] = []
        self._written_marks: deque[Sequence[int]] = deque([array("q", marks)])
        for tally in known:
            self._load_counters(tally, now)

    def begin_batch(self, captured: CapturedBatch) -> PendingBatch:
        """For the events of this batch, which are going to be folded."""
        if captured.messages:
            marks, repeated = self._deduplicate(captured.events)
            portion = PendingBatch(captured.token, captured.received, marks, repeated)
        else:
            # the broker does not keep them: they will not come again
            portion = PendingBatch(0, captured.received, (), frozenset())
        return portion

    def add_batch(self, portion: PendingBatch) -> None:
        """The events are folded, and the lists are full."""
        portion.waits = [
            (task.name, _wait_seconds(event, task)) for event, task in portion.started if _has_known_wait(task)
        ]
        portion.started = []  # events take more memory than what is counted of them
        self._pending_batches.append(portion)

    def collect(self, token: int) -> CounterUpdate:
        """What is to be written when the broker is then told to forget everything up to this token. It is given again
        until it was `written`."""
        due: list[PendingBatch] = []
        while self._pending_batches and self._pending_batches[0].token <= token:
            due.append(self._pending_batches.popleft())
        if due:
            self._count_batches(due)
            self._unwritten_marks.extend(chain.from_iterable(portion.marks for portion in due))
        marks = array("q", self._unwritten_marks).tobytes() if self._unwritten_marks else None
        return CounterUpdate([pair.counters for pair in self._changed.values()], tuple(self._removed_keys), marks)

    def mark_written(self) -> None:
        """What `until` gave is on disk."""
        if self._unwritten_marks:
            self._written_marks.append(self._unwritten_marks)
            self._unwritten_marks = []
            if len(self._written_marks) > _MARK_GENERATIONS:
                self._known_marks.difference_update(self._written_marks.popleft())
        self._changed = {}
        self._removed_keys = []

    def _deduplicate(self, events: Sequence[Event]) -> tuple[Sequence[int], frozenset[int]]:
        """The marks of those that were not counted before, and which ones were."""
        marks = [_event_mark(event) for event in events]
        distinct = set(marks)
        repeated: frozenset[int] = frozenset()
        if len(distinct) < len(marks) or not distinct.isdisjoint(self._known_marks):
            fresh = {
                mark: id(event) for mark, event in zip(marks, events, strict=True) if mark not in self._known_marks
            }
            marks, repeated = list(fresh), frozenset(map(id, events)).difference(fresh.values())
        self._known_marks.update(marks)
        return marks, repeated

    def _count_batches(self, due: Sequence[PendingBatch]) -> None:
        """All that one write brings at once: the same few thousand combinations come again and again."""
        now, bounds = due[-1].received, self._bounds
        counts = Counter(chain.from_iterable(portion.events for portion in due))
        touched: dict[_WorkerTask, TaskCounterBuilder] = {}
        kinds = {kind: self._event_type_label(kind, now) for kind in dict.fromkeys(kind for _, kind, _ in counts)}
        for (worker, kind, task), count in counts.items():
            pair = touched.get((worker, task))
            if pair is None:
                pair = touched[worker, task] = self._builder_for(worker or "", task or "", now)
            pair.add_events(kinds[kind], count, now)
        for key, took in build_histograms(
            chain.from_iterable(portion.runtimes for portion in due), bounds, now
        ).items():
            touched[key].runtime_builder(now).merge(took.counts, took.total)
        for name, took in build_histograms(chain.from_iterable(portion.waits for portion in due), bounds, now).items():
            self._builder_for(None, name or "", now).wait_builder(now).merge(took.counts, took.total)

    def _event_type_label(self, kind: str, now: float) -> str:
        return _clean_name(kind) if self._types.admit(kind, now) else OTHER

    def _builder_for(self, worker: str | None, task: str, now: float) -> TaskCounterBuilder:
        """The pair that stands for these two, made if need be; it is going to change."""
        worker, task = worker if worker is None else _clean_name(worker), _clean_name(task)
        if not self._tasks.admit(task, now):
            task = OTHER
        if worker is not None:
            if not self._workers.admit(worker, now):
                worker = OTHER
            elif task != OTHER and not self._worker_tasks.admit((worker, task), now):
                task = OTHER
        pair = self._builders.get((worker, task))
        if pair is None:
            pair = self._builders[worker, task] = TaskCounterBuilder((worker, task))
        self._changed[pair.key] = pair
        return pair

    def _load_counters(self, tally: TaskCounters, now: float) -> None:
        """What a recorder before us counted; that may be more than our limits allow."""
        self._builders[tally.key] = TaskCounterBuilder(tally.key, tally)
        if tally.task != OTHER:
            self._tasks.restore(tally.task, now)
        if tally.worker not in (None, OTHER):
            self._workers.restore(tally.worker, now)
            if tally.task != OTHER:
                self._worker_tasks.restore(tally.key, now)
        for kind in tally.events:
            if kind != OTHER:
                self._types.restore(kind, now)

    def _remove_workers(self, names: Collection[str]) -> None:
        gone = set(names)
        self._remove_keys([key for key in self._builders if key[0] in gone])

    def _remove_tasks(self, names: Collection[str]) -> None:
        gone = set(names)
        self._remove_keys([key for key in self._builders if key[1] in gone])

    def _remove_keys(self, keys: Collection[CounterKey]) -> None:
        for key in keys:
            self._changed.pop(key, None)
            self._worker_tasks.remove(key)
            pair = self._builders.pop(key, None)
            if pair is not None:
                self._retain_runtime(pair)
        self._removed_keys.extend(keys)

    def _retain_runtime(self, pair: TaskCounterBuilder) -> None:
        """The run times of a type, all workers together, must not become fewer because a worker is forgotten."""
        runtime, (worker, task) = pair.counters.runtime, pair.key
        if runtime is not None and worker is not None and task in self._tasks:
            self._builder_for(None, task, runtime.created).runtime_builder(runtime.created).merge(
                runtime.counts, runtime.sum
            )


def _has_known_wait(task: Task) -> bool:
    """Whether it was to start at once, and since when it waited is known."""
    return task.eta is None and (task.received is not None or task.sent is not None)


def _wait_seconds(event: Event, task: Task) -> float:
    """Seconds from being sent to being started. Of one that is tried again only those at the worker: before that it
    ran."""
    since = task.received if task.sent is None or (task.retries and task.received is not None) else task.sent
    return event.timestamp - (since or 0.0)


def _event_mark(event: Event) -> int:
    """64 bits, the same in every process: hashes of numbers are not salted."""
    return hash(
        (event.timestamp, event.clock or 0, _type_hash(event.type), crc32((event.uuid or "").encode(*_ENCODING)))
    )


@lru_cache(1_000)
def _type_hash(kind: str) -> int:
    return crc32(kind.encode(*_ENCODING))


def _clean_name(name: str) -> str:
    """Fit for disk and wire: without lone surrogates, and not endless."""
    if len(name) > _MAX_NAME_LENGTH:
        name = f"{name[: _MAX_NAME_LENGTH - 1]}…"
    return escape_surrogates(name)
