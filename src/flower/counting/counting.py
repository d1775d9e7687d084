"""Events to tallies. What is counted goes into the very write that makes the broker forget the events: so a crash loses
no count of what the broker has forgotten, and what the broker sends again, as we died before we could
tell it, is known by its mark and not counted a second time.
"""

from array import array
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Final
from zlib import crc32

from flower.capture.port import Captured
from flower.counting.pair import Pair, grouped
from flower.counting.roster import Roster
from flower.records import Event, Task
from flower.tallies import OTHER, Key, Tally, grid

#: Writes whose events are known again: at the time of the third the broker has long heard of the first.
_REMEMBERED: Final = 3
#: Characters of a name.
_LONGEST: Final = 500

#: How texts become bytes, lone surrogates too.
_BYTES: Final = ("utf-8", "surrogatepass")

#: Sender, type of event, task.
_What = tuple[str | None, str, str | None]
#: Sender and task, as the events have them.
_Pair = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is told apart. `names`: so many workers, tasks and types of events, of each; `pairs` of a worker and a
    task; `bounds`: the exact ones of durations, seconds."""

    names: int = 1_000
    pairs: int = 20_000
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """For the store: what these tallies are now, those to forget before, and the marks of the events in them that may
    come again (None: no such events)."""

    tallies: Sequence[Tally] = ()
    forgotten: Sequence[Key] = ()
    marks: bytes | None = None


@dataclass(slots=True)
class Portion:
    """What one batch of capture holds, until the broker may forget it. The recorder fills the lists while it folds: a
    function called for each event would cost more than all the counting."""

    token: int
    received: float
    marks: Sequence[int]
    #: by `id`, events that were counted before and come again
    repeated: frozenset[int]
    events: list[_What] = field(default_factory=list)
    #: what told a run time, and how long it was
    ended: list[tuple[_Pair, float]] = field(default_factory=list)
    #: events that tell of a start, with the task as it is after it; and how long each had waited
    started: list[tuple[Event, Task]] = field(default_factory=list)
    waits: list[tuple[str | None, float]] = field(default_factory=list)


class Counting:
    """Used by the recorder alone, in its thread."""

    def __init__(self, known: Iterable[Tally], marks: bytes, limits: Limits, now: float) -> None:
        """`known` and `marks` are what the store holds."""
        self._bounds = grid(limits.bounds)
        self._pairs: dict[Key, Pair] = {}
        self._workers = Roster[str]("workers and producers", limits.names, self._forget_workers)
        self._tasks = Roster[str]("types of tasks", limits.names, self._forget_tasks)
        self._types = Roster[str]("types of events", limits.names)
        self._places = Roster[Key]("pairs of a worker and a task", limits.pairs, self._forget)
        self._changed: dict[Key, Pair] = {}
        self._forgotten: list[Key] = []
        self._portions: deque[Portion] = deque()
        #: marks that are known again: of what is not written yet, what is just being written, the last writes
        self._marks = set(array("q", marks))
        self._due: list[int] = []
        self._written: deque[Sequence[int]] = deque([array("q", marks)])
        for tally in known:
            self._take_up(tally, now)

    def portion(self, captured: Captured) -> Portion:
        """For the events of this batch, which are going to be folded."""
        if captured.messages:
            marks, repeated = self._marked(captured.events)
            portion = Portion(captured.token, captured.received, marks, repeated)
        else:
            # the broker does not keep them: they will not come again
            portion = Portion(0, captured.received, (), frozenset())
        return portion

    def take(self, portion: Portion) -> None:
        """The events are folded, and the lists are full."""
        portion.waits = [(task.name, _wait(event, task)) for event, task in portion.started if _is_known(task)]
        portion.started = []  # events take more memory than what is counted of them
        self._portions.append(portion)

    def until(self, token: int) -> Counted:
        """What is to be written when the broker is then told to forget everything up to this token. It is given again
        until it was `written`."""
        due: list[Portion] = []
        while self._portions and self._portions[0].token <= token:
            due.append(self._portions.popleft())
        if due:
            self._count(due)
            self._due.extend(chain.from_iterable(portion.marks for portion in due))
        marks = array("q", self._due).tobytes() if self._due else None
        return Counted([pair.tally for pair in self._changed.values()], tuple(self._forgotten), marks)

    def written(self) -> None:
        """What `until` gave is on disk."""
        if self._due:
            self._written.append(self._due)
            self._due = []
            if len(self._written) > _REMEMBERED:
                self._marks.difference_update(self._written.popleft())
        self._changed = {}
        self._forgotten = []

    def _marked(self, events: Sequence[Event]) -> tuple[Sequence[int], frozenset[int]]:
        """The marks of those that were not counted before, and which ones were."""
        marks = [_mark(event) for event in events]
        distinct = set(marks)
        repeated: frozenset[int] = frozenset()
        if len(distinct) < len(marks) or not distinct.isdisjoint(self._marks):
            fresh = {mark: id(event) for mark, event in zip(marks, events, strict=True) if mark not in self._marks}
            marks, repeated = list(fresh), frozenset(map(id, events)).difference(fresh.values())
        self._marks.update(marks)
        return marks, repeated

    def _count(self, due: Sequence[Portion]) -> None:
        """All that one write brings at once: the same few thousand combinations come again and again."""
        now, bounds = due[-1].received, self._bounds
        counts = Counter(chain.from_iterable(portion.events for portion in due))
        touched: dict[_Pair, Pair] = {}
        kinds = {kind: self._kind(kind, now) for kind in dict.fromkeys(kind for _, kind, _ in counts)}
        for (worker, kind, task), count in counts.items():
            pair = touched.get((worker, task))
            if pair is None:
                pair = touched[worker, task] = self._pair(worker or "", task or "", now)
            pair.add(kinds[kind], count, now)
        for key, took in grouped(chain.from_iterable(portion.ended for portion in due), bounds, now).items():
            touched[key].runtime(now).merge(took.counts, took.total)
        for name, took in grouped(chain.from_iterable(portion.waits for portion in due), bounds, now).items():
            self._pair(None, name or "", now).wait(now).merge(took.counts, took.total)

    def _kind(self, kind: str, now: float) -> str:
        return _clean(kind) if self._types.admits(kind, now) else OTHER

    def _pair(self, worker: str | None, task: str, now: float) -> Pair:
        """The pair that stands for these two, made if need be; it is going to change."""
        worker, task = worker if worker is None else _clean(worker), _clean(task)
        if not self._tasks.admits(task, now):
            task = OTHER
        if worker is not None:
            if not self._workers.admits(worker, now):
                worker = OTHER
            elif task != OTHER and not self._places.admits((worker, task), now):
                task = OTHER
        pair = self._pairs.get((worker, task))
        if pair is None:
            pair = self._pairs[worker, task] = Pair((worker, task))
        self._changed[pair.key] = pair
        return pair

    def _take_up(self, tally: Tally, now: float) -> None:
        """What a recorder before us counted; that may be more than our limits allow."""
        self._pairs[tally.key] = Pair(tally.key, tally)
        if tally.task != OTHER:
            self._tasks.put(tally.task, now)
        if tally.worker not in (None, OTHER):
            self._workers.put(tally.worker, now)
            if tally.task != OTHER:
                self._places.put(tally.key, now)
        for kind in tally.events:
            if kind != OTHER:
                self._types.put(kind, now)

    def _forget_workers(self, names: Collection[str]) -> None:
        gone = set(names)
        self._forget([key for key in self._pairs if key[0] in gone])

    def _forget_tasks(self, names: Collection[str]) -> None:
        gone = set(names)
        self._forget([key for key in self._pairs if key[1] in gone])

    def _forget(self, keys: Collection[Key]) -> None:
        for key in keys:
            self._changed.pop(key, None)
            self._places.drop(key)
            pair = self._pairs.pop(key, None)
            if pair is not None:
                self._retire(pair)
        self._forgotten.extend(keys)

    def _retire(self, pair: Pair) -> None:
        """The run times of a type, all workers together, must not become fewer because a worker is forgotten."""
        runtime, (worker, task) = pair.tally.runtime, pair.key
        if runtime is not None and worker is not None and task in self._tasks:
            self._pair(None, task, runtime.created).runtime(runtime.created).merge(runtime.counts, runtime.sum)


def _is_known(task: Task) -> bool:
    """Whether it was to start at once, and since when it waited is known."""
    return task.eta is None and (task.received is not None or task.sent is not None)


def _wait(event: Event, task: Task) -> float:
    """Seconds from being sent to being started. Of one that is tried again only those at the worker: before that it
    ran."""
    since = task.received if task.sent is None or (task.retries and task.received is not None) else task.sent
    return event.timestamp - (since or 0.0)


def _mark(event: Event) -> int:
    """64 bits, the same in every process: hashes of numbers are not salted."""
    return hash((event.timestamp, event.clock or 0, _number(event.type), crc32((event.uuid or "").encode(*_BYTES))))


@lru_cache(1_000)
def _number(kind: str) -> int:
    return crc32(kind.encode(*_BYTES))


def _clean(name: str) -> str:
    """Fit for disk and wire: without lone surrogates, and not endless."""
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 1]}…"
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()
