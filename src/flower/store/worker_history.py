"""Selects the worker states that are stored: a worker came online, went offline, and its state about once a minute."""

from collections.abc import Iterable, Mapping
from typing import Final

from flower.records import Worker
from flower.store.query_results import WorkerSnapshot

#: Seconds between two stored heartbeats of a worker.
HEARTBEAT_SAMPLE_INTERVAL: Final = 60.0
#: Maximum number of snapshots of all workers; the oldest are removed.
MAX_WORKER_SNAPSHOTS: Final = 100_000


class WorkerHistorySampler:
    """Keeps the last state of each worker and selects the snapshots to store."""

    def __init__(self, workers: Mapping[str, Worker], last: Mapping[str, float]) -> None:
        """`last`: time of the latest stored snapshot of each worker."""
        self._workers = dict(workers)
        self._last = dict(last)

    def sample(self, workers: Iterable[Worker]) -> list[WorkerSnapshot]:
        """The snapshots to store for these worker records."""
        snapshots: list[WorkerSnapshot] = []
        for worker in workers:
            hostname = worker.hostname
            snapshot = sample_worker(self._workers.get(hostname), worker, self._last.get(hostname))
            self._workers[hostname] = worker
            if snapshot is not None:
                self._last[hostname] = snapshot.recorded_at
                snapshots.append(snapshot)
        return snapshots

    def remove(self, hostnames: Iterable[str]) -> None:
        for hostname in hostnames:
            self._workers.pop(hostname, None)
            self._last.pop(hostname, None)


def sample_worker(before: Worker | None, after: Worker, last: float | None) -> WorkerSnapshot | None:
    """The snapshot to store for a worker that changed from `before` to `after`; None if there is none. `last`: time of
    the latest stored snapshot."""
    if not after.online:
        # the worker shut down; or only its offline state is known
        at = _offline_at(before, after) if before is None or before.online else None
        return None if at is None else WorkerSnapshot(after.hostname, at, "offline", after.pid)
    at = after.timestamp if after.heartbeat is None else after.heartbeat
    if at is None:
        return None
    if before is None or not before.online or before.pid != after.pid:
        return _take_snapshot(after, at, is_online=True)
    # a clock that was set back must not suppress snapshots until it has caught up
    return (
        _take_snapshot(after, at, is_online=False)
        if last is None or abs(at - last) >= HEARTBEAT_SAMPLE_INTERVAL
        else None
    )


def _take_snapshot(worker: Worker, at: float, *, is_online: bool) -> WorkerSnapshot:
    return WorkerSnapshot(
        worker=worker.hostname,
        recorded_at=at,
        event="online" if is_online else "heartbeat",
        pid=worker.pid,
        active=worker.active,
        processed=worker.processed,
        loadavg=worker.loadavg,
    )


def _offline_at(before: Worker | None, after: Worker) -> float | None:
    """When the worker went offline, by the recorder's clock: the time of its last event, plus the time that has passed
    on the worker's own clock since."""
    if before is None or before.heartbeat is None:
        return after.timestamp if after.heartbeat is None else after.heartbeat
    if before.timestamp is None or after.timestamp is None:
        return before.heartbeat
    return before.heartbeat + max(0.0, after.timestamp - before.timestamp)
