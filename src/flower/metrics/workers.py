"""Which workers live, what they run, and which ones are not told of any more."""

from collections.abc import Collection, Iterator, Mapping

from flower.metrics.families import EXECUTING, ONLINE
from flower.metrics.text import format_gauge, format_labels
from flower.records import Worker
from flower.tallies import OTHER, LiveWorkers, WorkerIncarnation


def find_live_workers(workers: Mapping[str, Worker], now: float) -> LiveWorkers:
    alive = (worker for worker in workers.values() if worker.is_alive(now))
    return {worker.hostname: WorkerIncarnation(worker.since, worker.pid) for worker in alive}


def find_purged_workers(
    workers: Mapping[str, Worker], senders: Collection[str], after: float | None, now: float
) -> frozenset[str]:
    """Those that went `after` seconds ago or more, and senders that never were workers; nobody if that is None."""
    if after is None:
        return frozenset()
    gone = {name for name, worker in workers.items() if worker.is_stale(now, after)}
    return frozenset(gone.union(name for name in senders if name not in workers and name != OTHER))


def worker_gauges(workers: Mapping[str, Worker], most: int, now: float) -> Iterator[bytes]:
    """Of more workers than `most`, those that live or were heard last; the others together."""
    found = sorted(workers.values(), key=lambda worker: (not worker.is_alive(now), -(worker.heartbeat or 0.0)))
    told = sorted(found[:most], key=lambda worker: worker.hostname)
    online: dict[bytes, float | None] = {}
    executing: dict[bytes, float | None] = {}
    for worker in told:
        where = format_labels(worker=worker.hostname)
        online[where], executing[where] = float(worker.is_alive(now)), _executing_tasks(worker, now)
    if others := found[most:]:
        where = format_labels(worker=OTHER)
        online[where] = sum(worker.is_alive(now) for worker in others)
        executing[where] = sum(_executing_tasks(worker, now) or 0 for worker in others)
    yield format_gauge(ONLINE, online)
    yield format_gauge(EXECUTING, executing)


def _executing_tasks(worker: Worker, now: float) -> float | None:
    if not worker.is_alive(now):
        return None if worker.active is None else 0.0
    return worker.active
