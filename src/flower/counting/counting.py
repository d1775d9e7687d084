"""Events to tallies. What is counted goes into the very write that makes the broker forget the events: so a crash loses
no count of what the broker has forgotten, and what the broker sends again, as we died before we could
tell it, is known by its mark and not counted a second time.
"""

from array import array
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from flower.capture.port import Captured
from flower.counting.pair import Pair
from flower.counting.roster import Roster
from flower.records import Event, Task
from flower.tallies import OTHER, Key, Tally, grid

#: Writes whose events are known again: at the time of the third the broker has long heard of the first.
_REMEMBERED: Final = 3
#: Characters of a name.
_LONGEST: Final = 500

#: Sender, type of event, task.
_What = tuple[str | None, str, str | None]
#: Sender, task, seconds.
_Took = tuple[str | None, str | None, float]


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
class _Portion:
    """What one batch of capture held, until the broker may forget it."""

    token: int
    received: float
    events: Mapping[_What, int]
    runtimes: Sequence[_Took]
    waits: Sequence[_Took]
    marks: "array[int]"


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
        self._portions: deque[_Portion] = deque()
        #: marks of events that are not written yet, and of those in the last writes
        self._fresh: set[int] = set()
        self._written: deque[set[int]] = deque([set(array("q", marks))], maxlen=_REMEMBERED)
        self._due: list[array[int]] = []
        for tally in known:
            self._take_up(tally, now)

    def take(self, captured: Captured, folded: Sequence[tuple[Event, Task]]) -> None:
        """Count the task events of a batch; each comes with its task as it is after it."""
        marks = array("q")
        if captured.messages:
            folded = self._new(folded, marks)
        portion = _Portion(
            captured.token,
            captured.received,
            Counter([(event.hostname, event.type, task.name) for event, task in folded]),
            [(event.hostname, task.name, event.runtime) for event, task in folded if event.runtime],
            [(None, task.name, _wait(event, task)) for event, task in folded if _began(event, task)],
            marks,
        )
        if captured.messages:
            self._portions.append(portion)
        else:
            # the broker does not keep them: they will not come again
            self._count(portion)

    def until(self, token: int) -> Counted:
        """What is to be written when the broker is then told to forget everything up to this token. It is given again
        until it was `written`."""
        while self._portions and self._portions[0].token <= token:
            portion = self._portions.popleft()
            self._count(portion)
            if portion.marks:
                self._due.append(portion.marks)
        marks = b"".join(part.tobytes() for part in self._due) if self._due else None
        return Counted([pair.tally for pair in self._changed.values()], tuple(self._forgotten), marks)

    def written(self) -> None:
        """What `until` gave is on disk."""
        if self._due:
            done = set().union(*self._due)
            self._fresh -= done
            self._written.append(done)
            self._due = []
        self._changed = {}
        self._forgotten = []

    def _new(self, folded: Sequence[tuple[Event, Task]], marks: "array[int]") -> list[tuple[Event, Task]]:
        """Those that were not counted before. Adds their marks."""
        fresh, written = self._fresh, set().union(*self._written)
        found = []
        for each in folded:
            mark = _mark(each[0])
            if mark not in fresh and mark not in written:
                fresh.add(mark)
                marks.append(mark)
                found.append(each)
        return found

    def _count(self, portion: _Portion) -> None:
        now, bounds = portion.received, self._bounds
        for (worker, kind, task), count in portion.events.items():
            label = kind if self._types.admits(kind, now) else OTHER
            self._pair(worker or "", task or "", now).add(_clean(label), count, now)
        for worker, task, seconds in portion.runtimes:
            self._pair(worker or "", task or "", now).ran(seconds, bounds, now)
            self._pair(None, task or "", now).ran(seconds, bounds, now)
        for worker, task, seconds in portion.waits:
            self._pair(worker, task or "", now).waited(seconds, bounds, now)

    def _pair(self, worker: str | None, task: str, now: float) -> Pair:
        pair = self._pairs.get((worker, task))
        if pair is None or pair.used != now:
            pair = self._admitted(worker, task, now)
            pair.used = now
            self._changed[pair.key] = pair
        return pair

    def _admitted(self, worker: str | None, task: str, now: float) -> Pair:
        """The pair that stands for these two, made if need be."""
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
            self._pairs.pop(key, None)
            self._changed.pop(key, None)
            self._places.drop(key)
        self._forgotten.extend(keys)


def _began(event: Event, task: Task) -> bool:
    """Whether this is the start of a task that was to start at once, of which is known since when it waited."""
    return event.type == "task-started" and task.eta is None and (task.received is not None or task.sent is not None)


def _wait(event: Event, task: Task) -> float:
    """Seconds in queue and prefetch. Of a task that is tried again only those at the worker: before that it ran."""
    since = task.received if task.sent is None or (task.retries and task.received is not None) else task.sent
    return event.timestamp - (since or 0.0)


def _mark(event: Event) -> int:
    """64 bits, the same in every process: hashes of numbers are not salted."""
    ids = crc32((event.uuid or "").encode("utf-8", "replace")), crc32(event.type.encode("utf-8", "replace"))
    return hash((event.timestamp, event.clock or 0, event.pid or 0, *ids))


def _clean(name: str) -> str:
    """Fit for disk and wire: without lone surrogates, and not endless."""
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 1]}…"
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()
