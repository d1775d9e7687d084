"""Counters and histograms as text. Lines are formatted when a counter changes, and cached."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from math import fsum

from flower.counters import OTHER, CounterKey, InFlight, TaskCounters
from flower.metrics.definitions import BACKOFF, EVENTS, PREFETCH_TIME, PREFETCHED, RUNTIME, TYPE_RUNTIME, WAIT
from flower.metrics.exposition import HistogramTemplate, format_header, format_labels, format_sample

#: Counts up to each bucket bound, sum, time when counting started.
_HistogramValues = tuple[list[int], float, float]


@dataclass(slots=True)
class SeriesTemplates:
    """The lines of one worker and task for each section of the response, and their templates. When a counter changes,
    only the numbers in `events` and `runtime` are replaced."""

    labels: bytes
    #: the two gauges while no task is prefetched or running
    zero_prefetch_time: bytes
    zero_prefetched: bytes
    #: the event types for which the templates were made
    event_types: tuple[str, ...] = ()
    events_template: bytes = b""
    runtime_template: bytes = b""
    events: bytes = b""
    events_created: bytes = b""
    runtime: bytes = b""
    runtime_created: bytes = b""


class TaskSeries:
    """Series by worker and task."""

    def __init__(self, bucket_bounds: Iterable[float]) -> None:
        self.histogram = HistogramTemplate(RUNTIME, bucket_bounds)
        self._series: dict[CounterKey, SeriesTemplates] = {}
        self._rendered_series: dict[CounterKey, SeriesTemplates] = {}

    def clear(self) -> None:
        self._series.clear()

    def update(self, counters: TaskCounters, cumulative: list[int] | None) -> None:
        """`cumulative` are the bucket counts of the run times, None without any."""
        series = self._series.get(counters.key)
        if series is None:
            series = self._series[counters.key] = _create_series(counters)
        # As in Flower, events of workers are not exported.
        event_types = tuple([event_type for event_type in counters.events if not event_type.startswith("worker-")])
        if series.event_types != event_types:
            _update_templates(series, counters, event_types)
        series.events = series.events_template % tuple([counters.events[event_type][0] for event_type in event_types])
        if counters.runtime is not None and cumulative is not None:
            if not series.runtime_template:
                series.runtime_template = self.histogram.with_labels(series.labels)
                series.runtime_created = self.histogram.format_created(series.labels, counters.runtime.created)
            series.runtime = self.histogram.fill(series.runtime_template, cumulative, counters.runtime.sum)

    def list_workers(self) -> set[str]:
        return {worker for worker, _ in self._series if worker is not None}

    def render_counters(self, hidden_workers: Collection[str]) -> Iterator[bytes]:
        self._rendered_series = {key: series for key, series in self._series.items() if key[0] not in hidden_workers}
        rendered = self._rendered_series.values()
        yield format_header(EVENTS, "_total")
        yield from [series.events for series in rendered]
        yield format_header(EVENTS, "_created")
        yield from [series.events_created for series in rendered]
        yield format_header(RUNTIME)
        yield from [series.runtime for series in rendered]
        yield format_header(RUNTIME, "_created")
        yield from [series.runtime_created for series in rendered]

    def render_gauges(self, in_flight: dict[CounterKey, InFlight]) -> Iterator[bytes]:
        """Prefetch gauges of the series that `render_counters` returned last, and of all tasks in flight."""
        labels = {key: format_labels(worker=key[0] or "", task=key[1]) for key in in_flight}
        yield format_header(PREFETCH_TIME)
        for key, series in self._rendered_series.items():
            if key not in in_flight:
                yield series.zero_prefetch_time
        yield from (
            format_sample(PREFETCH_TIME.name, labels[key], each.prefetch_time or 0.0) for key, each in in_flight.items()
        )
        yield format_header(PREFETCHED)
        for key, series in self._rendered_series.items():
            if key not in in_flight:
                yield series.zero_prefetched
        yield from (format_sample(PREFETCHED.name, labels[key], each.prefetched) for key, each in in_flight.items())

    def find_series_key(self, worker: str, task: str) -> CounterKey:
        """The key under which the events of a worker and a task are counted. Beyond the limits of label values it
        contains OTHER."""
        for key in ((worker, task), (worker, OTHER), (OTHER, task), (OTHER, OTHER)):
            if key in self._series:
                return key
        return worker, task


class TaskTypeHistograms:
    """Histograms by task type, over all workers."""

    def __init__(self, bucket_bounds: Iterable[float]) -> None:
        self._runtime = HistogramTemplate(TYPE_RUNTIME, bucket_bounds)
        self._wait = HistogramTemplate(WAIT, self._runtime.bounds)
        self._backoff = HistogramTemplate(BACKOFF, self._runtime.bounds)
        #: run times by task, and by the key under which they were counted
        self._values: dict[str, dict[CounterKey, _HistogramValues]] = {}
        self._changed_tasks: set[str] = set()
        self._runtime_lines: dict[str, tuple[bytes, bytes]] = {}
        self._wait_lines: dict[str, tuple[bytes, bytes]] = {}
        self._backoff_lines: dict[str, tuple[bytes, bytes]] = {}

    def clear(self) -> None:
        caches = (self._values, self._changed_tasks, self._runtime_lines, self._wait_lines, self._backoff_lines)
        for cached in caches:
            cached.clear()

    def update(self, counters: TaskCounters, cumulative: list[int] | None) -> None:
        """`cumulative` are the bucket counts of the run times, None without any."""
        if counters.runtime is not None and cumulative is not None:
            values = cumulative, counters.runtime.sum, counters.runtime.created
            self._values.setdefault(counters.task, {})[counters.key] = values
            self._changed_tasks.add(counters.task)
        for template, lines, durations in (
            (self._wait, self._wait_lines, counters.wait),
            (self._backoff, self._backoff_lines, counters.backoff),
        ):
            if durations is not None:
                values = durations.cumulative(template.bounds), durations.sum, durations.created
                lines[counters.task] = _format_histogram(template, counters.task, values)

    def render(self) -> Iterator[bytes]:
        for task in self._changed_tasks:
            self._runtime_lines[task] = self._aggregate_runtime(task)
        self._changed_tasks.clear()
        for family, cached in (
            (WAIT, self._wait_lines),
            (BACKOFF, self._backoff_lines),
            (TYPE_RUNTIME, self._runtime_lines),
        ):
            yield format_header(family)
            yield from [lines for lines, _ in cached.values()]
            yield format_header(family, "_created")
            yield from [created for _, created in cached.values()]

    def _aggregate_runtime(self, task: str) -> tuple[bytes, bytes]:
        values = self._values[task].values()
        counts = [sum(column) for column in zip(*(counts for counts, _, _ in values), strict=True)]
        # Exact in any order, and rounded: Prometheus takes a sum that decreases by its last bit for a counter reset.
        total = round(fsum(part for _, part, _ in values), 6)
        created_at = min(created for _, _, created in values)
        return _format_histogram(self._runtime, task, (counts, total, created_at))


def _create_series(counters: TaskCounters) -> SeriesTemplates:
    return SeriesTemplates(format_labels(worker=counters.worker or "", task=counters.task), b"", b"")


def _update_templates(series: SeriesTemplates, counters: TaskCounters, event_types: tuple[str, ...]) -> None:
    """Add event types that the series did not have."""
    name = EVENTS.name.encode()
    labels_by_type = {
        event_type: format_labels(worker=counters.worker or "", task=counters.task, type=event_type)
        for event_type in event_types
    }
    series.event_types = event_types
    series.events_template = b"".join(
        b"%b_total{%b} %%d.0\n" % (name, _escape_percent(labels)) for labels in labels_by_type.values()
    )
    series.events_created = b"".join(
        format_sample(f"{EVENTS.name}_created", labels, counters.events[event_type][1])
        for event_type, labels in labels_by_type.items()
    )
    series.zero_prefetch_time = (
        format_sample(PREFETCH_TIME.name, series.labels, 0.0) if "task-started" in event_types else b""
    )
    series.zero_prefetched = (
        format_sample(PREFETCHED.name, series.labels, 0.0) if "task-received" in event_types else b""
    )


def _escape_percent(labels: bytes) -> bytes:
    return labels.replace(b"%", b"%%")


def _format_histogram(histogram: HistogramTemplate, task: str, values: _HistogramValues) -> tuple[bytes, bytes]:
    """The lines of the histogram, and those of its `_created` family."""
    labels, (counts, total, created_at) = format_labels(task=task), values
    lines = histogram.fill(histogram.with_labels(labels), counts, total)
    return lines, histogram.format_created(labels, created_at)
