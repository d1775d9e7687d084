"""The queues, by their newest samples.

How the recorder and the store are.

Which workers live, what they run, and which ones are not told of any more."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from flower.counters import OTHER, LiveWorkers, WorkerIncarnation
from flower.metrics import definitions as of
from flower.metrics.definitions import (
    CONSUMERS,
    EXECUTING,
    OLDEST,
    ONLINE,
    READY,
    SAMPLED,
    UNACKNOWLEDGED,
    MetricFamily,
)
from flower.metrics.exposition import format_gauge, format_labels
from flower.records import Gap, Worker
from flower.store.ledger.queue_samples import SAMPLE_INTERVAL, QueueSample
from flower.store.protocols import StoreStatus

#: Seconds after which a sample tells nothing of now.
MAX_QUEUE_SAMPLE_AGE: Final = 4.0 * SAMPLE_INTERVAL


def queue_gauges(samples: Sequence[QueueSample], most: int) -> Iterator[bytes]:
    """Of more queues than `most`, the longest ones; the others together."""
    found = sorted(samples, key=lambda sample: -(sample.ready or 0))
    told = sorted(found[:most], key=lambda sample: sample.queue)
    if len(found) > most:
        told.append(_aggregate_samples(found[most:]))
    where = {sample.queue: format_labels(queue=sample.queue) for sample in told}
    yield format_gauge(READY, {where[sample.queue]: sample.ready for sample in told})
    yield format_gauge(UNACKNOWLEDGED, {where[sample.queue]: sample.unacknowledged for sample in told})
    yield format_gauge(CONSUMERS, {where[sample.queue]: sample.consumers for sample in told})
    yield format_gauge(OLDEST, {where[sample.queue]: sample.oldest for sample in told})
    yield format_gauge(SAMPLED, {where[sample.queue]: sample.at for sample in told})


def _aggregate_samples(samples: Sequence[QueueSample]) -> QueueSample:
    def known(name: str) -> list[float]:
        return [value for sample in samples if (value := getattr(sample, name)) is not None]

    def total(name: str) -> int | None:
        values = known(name)
        return int(sum(values)) if values else None

    return QueueSample(
        OTHER,
        min(sample.at for sample in samples),
        total("ready"),
        total("unacknowledged"),
        total("consumers"),
        max(known("oldest"), default=None),
    )


#: Seconds after which a recorder that says nothing has stopped or hangs.
RECORDER_TIMEOUT: Final = 15.0


def recorder_gauges(status: Mapping[str, Any], now: float) -> Iterator[bytes]:
    """`said` is what it last said of itself; what it did not say is left out."""
    capture = status.get("capture")
    capture = capture if isinstance(capture, dict) else {}
    running = is_recorder_running(status, now)
    yield from _render_gauges(
        {
            of.RUNNING: running,
            of.CONNECTED: running and capture.get("connected") is True,
            of.RATE: status.get("events_per_second") if running else 0,
            of.LAG: status.get("lag"),
            of.BACKLOG: _sum_known(capture.get("backlog_bytes"), capture.get("spilled_bytes")),
            of.BLOCKED: running and status.get("trouble") is not None,
            of.LAST_EVENT: status.get("last_event"),
        }
    )


def gap_gauges(found: Sequence[Gap], now: float) -> Iterator[bytes]:
    seconds = sum(max((now if gap.end is None else gap.end) - gap.start, 0.0) for gap in found)
    is_open = any(gap.end is None for gap in found)
    yield from _render_gauges({of.GAPS: len(found), of.GAP_SECONDS: seconds, of.GAP_OPEN: is_open})


def store_gauges(status: StoreStatus, max_bytes: int, max_tasks: int) -> Iterator[bytes]:
    yield from _render_gauges(
        {
            of.BYTES: status.size_bytes,
            of.TASKS: status.tasks,
            of.BYTES_LIMIT: max_bytes or None,
            of.TASKS_LIMIT: max_tasks or None,
            of.DAMAGED: len(status.damaged),
        }
    )


def is_recorder_running(said: Mapping[str, Any], now: float) -> bool:
    at = said.get("at")
    return isinstance(at, int | float) and now - at <= RECORDER_TIMEOUT and said.get("running") is not False


def _render_gauges(values: Mapping[MetricFamily, Any]) -> Iterator[bytes]:
    """Those that are numbers."""
    for family, value in values.items():
        yield format_gauge(family, {b"": float(value) if isinstance(value, int | float) else None})


def _sum_known(*values: Any) -> float | None:
    known = [value for value in values if isinstance(value, int | float)]
    return sum(known) if known else None


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
