"""Current values: workers, queues, recorder, gaps and store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from flower.counters import OTHER, LiveWorkers, WorkerIncarnation
from flower.metrics import definitions
from flower.metrics.definitions import MetricFamily
from flower.metrics.exposition import format_gauge, format_header, format_labels, format_sample
from flower.recorder_status import ReconcileStatus, RecorderStatus
from flower.records import GAP_CAUSES, Gap, GapCause, Worker
from flower.store.ledger.queue_samples import SAMPLE_INTERVAL, QueueSample
from flower.store.protocols import StoreStatus
from flower.worker_state import WorkerState, last_sign

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
            definitions.PUBLISHERS_BLOCKED: is_alive and status.blocked_since is not None,
            definitions.LAST_EVENT: status.last_event_at,
        }
    )


def reconcile_counters(status: ReconcileStatus | None) -> Iterator[bytes]:
    """No values if tasks are not reconciled."""
    status = status or ReconcileStatus()
    requests = {
        "workers": status.worker_requests,
        "broker": status.broker_requests,
        "result_backend": status.backend_requests,
    }
    outcomes = {"checked": status.checked, "corrected": status.corrected, "lost": status.lost, "found": status.found}
    yield _format_counter(
        definitions.RECONCILE_REQUESTS, {format_labels(target=name): value for name, value in requests.items()}
    )
    yield _format_counter(definitions.RECONCILE_REPLIES, {b"": status.worker_replies})
    yield _format_counter(definitions.RECONCILE_SECONDS, {b"": status.seconds})
    yield _format_counter(
        definitions.RECONCILE_TASKS, {format_labels(outcome=name): value for name, value in outcomes.items()}
    )


def gap_gauges(gaps: Sequence[Gap], now: float) -> Iterator[bytes]:
    seconds = sum(max((now if gap.end is None else gap.end) - gap.start, 0.0) for gap in gaps)
    is_open = any(gap.end is None for gap in gaps)
    yield from _render_gauges(
        {definitions.GAPS: len(gaps), definitions.GAP_SECONDS: seconds, definitions.GAP_OPEN: is_open}
    )
    counts, lengths = dict.fromkeys(GAP_CAUSES, 0), dict.fromkeys(GAP_CAUSES, 0.0)
    for gap in gaps:
        counts[gap.cause] += 1
        lengths[gap.cause] += max((now if gap.end is None else gap.end) - gap.start, 0.0)
    yield from _format_by_cause(definitions.GAPS_BY_CAUSE, counts)
    yield from _format_by_cause(definitions.GAP_SECONDS_BY_CAUSE, lengths)


def _format_by_cause(family: MetricFamily, values: Mapping[GapCause, float]) -> Iterator[bytes]:
    yield format_header(family, "_total")
    for cause, value in values.items():
        yield format_sample(f"{family.name}_total", format_labels(cause=cause), value)


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


def worker_gauges(
    workers: Mapping[str, Worker],
    states: Mapping[str, WorkerState],
    running: Mapping[str, int] | None,
    limit: int,
) -> Iterator[bytes]:
    """The first `limit` workers by name: those alive, then those with the newest sign of life; all others together as
    OTHER. `running`: number of running tasks by worker, None if unknown."""

    def sort_key(worker: Worker) -> tuple[bool, float]:
        return not states[worker.hostname].alive, -(last_sign(worker) or 0.0)

    by_sign = sorted(workers.values(), key=sort_key)
    online: dict[bytes, float | None] = {}
    executing: dict[bytes, float | None] = {}
    seen: dict[bytes, float | None] = {}
    offsets: dict[bytes, float | None] = {}
    for worker in sorted(by_sign[:limit], key=lambda worker: worker.hostname):
        labels = format_labels(worker=worker.hostname)
        online[labels] = float(states[worker.hostname].alive)
        executing[labels] = None if running is None else running.get(worker.hostname, 0)
        seen[labels], offsets[labels] = last_sign(worker), worker.clock_offset
    if others := by_sign[limit:]:
        labels = format_labels(worker=OTHER)
        online[labels] = sum(states[worker.hostname].alive for worker in others)
        executing[labels] = None if running is None else sum(running.get(worker.hostname, 0) for worker in others)
    yield format_gauge(definitions.ONLINE, online)
    yield format_gauge(definitions.EXECUTING, executing)
    yield format_gauge(definitions.LAST_SIGN, seen)
    yield format_gauge(definitions.CLOCK_OFFSET, offsets)


def find_live_workers(workers: Mapping[str, Worker], states: Mapping[str, WorkerState]) -> LiveWorkers:
    alive = (worker for name, worker in workers.items() if states[name].alive)
    return {worker.hostname: WorkerIncarnation(worker.since, worker.pid) for worker in alive}


def find_purged_workers(
    states: Mapping[str, WorkerState], senders: Collection[str], after: float | None, now: float
) -> frozenset[str]:
    """Workers that have not been alive for `after` seconds or longer, and senders that are not workers. Empty if
    `after` is None."""
    if after is None:
        return frozenset()
    offline = {name for name, state in states.items() if state.is_stale(now, after)}
    return frozenset(offline.union(name for name in senders if name not in states and name != OTHER))


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


def _render_gauges(values: Mapping[MetricFamily, float | None]) -> Iterator[bytes]:
    for family, value in values.items():
        yield format_gauge(family, {b"": None if value is None else float(value)})


def _format_counter(family: MetricFamily, values: Mapping[bytes, float | None]) -> bytes:
    """Values of None are omitted."""
    lines = [
        format_sample(f"{family.name}_total", labels, float(value))
        for labels, value in values.items()
        if value is not None
    ]
    return b"".join([format_header(family, "_total"), *lines])
