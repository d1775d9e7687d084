"""The lines of what was counted, by worker and task. They are written when a tally changes, and kept."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from flower.metrics.families import EVENTS, PREFETCH_TIME, PREFETCHED, RUNTIME
from flower.metrics.text import Buckets, head, labels, line
from flower.tallies import OTHER, InFlight, Key, Tally


@dataclass(slots=True)
class Place:
    """A worker and a task: what is written of them, for each section of the answer, and how. Only two of the lines
    change when something is counted, and of these only the numbers."""

    where: bytes
    #: of the two gauges, while nothing waits or runs
    no_wait: bytes
    none_waits: bytes
    #: how the lines of these types of events are written
    kinds: tuple[str, ...] = ()
    events_template: bytes = b""
    runtime_template: bytes = b""
    events: bytes = b""
    events_created: bytes = b""
    runtime: bytes = b""
    runtime_created: bytes = b""


class Pairs:
    """All of them, but those of all workers together."""

    def __init__(self, bounds: Iterable[float]) -> None:
        self.buckets = Buckets(RUNTIME, bounds)
        self._places: dict[Key, Place] = {}
        self._shown: dict[Key, Place] = {}

    def clear(self) -> None:
        self._places.clear()

    def put(self, tally: Tally, cumulative: list[int] | None) -> None:
        """`cumulative` of its run times, if there are any."""
        place = self._places.get(tally.key)
        if place is None:
            place = self._places[tally.key] = _place(tally)
        if place.kinds != (kinds := tuple(tally.events)):
            _learn(place, tally, kinds)
        place.events = place.events_template % tuple([count for count, _ in tally.events.values()])
        if tally.runtime is not None and cumulative is not None:
            if not place.runtime_template:
                place.runtime_template = self.buckets.template(place.where)
                place.runtime_created = self.buckets.created(place.where, tally.runtime.created)
            place.runtime = self.buckets.filled(place.runtime_template, cumulative, tally.runtime.sum)

    def workers(self) -> set[str]:
        return {worker for worker, _ in self._places if worker is not None}

    def counted(self, hidden: Collection[str]) -> Iterator[bytes]:
        """Of all workers but these."""
        self._shown = {key: place for key, place in self._places.items() if key[0] not in hidden}
        shown = self._shown.values()
        yield head(EVENTS, "_total")
        yield from [place.events for place in shown]
        yield head(EVENTS, "_created")
        yield from [place.events_created for place in shown]
        yield head(RUNTIME)
        yield from [place.runtime for place in shown]
        yield head(RUNTIME, "_created")
        yield from [place.runtime_created for place in shown]

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
            if key in self._places:
                return key
        return worker, task


def _place(tally: Tally) -> Place:
    where = labels(worker=tally.worker or "", task=tally.task)
    return Place(where, b"", b"")


def _learn(place: Place, tally: Tally, kinds: tuple[str, ...]) -> None:
    """Types of events that it did not have."""
    name = EVENTS.name.encode()
    each = {kind: labels(worker=tally.worker or "", task=tally.task, type=kind) for kind in kinds}
    place.kinds = kinds
    place.events_template = b"".join(b"%b_total{%b} %%d.0\n" % (name, _plain(where)) for where in each.values())
    place.events_created = b"".join(
        line(f"{EVENTS.name}_created", where, tally.events[kind][1]) for kind, where in each.items()
    )
    place.no_wait = line(PREFETCH_TIME.name, place.where, 0.0) if "task-started" in kinds else b""
    place.none_waits = line(PREFETCHED.name, place.where, 0.0) if "task-received" in kinds else b""


def _plain(where: bytes) -> bytes:
    """For a template."""
    return where.replace(b"%", b"%%")
