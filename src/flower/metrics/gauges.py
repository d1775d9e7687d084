"""Current values: workers, queues, recorder, gaps and store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from flower.counters import OTHER, LiveWorkers, WorkerIncarnation
from flower.metrics import definitions
from flower.metrics.definitions import MetricFamily
from flower.metrics.exposition import format_gauge, format_labels
from flower.recorder_status import RecorderStatus
from flower.records import Gap, Worker
from flower.store.ledger.queue_samples import SAMPLE_INTERVAL, QueueSample
from flower.store.protocols import StoreStatus

#: Seconds after which a queue sample is too old to be a current value.
MAX_QUEUE_SAMPLE_AGE: Final = 4.0 * SAMPLE_INTERVAL


def recorder_gauges(status: RecorderStatus, now: float) -> Iterator[bytes]:
    """Values that the recorder has not reported are omitted."""
    is_alive = status.is_alive(now)
    yield from _render_gauges(
        {
            definitions.RUNNING: is_alive,
            definitions.CONNECTED: is_alive and status.connected is True,
            definitions.RATE: status.events_per_second if is_alive else 0,
            definitions.LAG: status.lag,
            definitions.BACKLOG: status.backlog_bytes,
            definitions.BLOCKED: is_alive and status.error is not None,
            definitions.LAST_EVENT: status.last_event_at,
        }
    )


def gap_gauges(gaps: Sequence[Gap], now: float) -> Iterator[bytes]:
    seconds = sum(max((now if gap.end is None else gap.end) - gap.start, 0.0) for gap in gaps)
    is_open = any(gap.end is None for gap in gaps)
    yield from _render_gauges(
        {definitions.GAPS: len(gaps), definitions.GAP_SECONDS: seconds, definitions.GAP_OPEN: is_open}
    )


def store_gauges(status: StoreStatus, max_bytes: int, max_tasks: int) -> Iterator[bytes]:
    """A limit of 0 is no limit."""
    yield from _render_gauges(
        {
            definitions.BYTES: status.size_bytes,
            definitions.TASKS: status.tasks,
            definitions.BYTES_LIMIT: max_bytes or None,
            definitions.TASKS_LIMIT: max_tasks or None,
            definitions.DAMAGED: len(status.damaged),
        }
    )


def queue_gauges(samples: Sequence[QueueSample], limit: int) -> Iterator[bytes]:
    """The `limit` longest queues by name; all others together as OTHER."""
    by_length = sorted(samples, key=lambda sample: -(sample.ready or 0))
    shown = sorted(by_length[:limit], key=lambda sample: sample.queue)
    if len(by_length) > limit:
        shown.append(_aggregate_samples(by_length[limit:]))
    labels = {sample.queue: format_labels(queue=sample.queue) for sample in shown}
    yield format_gauge(definitions.READY, {labels[sample.queue]: sample.ready for sample in shown})
    yield format_gauge(definitions.UNACKNOWLEDGED, {labels[sample.queue]: sample.unacknowledged for sample in shown})
    yield format_gauge(definitions.CONSUMERS, {labels[sample.queue]: sample.consumers for sample in shown})
    yield format_gauge(definitions.OLDEST, {labels[sample.queue]: sample.oldest for sample in shown})
    yield format_gauge(definitions.SAMPLED, {labels[sample.queue]: sample.at for sample in shown})


def worker_gauges(workers: Mapping[str, Worker], limit: int, now: float) -> Iterator[bytes]:
    """The first `limit` workers by name: those online, then those with the newest heartbeat; all others together as
    OTHER."""
    by_heartbeat = sorted(workers.values(), key=lambda worker: (not worker.is_alive(now), -(worker.heartbeat or 0.0)))
    online: dict[bytes, float | None] = {}
    executing: dict[bytes, float | None] = {}
    for worker in sorted(by_heartbeat[:limit], key=lambda worker: worker.hostname):
        labels = format_labels(worker=worker.hostname)
        online[labels], executing[labels] = float(worker.is_alive(now)), _executing_tasks(worker, now)
    if others := by_heartbeat[limit:]:
        labels = format_labels(worker=OTHER)
        online[labels] = sum(worker.is_alive(now) for worker in others)
        executing[labels] = sum(_executing_tasks(worker, now) or 0 for worker in others)
    yield format_gauge(definitions.ONLINE, online)
    yield format_gauge(definitions.EXECUTING, executing)


def find_live_workers(workers: Mapping[str, Worker], now: float) -> LiveWorkers:
    alive = (worker for worker in workers.values() if worker.is_alive(now))
    return {worker.hostname: WorkerIncarnation(worker.since, worker.pid) for worker in alive}


def find_purged_workers(
    workers: Mapping[str, Worker], senders: Collection[str], after: float | None, now: float
) -> frozenset[str]:
    """Workers that have been offline for `after` seconds or longer, and senders that are not workers. Empty if `after`
    is None."""
    if after is None:
        return frozenset()
    offline = {name for name, worker in workers.items() if worker.is_stale(now, after)}
    return frozenset(offline.union(name for name in senders if name not in workers and name != OTHER))


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


def _executing_tasks(worker: Worker, now: float) -> float | None:
    if not worker.is_alive(now):
        return None if worker.active is None else 0.0
    return worker.active


def _render_gauges(values: Mapping[MetricFamily, float | None]) -> Iterator[bytes]:
    for family, value in values.items():
        yield format_gauge(family, {b"": None if value is None else float(value)})
