"""Histograms by type of task, all workers together."""

from collections.abc import Iterable, Iterator
from math import fsum

from flower.metrics.families import TYPE_RUNTIME, WAIT
from flower.metrics.text import Buckets, head, labels
from flower.tallies import Key, Tally

#: Counts up to each bound, sum, when counting began.
_Took = tuple[list[int], float, float]


class Types:
    def __init__(self, bounds: Iterable[float]) -> None:
        self._runtime = Buckets(TYPE_RUNTIME, bounds)
        self._wait = Buckets(WAIT, self._runtime.bounds)
        #: of each type, by where it was counted
        self._took: dict[str, dict[Key, _Took]] = {}
        self._changed: set[str] = set()
        self._runtimes: dict[str, tuple[bytes, bytes]] = {}
        self._waits: dict[str, tuple[bytes, bytes]] = {}

    def clear(self) -> None:
        for kept in (self._took, self._changed, self._runtimes, self._waits):
            kept.clear()

    def put(self, tally: Tally, cumulative: list[int] | None) -> None:
        if tally.runtime is not None and cumulative is not None:
            took = cumulative, tally.runtime.sum, tally.runtime.created
            self._took.setdefault(tally.task, {})[tally.key] = took
            self._changed.add(tally.task)
        if tally.wait is not None:
            wait = tally.wait
            took = wait.cumulative(self._wait.bounds), wait.sum, wait.created
            self._waits[tally.task] = _lines(self._wait, tally.task, took)

    def lines(self) -> Iterator[bytes]:
        for task in self._changed:
            self._runtimes[task] = self._together(task)
        self._changed.clear()
        for family, kept in ((WAIT, self._waits), (TYPE_RUNTIME, self._runtimes)):
            yield head(family)
            yield from [lines for lines, _ in kept.values()]
            yield head(family, "_created")
            yield from [created for _, created in kept.values()]

    def _together(self, task: str) -> tuple[bytes, bytes]:
        took = self._took[task].values()
        counts = [sum(column) for column in zip(*(counts for counts, _, _ in took), strict=True)]
        # Exact whatever the order, and rounded: a sum that is less by the last bit would be taken for a restart.
        total = round(fsum(part for _, part, _ in took), 6)
        return _lines(self._runtime, task, (counts, total, min(at for _, _, at in took)))


def _lines(buckets: Buckets, task: str, took: _Took) -> tuple[bytes, bytes]:
    where, (counts, total, created) = labels(task=task), took
    return buckets.filled(buckets.template(where), counts, total), buckets.created(where, created)
