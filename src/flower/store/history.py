"""Which moments of a worker's life are kept: that it came, that it went, and about once a minute how it was."""

from collections.abc import Iterable, Mapping
from typing import Final

from flower.records import Worker
from flower.store.answers import WorkerMoment

#: Seconds between the heartbeats that are kept of one worker.
HEARTBEAT_EVERY: Final = 60.0
#: Of all workers together; the oldest go.
MAX_MOMENTS: Final = 100_000


class WorkerLog:
    """What is known of each worker so far. A store feeds it what it is told of workers and keeps what it gives."""

    def __init__(self, workers: Mapping[str, Worker], last: Mapping[str, float]) -> None:
        """`last`: when the newest kept moment of each worker was."""
        self._workers = dict(workers)
        self._last = dict(last)

    def take(self, workers: Iterable[Worker]) -> list[WorkerMoment]:
        """The moments to keep."""
        found: list[WorkerMoment] = []
        for worker in workers:
            hostname = worker.hostname
            moment = moment_of(self._workers.get(hostname), worker, self._last.get(hostname))
            self._workers[hostname] = worker
            if moment is not None:
                self._last[hostname] = moment.at
                found.append(moment)
        return found


def moment_of(before: Worker | None, after: Worker, last: float | None) -> WorkerMoment | None:
    """What is to be kept of a worker that was `before` and is `after`; None if nothing is. `last`: the time of the
    newest moment that was kept of it."""
    if not after.online:
        # said goodbye; or all that is known of it is that it went
        at = _gone_at(before, after) if before is None or before.online else None
        return None if at is None else WorkerMoment(after.hostname, at, "offline", after.pid)
    at = after.timestamp if after.heartbeat is None else after.heartbeat
    if at is None:
        return None
    if before is None or not before.online or before.pid != after.pid:
        return _how_it_was(after, at, came=True)
    # a clock that was set back must not silence a worker until it has caught up
    return _how_it_was(after, at, came=False) if last is None or abs(at - last) >= HEARTBEAT_EVERY else None


def _how_it_was(worker: Worker, at: float, *, came: bool) -> WorkerMoment:
    return WorkerMoment(
        hostname=worker.hostname,
        at=at,
        event="online" if came else "heartbeat",
        pid=worker.pid,
        active=worker.active,
        processed=worker.processed,
        loadavg=worker.loadavg,
    )


def _gone_at(before: Worker | None, after: Worker) -> float | None:
    """By our clock, which the record does not tell: the time we last heard it, and as much as passed on the worker's
    own clock since."""
    if before is None or before.heartbeat is None:
        return after.timestamp if after.heartbeat is None else after.heartbeat
    if before.timestamp is None or after.timestamp is None:
        return before.heartbeat
    return before.heartbeat + max(0.0, after.timestamp - before.timestamp)
