"""Which moments of a worker's life are kept: that it came, that it went, and about once a minute how it was."""

from collections.abc import Iterable, Mapping
from typing import Final

from flower.records import Worker
from flower.store.query_results import WorkerSnapshot

#: Seconds between the heartbeats that are kept of one worker.
HEARTBEAT_SAMPLE_INTERVAL: Final = 60.0
#: Of all workers together; the oldest go.
MAX_WORKER_SNAPSHOTS: Final = 100_000


class WorkerHistorySampler:
    """What is known of each worker so far. A store feeds it what it is told of workers and keeps what it gives."""

    def __init__(self, workers: Mapping[str, Worker], last: Mapping[str, float]) -> None:
        """`last`: when the newest kept moment of each worker was."""
        self._workers = dict(workers)
        self._last = dict(last)

    def sample(self, workers: Iterable[Worker]) -> list[WorkerSnapshot]:
        """The moments to keep."""
        found: list[WorkerSnapshot] = []
        for worker in workers:
            hostname = worker.hostname
            moment = sample_worker(self._workers.get(hostname), worker, self._last.get(hostname))
            self._workers[hostname] = worker
            if moment is not None:
                self._last[hostname] = moment.recorded_at
                found.append(moment)
        return found


def sample_worker(before: Worker | None, after: Worker, last: float | None) -> WorkerSnapshot | None:
    """What is to be kept of a worker that was `before` and is `after`; None if nothing is. `last`: the time of the
    newest moment that was kept of it."""
    if not after.online:
        # said goodbye; or all that is known of it is that it went
        at = _offline_at(before, after) if before is None or before.online else None
        return None if at is None else WorkerSnapshot(after.hostname, at, "offline", after.pid)
    at = after.timestamp if after.heartbeat is None else after.heartbeat
    if at is None:
        return None
    if before is None or not before.online or before.pid != after.pid:
        return _take_snapshot(after, at, came=True)
    # a clock that was set back must not silence a worker until it has caught up
    return (
        _take_snapshot(after, at, came=False) if last is None or abs(at - last) >= HEARTBEAT_SAMPLE_INTERVAL else None
    )


def _take_snapshot(worker: Worker, at: float, *, came: bool) -> WorkerSnapshot:
    return WorkerSnapshot(
        worker=worker.hostname,
        recorded_at=at,
        event="online" if came else "heartbeat",
        pid=worker.pid,
        active=worker.active,
        processed=worker.processed,
        loadavg=worker.loadavg,
    )


def _offline_at(before: Worker | None, after: Worker) -> float | None:
    """By our clock, which the record does not tell: the time we last heard it, and as much as passed on the worker's
    own clock since."""
    if before is None or before.heartbeat is None:
        return after.timestamp if after.heartbeat is None else after.heartbeat
    if before.timestamp is None or after.timestamp is None:
        return before.heartbeat
    return before.heartbeat + max(0.0, after.timestamp - before.timestamp)
