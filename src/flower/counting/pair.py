"""What is counted of one type of task on one worker; grows in place, and is told as a `Tally`."""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from flower.tallies import CounterKey, DurationHistogram, TaskCounters

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
