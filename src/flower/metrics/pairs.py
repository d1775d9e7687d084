"""The lines of what was counted, by worker and task. They are written when a tally changes, and kept."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from flower.metrics.families import EVENTS, PREFETCH_TIME, PREFETCHED, RUNTIME
from flower.metrics.text import Buckets, head, labels, line
from flower.tallies import OTHER, InFlight, Key, Tally


@dataclass(frozen=True, slots=True)
class Place:
    """How a worker and a task are written; does not change as long as the pair is known."""

    where: bytes
    #: of the two gauges, while nothing waits or runs
    no_wait: bytes
    none_waits: bytes
    #: labels of each type of event, with the line that tells since when it is counted
    kinds: dict[str, tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of one pair, for each section of the answer."""

    events: bytes
    events_created: bytes
    runtime: bytes
    runtime_created: bytes
    no_wait: bytes
    none_waits: bytes


class Pairs:
    """All of them, but those of all workers together."""

    def __init__(self, bounds: Iterable[float]) -> None:
        self.buckets = Buckets(RUNTIME, bounds)
        self._places: dict[Key, Place] = {}
        self._lines: dict[Key, Lines] = {}
        self._shown: dict[Key, Lines] = {}
        self._hidden: frozenset[str] = frozenset()

    def clear(self) -> None:
        self._places.clear()
        self._lines.clear()

    def put(self, tally: Tally, cumulative: list[int] | None) -> None:
        """`cumulative` of its run times, if there are any."""
        place = self._places.get(tally.key)
        if place is None:
            place = self._places[tally.key] = _place(tally)
        self._lines[tally.key] = self._written(place, tally, cumulative)

    def workers(self) -> set[str]:
        return {worker for worker, _ in self._lines if worker is not None}

    def counted(self, hidden: Collection[str]) -> Iterator[bytes]:
        """Of all workers but these."""
        self._shown = {key: lines for key, lines in self._lines.items() if key[0] not in hidden}
        shown = self._shown.values()
        yield head(EVENTS, "_total")
        yield from [lines.events for lines in shown]
        yield head(EVENTS, "_created")
        yield from [lines.events_created for lines in shown]
        yield head(RUNTIME)
        yield from [lines.runtime for lines in shown]
        yield head(RUNTIME, "_created")
        yield from [lines.runtime_created for lines in shown]

    def gauges(self, flight: dict[Key, InFlight]) -> Iterator[bytes]:
        """Of those that `counted` gave last, and of all that are in flight."""
        other = {key: labels(worker=key[0] or "", task=key[1]) for key in flight}
        yield head(PREFETCH_TIME)
        for key, kept in self._shown.items():
            if key not in flight:
                yield kept.no_wait
        yield from (line(PREFETCH_TIME.name, other[key], each.waited or 0.0) for key, each in flight.items())
        yield head(PREFETCHED)
        for key, kept in self._shown.items():
            if key not in flight:
                yield kept.none_waits
        yield from (line(PREFETCHED.name, other[key], each.waiting) for key, each in flight.items())

    def standing_for(self, worker: str, task: str) -> Key:
        """Under which pair a worker and a task are counted: beyond the limits it is not their own."""
        for key in ((worker, task), (worker, OTHER), (OTHER, task), (OTHER, OTHER)):
            if key in self._lines:
                return key
        return worker, task

    def _written(self, place: Place, tally: Tally, cumulative: list[int] | None) -> Lines:
        events, created = [], []
        for kind, (count, since) in tally.events.items():
            known = place.kinds.get(kind)
            if known is None:
                known = place.kinds[kind] = _of_kind(tally, kind, since)
            events.append(b"%b %d.0\n" % (known[0], count))
            created.append(known[1])
        runtime = tally.runtime
        times = (
            b"" if runtime is None or cumulative is None else self.buckets.lines(place.where, cumulative, runtime.sum)
        )
        began = b"" if runtime is None else self.buckets.created(place.where, runtime.created)
        return Lines(
            b"".join(events),
            b"".join(created),
            times,
            began,
            place.no_wait if "task-started" in tally.events else b"",
            place.none_waits if "task-received" in tally.events else b"",
        )


def _place(tally: Tally) -> Place:
    where = labels(worker=tally.worker or "", task=tally.task)
    return Place(where, line(PREFETCH_TIME.name, where, 0.0), line(PREFETCHED.name, where, 0.0), {})


def _of_kind(tally: Tally, kind: str, since: float) -> tuple[bytes, bytes]:
    where = labels(worker=tally.worker or "", task=tally.task, type=kind)
    name = EVENTS.name.encode()
    return b"%b_total{%b}" % (name, where), line(f"{EVENTS.name}_created", where, since)
