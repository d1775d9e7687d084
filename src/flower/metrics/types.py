"""Histograms by type of task, all workers together."""

from collections.abc import Iterable, Iterator
from math import fsum

from flower.metrics.families import TYPE_RUNTIME, WAIT
from flower.metrics.text import HistogramTemplate, format_header, format_labels
from flower.tallies import CounterKey, TaskCounters

#: Counts up to each bound, sum, when counting began.
_HistogramValues = tuple[list[int], float, float]


class TaskTypeHistograms:
    def __init__(self, bounds: Iterable[float]) -> None:
        self._runtime = HistogramTemplate(TYPE_RUNTIME, bounds)
        self._wait = HistogramTemplate(WAIT, self._runtime.bounds)
        #: of each type, by where it was counted
        self._values: dict[str, dict[CounterKey, _HistogramValues]] = {}
        self._changed_tasks: set[str] = set()
        self._runtime_lines: dict[str, tuple[bytes, bytes]] = {}
        self._wait_lines: dict[str, tuple[bytes, bytes]] = {}

    def clear(self) -> None:
        for kept in (self._values, self._changed_tasks, self._runtime_lines, self._wait_lines):
            kept.clear()

    def update(self, tally: TaskCounters, cumulative: list[int] | None) -> None:
        if tally.runtime is not None and cumulative is not None:
            took = cumulative, tally.runtime.sum, tally.runtime.created
            self._values.setdefault(tally.task, {})[tally.key] = took
            self._changed_tasks.add(tally.task)
        if tally.wait is not None:
            wait = tally.wait
            took = wait.cumulative(self._wait.bounds), wait.sum, wait.created
            self._wait_lines[tally.task] = _format_histogram(self._wait, tally.task, took)

    def render(self) -> Iterator[bytes]:
        for task in self._changed_tasks:
            self._runtime_lines[task] = self._aggregate_runtime(task)
        self._changed_tasks.clear()
        for family, kept in ((WAIT, self._wait_lines), (TYPE_RUNTIME, self._runtime_lines)):
            yield format_header(family)
            yield from [lines for lines, _ in kept.values()]
            yield format_header(family, "_created")
            yield from [created for _, created in kept.values()]

    def _aggregate_runtime(self, task: str) -> tuple[bytes, bytes]:
        took = self._values[task].values()
        counts = [sum(column) for column in zip(*(counts for counts, _, _ in took), strict=True)]
        # Exact whatever the order, and rounded: a sum that is less by the last bit would be taken for a restart.
        total = round(fsum(part for _, part, _ in took), 6)
        return _format_histogram(self._runtime, task, (counts, total, min(at for _, _, at in took)))


def _format_histogram(buckets: HistogramTemplate, task: str, took: _HistogramValues) -> tuple[bytes, bytes]:
    where, (counts, total, created) = format_labels(task=task), took
    return buckets.fill(buckets.with_labels(where), counts, total), buckets.format_created(where, created)
