"""Rows of Flower's worker table, and the number of events by worker and type that it shows."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from flower.counters import CounterKey, TaskCounters
from flower.recorder_status import RecorderStatus
from flower.records import Worker
from flower.running_tasks import count_running_tasks
from flower.store.protocols import Reader
from flower.worker_state import WorkerState, judge_workers, last_sign

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
    """One row for each worker: those alive first, then by name. Workers that have not been alive for
    `purge_offline_workers` seconds are left out."""
    now, purge_after = time.time(), context.purge_offline_workers
    reader = context.recorded_reader
    counts, running = context.event_counts.by_worker(reader), count_running_tasks(reader)
    workers = reader.workers()
    states = judge_workers(workers, RecorderStatus.from_dict(reader.recorder_status()), now)
    rows = [
        _build_row(worker, states[name], counts.get(name, {}), running)
        for name, worker in workers.items()
        if purge_after is None or not states[name].is_stale(now, purge_after)
    ]
    return sorted(rows, key=lambda row: (not row["status"], row["hostname"]))


def _build_row(
    worker: Worker, state: WorkerState, counts: Mapping[str, int], running: Mapping[str, int] | None
) -> dict[str, Any]:
    """`active` is the number of running tasks in the store, as in metrics and task lists."""
    sign = last_sign(worker)
    return {
        **{name: getattr(worker, name) for name in _COLUMNS},
        "active": worker.active if running is None else running.get(worker.hostname, 0),
        "heartbeats": [] if sign is None else [sign],
        "status": state.alive,
        **counts,
    }
