"""What health is judged by: everything of one moment, read from store and ledger once."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from flower.api.failures import FailureRow, FailureStatus, FailureStatuses, load_failure_statuses
from flower.api.queue_rates import RECORDER_TIMEOUT, QueueRates
from flower.records import STARTED, Gap, Worker
from flower.search.tree import Term, all_of, any_of
from flower.store.ledger import Ledger
from flower.store.ledger.queue_samples import QueueSample
from flower.store.protocols import Query, Reader, Sort, StoreStatus
from flower.store.query_results import BucketSpan

#: Stretches of time by which failures are compared, and their width in seconds.
TREND_BUCKETS: Final = 7
TREND_BUCKET_SECONDS: Final = 600.0
#: Groups of failures that are looked at: the largest, and those that are new or have returned.
_MAX_GROUPS: Final = 10
#: So many tasks that run are looked at, the oldest ones; what started longer ago than _DAY is taken for a lost event.
MAX_RUNNING_TASKS: Final = 200
_MAX_RUNNING_AGE: Final = 86_400.0
#: Seconds after which a sample of a queue says nothing of now.
_MAX_SAMPLE_AGE: Final = 60.0


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    latest_sample: QueueSample
    rates: QueueRates
    #: names of the workers that eat from it, as far as inspection knows
    workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that was started at `started`. `slow` is the 95th percentile of its type, None if that is not known."""

    uuid: str
    name: str | None
    worker: str | None
    started: float
    slow_threshold: float | None


@dataclass(frozen=True)
class HealthSnapshot:
    now: float
    #: what the recorder said of itself
    recorder_status: Mapping[str, Any] = field(default_factory=dict)
    store: StoreStatus = field(default_factory=lambda: StoreStatus(0, 0, 0, 0))
    gaps: Sequence[Gap] = ()
    workers: Mapping[str, Worker] = field(default_factory=dict)
    queues: Sequence[QueueSnapshot] = ()
    #: groups with failures within the last BUCKETS * WIDTH seconds; their `trend` has these buckets
    failures: Sequence[FailureRow] = ()
    #: how many groups that failed within that time are new, and how many have returned, those not in `failures` too
    failure_counts: Mapping[FailureStatus, int] = field(default_factory=dict)
    running_tasks: Sequence[RunningTask] = ()

    @property
    def capture(self) -> Mapping[str, Any]:
        found = self.recorder_status.get("capture")
        return found if isinstance(found, Mapping) else {}

    @property
    def recorder_seen_at(self) -> float | None:
        """When the recorder was last heard."""
        return to_float(self.recorder_status.get("at"))

    @property
    def recorder_is_down(self) -> bool:
        """The recorder was there and is not any more."""
        return self.recorder_seen_at is not None and (
            not self.recorder_status.get("running") or self.now - self.recorder_seen_at > RECORDER_TIMEOUT
        )

    @cached_property
    def is_recording(self) -> bool:
        """What is on record is how things are now."""
        return (
            self.recorder_seen_at is not None
            and not self.recorder_is_down
            and not self.recorder_status.get("trouble")
            and bool(self.capture.get("connected"))
        )

    @cached_property
    def live_workers(self) -> frozenset[str]:
        return frozenset(name for name, worker in self.workers.items() if worker.is_alive(self.now))


def to_float(value: Any) -> float | None:
    """What another process wrote, if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def collect_snapshot(
    store: Reader,
    ledger: Ledger | None = None,
    *,
    rates: Mapping[str, QueueRates] | None = None,
    consumers: Mapping[str, tuple[str, ...]] | None = None,
    now: float | None = None,
) -> HealthSnapshot:
    """Without a ledger nothing is known of queues, nor of what people said of failures."""
    now = time.time() if now is None else now
    failures, remarkable = _collect_failures(store, ledger, now)
    return HealthSnapshot(
        now=now,
        recorder_status=store.recorder_status(),
        store=store.status(),
        gaps=store.gaps(),
        workers=store.workers(),
        queues=() if ledger is None else _collect_queues(ledger, rates or {}, consumers or {}, now),
        failures=failures,
        failure_counts=remarkable,
        running_tasks=_collect_running_tasks(store, now),
    )


def _collect_queues(
    ledger: Ledger, rates: Mapping[str, QueueRates], consumers: Mapping[str, tuple[str, ...]], now: float
) -> tuple[QueueSnapshot, ...]:
    return tuple(
        QueueSnapshot(sample, rates.get(sample.queue, QueueRates()), consumers.get(sample.queue, ()))
        for sample in ledger.queue_samples.latest(now - _MAX_SAMPLE_AGE)
    )


def _collect_failures(
    store: Reader, ledger: Ledger | None, now: float
) -> tuple[tuple[FailureRow, ...], Mapping[FailureStatus, int]]:
    known = (
        FailureStatuses(store.failures_seen(), {}, {}, now)
        if ledger is None
        else load_failure_statuses(store, ledger, now)
    )
    span = BucketSpan(now - TREND_BUCKETS * TREND_BUCKET_SECONDS, TREND_BUCKET_SECONDS, TREND_BUCKETS, "timestamp")
    recent = Term("timestamp", "range", (span.start_at, None))
    groups = store.failures(recent, limit=_MAX_GROUPS, span=span).groups
    told = {group.fingerprint.id for group in groups}
    remarkable = dict(_new_or_regressed(known, span.start_at))
    missing = [failure for failure in remarkable if failure not in told][:_MAX_GROUPS]
    if missing:
        these = any_of(Term("failure", "equals", failure) for failure in missing)
        groups = (*groups, *store.failures(all_of([recent, these]), limit=_MAX_GROUPS, span=span).groups)
    return tuple(map(known.to_row, groups)), Counter(remarkable.values())


def _new_or_regressed(known: FailureStatuses, since: float) -> Iterable[tuple[str, FailureStatus]]:
    """Groups that are new or have returned, those that failed last first."""
    active = [(seen.last, failure) for failure, seen in known.seen.items() if seen.last is not None]
    for last, failure in sorted(active, reverse=True):
        if last < since:
            return
        status = known.get_status(failure)
        if status in ("new", "returning"):
            yield failure, status


def _collect_running_tasks(store: Reader, now: float) -> tuple[RunningTask, ...]:
    where = all_of([Term("state", "equals", STARTED), Term("started", "range", (now - _MAX_RUNNING_AGE, None))])
    tasks = list(store.tasks(Query(where, (Sort("started"),)), limit=MAX_RUNNING_TASKS))
    slow = store.slow_thresholds() if tasks else {}
    return tuple(
        RunningTask(
            task.uuid, task.name, task.hostname, task.started, None if task.name is None else slow.get(task.name)
        )
        for task in tasks
        if task.started is not None
    )
