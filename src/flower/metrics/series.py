"""The lines of what was counted, by worker and task. They are written when a tally changes, and kept.

Histograms by type of task, all workers together."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from math import fsum

from flower.counters import OTHER, CounterKey, InFlight, TaskCounters
from flower.metrics.definitions import EVENTS, PREFETCH_TIME, PREFETCHED, RUNTIME, TYPE_RUNTIME, WAIT
from flower.metrics.exposition import HistogramTemplate, format_header, format_labels, format_sample


@dataclass(slots=True)
class SeriesTemplates:
    """A worker and a task: what is written of them, for each section of the answer, and how. Only two of the lines
    change when something is counted, and of these only the numbers."""

    labels: bytes
    #: of the two gauges, while nothing waits or runs
    zero_prefetch_time: bytes
    zero_prefetched: bytes
    #: how the lines of these types of events are written
    event_types: tuple[str, ...] = ()
    events_template: bytes = b""
    runtime_template: bytes = b""
    events: bytes = b""
    events_created: bytes = b""
    runtime: bytes = b""
    runtime_created: bytes = b""


class TaskSeries:
    """All of them, but those of all workers together."""

    def __init__(self, bounds: Iterable[float]) -> None:
        self.runtime_template = HistogramTemplate(RUNTIME, bounds)
        self._series: dict[CounterKey, SeriesTemplates] = {}
        self._rendered_series: dict[CounterKey, SeriesTemplates] = {}

    def clear(self) -> None:
        self._series.clear()

    def update(self, tally: TaskCounters, cumulative: list[int] | None) -> None:
        """`cumulative` of its run times, if there are any."""
        place = self._series.get(tally.key)
        if place is None:
            place = self._series[tally.key] = _create_series(tally)
        if place.event_types != (kinds := tuple(tally.events)):
            _update_templates(place, tally, kinds)
        place.events = place.events_template % tuple([count for count, _ in tally.events.values()])
        if tally.runtime is not None and cumulative is not None:
            if not place.runtime_template:
                place.runtime_template = self.runtime_template.with_labels(place.labels)
                place.runtime_created = self.runtime_template.format_created(place.labels, tally.runtime.created)
            place.runtime = self.runtime_template.fill(place.runtime_template, cumulative, tally.runtime.sum)

    def list_workers(self) -> set[str]:
        return {worker for worker, _ in self._series if worker is not None}

    def render_counters(self, hidden: Collection[str]) -> Iterator[bytes]:
        """Of all workers but these."""
        self._rendered_series = {key: place for key, place in self._series.items() if key[0] not in hidden}
        shown = self._rendered_series.values()
        yield format_header(EVENTS, "_total")
        yield from [place.events for place in shown]
        yield format_header(EVENTS, "_created")
        yield from [place.events_created for place in shown]
        yield format_header(RUNTIME)
        yield from [place.runtime for place in shown]
        yield format_header(RUNTIME, "_created")
        yield from [place.runtime_created for place in shown]

    def render_gauges(self, flight: dict[CounterKey, InFlight]) -> Iterator[bytes]:
        """Of those that `counted` gave last, and of all that are in flight."""
        other = {key: format_labels(worker=key[0] or "", task=key[1]) for key in flight}
        yield format_header(PREFETCH_TIME)
        for key, kept in self._rendered_series.items():
            if key not in flight:
                yield kept.zero_prefetch_time
        yield from (
            format_sample(PREFETCH_TIME.name, other[key], each.prefetch_time or 0.0) for key, each in flight.items()
        )
        yield format_header(PREFETCHED)
        for key, kept in self._rendered_series.items():
            if key not in flight:
                yield kept.zero_prefetched
        yield from (format_sample(PREFETCHED.name, other[key], each.prefetched) for key, each in flight.items())

    def find_series_key(self, worker: str, task: str) -> CounterKey:
        """Under which pair a worker and a task are counted: beyond the limits it is not their own."""
        for key in ((worker, task), (worker, OTHER), (OTHER, task), (OTHER, OTHER)):
            if key in self._series:
                return key
        return worker, task


def _create_series(tally: TaskCounters) -> SeriesTemplates:
    where = format_labels(worker=tally.worker or "", task=tally.task)
    return SeriesTemplates(where, b"", b"")


def _update_templates(place: SeriesTemplates, tally: TaskCounters, kinds: tuple[str, ...]) -> None:
    """Types of events that it did not have."""
    name = EVENTS.name.encode()
    each = {kind: format_labels(worker=tally.worker or "", task=tally.task, type=kind) for kind in kinds}
    place.event_types = kinds
    place.events_template = b"".join(
        b"%b_total{%b} %%d.0\n" % (name, _escape_percent(where)) for where in each.values()
    )
    place.events_created = b"".join(
        format_sample(f"{EVENTS.name}_created", where, tally.events[kind][1]) for kind, where in each.items()
    )
    place.zero_prefetch_time = format_sample(PREFETCH_TIME.name, place.labels, 0.0) if "task-started" in kinds else b""
    place.zero_prefetched = format_sample(PREFETCHED.name, place.labels, 0.0) if "task-received" in kinds else b""


def _escape_percent(where: bytes) -> bytes:
    """For a template."""
    return where.replace(b"%", b"%%")


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
