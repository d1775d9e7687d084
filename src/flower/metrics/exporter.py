"""The complete response of `/metrics`. Only counters that changed since the last request are read and formatted."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from flower.config import DEFAULT_CONFIG
from flower.counters import CounterKey, InFlight, LiveWorkers, TaskCounters
from flower.errors import FlowerError
from flower.metrics.gauges import (
    MAX_QUEUE_SAMPLE_AGE,
    find_live_workers,
    find_purged_workers,
    gap_gauges,
    queue_gauges,
    reconcile_counters,
    recorder_gauges,
    store_gauges,
    worker_gauges,
)
from flower.metrics.series import TaskSeries, TaskTypeHistograms
from flower.recorder_status import RecorderStatus
from flower.running_tasks import count_running_tasks
from flower.store.ledger.queue_samples import QueueSample, QueueSamples
from flower.store.protocols import Reader, StoreStatus
from flower.worker_state import judge_workers

#: Seconds after the last request during which the counters are kept up to date.
IDLE_TIMEOUT: Final = 150.0

#: Seconds between two reads of the size of the store, which is summed file by file.
STORE_STATUS_INTERVAL: Final = 1.5


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`bucket_bounds` of the histograms in seconds. `max_label_values`: number of workers and of queues with series of
    their own. `max_bytes` and `max_tasks` of 0 are no limit."""

    bucket_bounds: tuple[float, ...] = DEFAULT_CONFIG.task_runtime_metric_buckets
    max_label_values: int = 1_000
    purge_offline_workers: float | None = None
    max_bytes: int = 0
    max_tasks: int = 0


class Metrics:
    """Thread-safe; concurrent requests are serialized."""

    def __init__(self, settings: MetricsSettings | None = None) -> None:
        self._settings = settings or MetricsSettings()
        self._task_series = TaskSeries(self._settings.bucket_bounds)
        self._type_histograms = TaskTypeHistograms(self._settings.bucket_bounds)
        self._lock = threading.Lock()
        self._sequence = 0
        self._last_scrape = -inf
        #: the workers that are left out, and the counters as text; None after a change
        self._counter_text: tuple[frozenset[str], bytes] | None = None
        self._in_flight: tuple[int, LiveWorkers, Sequence[InFlight]] = (-1, {}, ())
        self._rendered = b""
        self._store_status: tuple[float, StoreStatus] | None = None
        self._process_registry = CollectorRegistry()
        PlatformCollector(self._process_registry)
        ProcessCollector(registry=self._process_registry)
        GCCollector(self._process_registry)

    def render(
        self, store: Reader, samples: QueueSamples, now: float, depths: Sequence[QueueSample] | None = None
    ) -> bytes:
        """The response in the text format. `depths`: the queues now, None to use the recorded samples. Raises
        StoreError."""
        self._last_scrape = time.monotonic()
        self._render_counters(store, now)
        settings, workers = self._settings, store.workers()
        status = RecorderStatus.from_dict(store.recorder_status())
        states = judge_workers(workers, status, now)
        purged = find_purged_workers(states, (), settings.purge_offline_workers, now)
        shown = {name: worker for name, worker in workers.items() if name not in purged}
        parts = [
            generate_latest(self._process_registry),
            self._rendered,
            *worker_gauges(shown, states, count_running_tasks(store), settings.max_label_values),
            *queue_gauges(
                samples.latest(now - MAX_QUEUE_SAMPLE_AGE) if depths is None else depths, settings.max_label_values
            ),
            *recorder_gauges(status, now),
            *reconcile_counters(status.reconcile),
            *gap_gauges(store.gaps(), now),
            *store_gauges(self._get_store_status(store), settings.max_bytes, settings.max_tasks),
        ]
        return b"".join(parts)

    @property
    def is_in_use(self) -> bool:
        """Whether metrics were requested within IDLE_TIMEOUT."""
        return time.monotonic() - self._last_scrape < IDLE_TIMEOUT

    def refresh(self, store: Reader, now: float) -> None:
        """Read the counters that changed. Without it, on a busy cluster, the next request would have to read all
        changes since the last one. Raises StoreError."""
        self._render_counters(store, now)

    def _render_counters(self, store: Reader, now: float) -> None:
        """Format counters and tasks in flight."""
        with self._lock:
            self._apply_changes(store)
            workers = store.workers()
            states = judge_workers(workers, RecorderStatus.from_dict(store.recorder_status()), now)
            purged = find_purged_workers(states, self._list_senders(), self._settings.purge_offline_workers, now)
            live_workers = find_live_workers(
                {name: each for name, each in workers.items() if name not in purged}, states
            )
            before = self._counter_text, self._in_flight
            if self._counter_text is None or self._counter_text[0] != purged:
                parts = [*self._task_series.render_counters(purged), *self._type_histograms.render()]
                self._counter_text = purged, b"".join(parts)
            self._read_in_flight(store, live_workers)
            if before != (self._counter_text, self._in_flight):
                gauges = self._task_series.render_gauges(self._group_in_flight())
                self._rendered = b"".join([self._counter_text[1], *gauges])

    def _apply_changes(self, store: Reader) -> None:
        delta = store.counters(self._sequence)
        if delta.is_snapshot:
            self._task_series.clear()
            self._type_histograms.clear()
        for counters in delta.changed:
            self._update_series(counters)
        if delta.changed or delta.is_snapshot:
            self._counter_text = None
        self._sequence = delta.sequence

    def _update_series(self, counters: TaskCounters) -> None:
        bounds = self._task_series.histogram.bounds
        cumulative = None if counters.runtime is None else counters.runtime.cumulative(bounds)
        self._type_histograms.update(counters, cumulative)
        if counters.worker is not None:
            self._task_series.update(counters, cumulative)

    def _list_senders(self) -> set[str]:
        return set() if self._settings.purge_offline_workers is None else self._task_series.list_workers()

    def _read_in_flight(self, store: Reader, live_workers: LiveWorkers) -> None:
        if self._in_flight[:2] != (self._sequence, live_workers):
            with suppress(FlowerError):  # time limit exceeded: the previous values remain
                self._in_flight = self._sequence, live_workers, store.in_flight(live_workers)

    def _group_in_flight(self) -> dict[CounterKey, InFlight]:
        """Tasks in flight by the key of their series."""
        grouped: dict[CounterKey, InFlight] = {}
        for each in self._in_flight[2]:
            key = self._task_series.find_series_key(each.worker, each.task)
            before = grouped.get(key)
            grouped[key] = each if before is None else _merge_in_flight(before, each)
        return grouped

    def _get_store_status(self, store: Reader) -> StoreStatus:
        now = time.monotonic()
        if self._store_status is None or now - self._store_status[0] > STORE_STATUS_INTERVAL:
            self._store_status = now, store.status()
        return self._store_status[1]


def _merge_in_flight(one: InFlight, other: InFlight) -> InFlight:
    prefetch_times = [each for each in (one.prefetch_time, other.prefetch_time) if each is not None]
    return InFlight(one.worker, one.task, one.prefetched + other.prefetched, max(prefetch_times, default=None))
