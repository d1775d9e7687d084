"""What is counted of one type of task on one worker; grows in place, and is told as a `Tally`."""

from bisect import bisect_left

from flower.tallies import Durations, Key, Tally


class Pair:
    __slots__ = ("_events", "_runtime", "_wait", "key", "used")

    def __init__(self, key: Key, tally: Tally | None = None) -> None:
        self.key = key
        #: when something was counted last, by our clock
        self.used = 0.0
        self._events = dict(tally.events) if tally else {}
        self._runtime = _Took(tally.runtime) if tally and tally.runtime else None
        self._wait = _Took(tally.wait) if tally and tally.wait else None

    def add(self, kind: str, count: int, now: float) -> None:
        known = self._events.get(kind)
        self._events[kind] = (count, now) if known is None else (known[0] + count, known[1])

    def ran(self, seconds: float, bounds: tuple[float, ...], now: float) -> None:
        if self._runtime is None:
            self._runtime = _Took(Durations({}, 0.0, now))
        self._runtime.add(seconds, bounds)

    def waited(self, seconds: float, bounds: tuple[float, ...], now: float) -> None:
        if self._wait is None:
            self._wait = _Took(Durations({}, 0.0, now))
        self._wait.add(seconds, bounds)

    @property
    def tally(self) -> Tally:
        return Tally(
            *self.key,
            self._events.copy(),
            self._runtime.durations if self._runtime else None,
            self._wait.durations if self._wait else None,
        )


class _Took:
    __slots__ = ("_counts", "_created", "_sum")

    def __init__(self, known: Durations) -> None:
        self._counts, self._sum, self._created = known.counts.copy(), known.sum, known.created

    def add(self, seconds: float, bounds: tuple[float, ...]) -> None:
        # two clocks may be involved
        seconds = max(seconds, 0.0)
        bound = bounds[bisect_left(bounds, seconds)]
        self._counts[bound] = self._counts.get(bound, 0) + 1
        self._sum += seconds

    @property
    def durations(self) -> Durations:
        return Durations(self._counts.copy(), self._sum, self._created)
