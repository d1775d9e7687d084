"""All metrics as one text. Only what has changed since the last time is read and written anew."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from flower.config import DEFAULT_CONFIG
from flower.counters import CounterKey, InFlight, LiveWorkers, TaskCounters
from flower.errors import FlowerError
from flower.metrics import gauges
from flower.metrics.exposition import CONTENT_TYPE
from flower.metrics.series import TaskSeries, TaskTypeHistograms
from flower.store.ledger.queue_samples import QueueSample
from flower.store.protocols import Reader, StoreStatus

__all__ = ["CONTENT_TYPE", "Metrics", "MetricsSettings"]

#: Seconds after an answer for which somebody is taken to ask again.
IDLE_TIMEOUT: Final = 150.0

#: Seconds for which what `keep_up` has read is told.
REFRESH_TIMEOUT: Final = 1.5

#: Seconds for which the size of the store is not asked again: it is added up file by file.
STORE_STATUS_INTERVAL: Final = 5.0


class QueueSampleSource(Protocol):
    def latest(self, after: float = 0.0) -> Sequence[QueueSample]: ...


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """`bounds` of the histograms, seconds. `names`: so many workers and queues are told apart. Limits of 0 are none."""

    bucket_bounds: tuple[float, ...] = DEFAULT_CONFIG.task_runtime_metric_buckets
    max_label_values: int = 1_000
    purge_offline_workers: float | None = None
    max_bytes: int = 0
    max_tasks: int = 0


class Metrics:
    """May be asked from any thread; those who ask at once wait for each other."""

    def __init__(self, settings: MetricsSettings | None = None) -> None:
        self._settings = settings or MetricsSettings()
        self._task_series = TaskSeries(self._settings.bucket_bounds)
        self._type_histograms = TaskTypeHistograms(self._settings.bucket_bounds)
        self._lock = threading.Lock()
        self._sequence = 0
        self._last_scrape = self._last_refresh = -inf
        #: what was counted, and for whom it is left out; None: it has changed since
        self._counter_text: tuple[frozenset[str], bytes] | None = None
        self._in_flight: tuple[int, LiveWorkers, Sequence[InFlight]] = (-1, {}, ())
        self._rendered = b""
        self._store_status: tuple[float, StoreStatus] | None = None
        self._process_registry = CollectorRegistry()
        PlatformCollector(self._process_registry)
        ProcessCollector(registry=self._process_registry)
        GCCollector(self._process_registry)

    def render(self, store: Reader, samples: QueueSampleSource, now: float) -> bytes:
        """Raises StoreError."""
        self._last_scrape = time.monotonic()
        if self._last_scrape - self._last_refresh > REFRESH_TIMEOUT:
            self._render_counters(store, now)
        most, known = self._settings.max_label_values, store.workers()
        hidden = gauges.find_purged_workers(known, (), self._settings.purge_offline_workers, now)
        told = {name: worker for name, worker in known.items() if name not in hidden}
        parts = [
            generate_latest(self._process_registry),
            self._rendered,
            *gauges.worker_gauges(told, most, now),
            *gauges.queue_gauges(samples.latest(now - gauges.MAX_QUEUE_SAMPLE_AGE), most),
            *gauges.recorder_gauges(store.recorder_status(), now),
            *gauges.gap_gauges(store.gaps(), now),
            *gauges.store_gauges(self._get_store_status(store), self._settings.max_bytes, self._settings.max_tasks),
        ]
        return b"".join(parts)

    @property
    def is_in_use(self) -> bool:
        """Whether somebody asks now and then."""
        return time.monotonic() - self._last_scrape < IDLE_TIMEOUT

    def refresh(self, store: Reader, now: float) -> None:
        """Read what was counted since: on a busy cluster the next answer would otherwise have to make up for all the
        time since the last one. Raises StoreError."""
        self._render_counters(store, now)
        self._last_refresh = time.monotonic()

    def _render_counters(self, store: Reader, now: float) -> None:
        """Write what was counted, and what is in flight."""
        with self._lock:
            self._apply_changes(store)
            known = store.workers()
            hidden = gauges.find_purged_workers(known, self._senders(), self._settings.purge_offline_workers, now)
            living = gauges.find_live_workers({name: each for name, each in known.items() if name not in hidden}, now)
            before = self._counter_text, self._in_flight
            if self._counter_text is None or self._counter_text[0] != hidden:
                self._counter_text = (
                    hidden,
                    b"".join([*self._task_series.render_counters(hidden), *self._type_histograms.render()]),
                )
            self._read_in_flight(store, living)
            if before != (self._counter_text, self._in_flight):
                self._rendered = b"".join(
                    [self._counter_text[1], *self._task_series.render_gauges(self._group_in_flight())]
                )

    def _apply_changes(self, store: Reader) -> None:
        found = store.counters(self._sequence)
        if found.is_snapshot:
            self._task_series.clear()
            self._type_histograms.clear()
        for tally in found.changed:
            self._update_series(tally)
        if found.changed or found.is_snapshot:
            self._counter_text = None
        self._sequence = found.sequence

    def _update_series(self, tally: TaskCounters) -> None:
        cumulative = (
            None if tally.runtime is None else tally.runtime.cumulative(self._task_series.runtime_template.bounds)
        )
        self._type_histograms.update(tally, cumulative)
        if tally.worker is not None:
            self._task_series.update(tally, cumulative)

    def _senders(self) -> set[str]:
        return set() if self._settings.purge_offline_workers is None else self._task_series.list_workers()

    def _read_in_flight(self, store: Reader, living: LiveWorkers) -> None:
        if self._in_flight[:2] != (self._sequence, living):
            with suppress(FlowerError):  # it took too long: as it was
                self._in_flight = self._sequence, living, store.in_flight(living)

    def _group_in_flight(self) -> dict[CounterKey, InFlight]:
        """By the pairs that stand for them."""
        together: dict[CounterKey, InFlight] = {}
        for each in self._in_flight[2]:
            key = self._task_series.find_series_key(each.worker, each.task)
            before = together.get(key)
            together[key] = each if before is None else _merge_in_flight(before, each)
        return together

    def _get_store_status(self, store: Reader) -> StoreStatus:
        begun = time.monotonic()
        if self._store_status is None or begun - self._store_status[0] > STORE_STATUS_INTERVAL:
            self._store_status = begun, store.status()
        return self._store_status[1]


def _merge_in_flight(one: InFlight, other: InFlight) -> InFlight:
    waited = [each for each in (one.prefetch_time, other.prefetch_time) if each is not None]
    return InFlight(one.worker, one.task, one.prefetched + other.prefetched, max(waited, default=None))
