"""Rows of Flower's worker table, and the number of events by worker and type that it shows."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from flower.counters import CounterKey, TaskCounters
from flower.records import Worker
from flower.store.protocols import Reader

if TYPE_CHECKING:  # the context contains the cache
    from flower.api.context import Context

_COLUMNS: Final = ("hostname", "pid", "freq", "clock", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys")


class EventCountCache:
    """Number of events by worker and event type. Only counters that changed since the last call are read, because pages
    refresh every second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sequence = 0
        self._counters: dict[str, dict[CounterKey, TaskCounters]] = defaultdict(dict)
        self._counts: dict[str, Mapping[str, int]] = {}

    def by_worker(self, store: Reader) -> Mapping[str, Mapping[str, int]]:
        """Numbers by worker and event type; types without events are omitted, as in Flower. Raises StoreError."""
        with self._lock:
            delta = store.counters(self._sequence)
            if delta.is_snapshot:
                self._counters.clear()
                self._counts = {}
            self._apply_changes(delta.changed)
            self._sequence = delta.sequence
            return self._counts.copy()

    def _apply_changes(self, changed: Sequence[TaskCounters]) -> None:
        workers = set()
        for counters in changed:
            if counters.worker is not None:
                self._counters[counters.worker][counters.key] = counters
                workers.add(counters.worker)
        for worker in workers:
            counts: Counter[str] = Counter()
            for counters in self._counters[worker].values():
                counts.update({event_type: count for event_type, (count, _) in counters.events.items()})
            self._counts[worker] = dict(counts)


def list_worker_rows(context: "Context") -> list[dict[str, Any]]:
    """One row for each worker: those online first, then by name. Workers that have been offline for
    `purge_offline_workers` seconds are left out."""
    now = time.time()
    counts = context.event_counts.by_worker(context.recorded_reader)
    shown = [worker for worker in context.store.workers().values() if not _is_purged(worker, context, now)]
    rows = [_build_row(worker, counts.get(worker.hostname, {}), now) for worker in shown]
    return sorted(rows, key=lambda row: (not row["status"], row["hostname"]))


def _build_row(worker: Worker, counts: Mapping[str, int], now: float) -> dict[str, Any]:
    return {
        **{name: getattr(worker, name) for name in _COLUMNS},
        "heartbeats": [] if worker.heartbeat is None else [worker.heartbeat],
        "status": worker.is_alive(now),
        **counts,
    }


def _is_purged(worker: Worker, context: "Context", now: float) -> bool:
    return context.purge_offline_workers is not None and worker.is_stale(now, context.purge_offline_workers)
