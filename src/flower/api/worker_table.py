"""One row for each worker, as events tell of it: what the workers' table shows."""

import time
from collections.abc import Mapping
from typing import Any, Final

from flower.api.context import Context
from flower.records import Worker

_COLUMNS: Final = ("hostname", "pid", "freq", "clock", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys")


def list_worker_rows(context: Context) -> list[dict[str, Any]]:
    """Those that live first, then by name. Those that went long ago are left out if the settings say so."""
    now = time.time()
    counts = context.event_counts.by_worker(context.recorded_reader)
    shown = [worker for worker in context.store.workers().values() if not _is_purged(worker, context, now)]
    found = [_build_row(worker, counts.get(worker.hostname, {}), now) for worker in shown]
    return sorted(found, key=lambda row: (not row["status"], row["hostname"]))


def _build_row(worker: Worker, counts: Mapping[str, int], now: float) -> dict[str, Any]:
    return {
        **{name: getattr(worker, name) for name in _COLUMNS},
        "heartbeats": [] if worker.heartbeat is None else [worker.heartbeat],
        "status": worker.is_alive(now),
        **counts,
    }


def _is_purged(worker: Worker, context: Context, now: float) -> bool:
    return context.purge_offline_workers is not None and worker.is_stale(now, context.purge_offline_workers)
