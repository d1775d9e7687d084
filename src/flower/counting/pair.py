"""What is counted of one type of task on one worker; grows in place, and is told as a `Tally`."""

from bisect import bisect_left

from flower.tallies import Durations, Key, Tally


class Took:
    """Durations that grow."""

    __slots__ = ("_counts", "_created", "_sum")

    def __init__(self, known: Durations) -> None:
        self._counts, self._sum, self._created = known.counts.copy(), known.sum, known.created

    def add(self, seconds: float, bounds: tuple[float, ...]) -> None:
        seconds = max(seconds, 0.0)  # two clocks may be involved
        bound = bounds[bisect_left(bounds, seconds)]
        counts = self._counts
        counts[bound] = counts.get(bound, 0) + 1
        self._sum += seconds

    def merge(self, others: Durations) -> None:
        for bound, count in others.counts.items():
            self._counts[bound] = self._counts.get(bound, 0) + count
        self._sum += others.sum

    @property
    def durations(self) -> Durations:
        return Durations(self._counts.copy(), self._sum, self._created)


class Pair:
    __slots__ = ("_events", "_runtime", "_wait", "key")

    def __init__(self, key: Key, tally: Tally | None = None) -> None:
        self.key = key
        self._events = dict(tally.events) if tally else {}
        self._runtime = Took(tally.runtime) if tally and tally.runtime else None
        self._wait = Took(tally.wait) if tally and tally.wait else None

    def add(self, kind: str, count: int, now: float) -> None:
        known = self._events.get(kind)
        self._events[kind] = (count, now) if known is None else (known[0] + count, known[1])

    def runtime(self, now: float) -> Took:
        if self._runtime is None:
            self._runtime = Took(Durations({}, 0.0, now))
        return self._runtime

    def wait(self, now: float) -> Took:
        if self._wait is None:
            self._wait = Took(Durations({}, 0.0, now))
        return self._wait

    @property
    def tally(self) -> Tally:
        runtime, wait = self._runtime, self._wait
        return Tally(
            self.key[0],
            self.key[1],
            self._events.copy(),
            None if runtime is None else runtime.durations,
            None if wait is None else wait.durations,
        )
