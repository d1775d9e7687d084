"""The input of the health rules, read from store and ledger at one moment."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from flower.api.failures import FailureRow, FailureStatus, FailureStatuses, load_failure_statuses
from flower.api.gaps import load_dismissals
from flower.api.queues import QueueRates
from flower.recorder_status import RecorderStatus
from flower.records import STARTED, Gap, LostReason, Worker
from flower.search.tree import Not, Term, all_of, any_of
from flower.store.ledger import Ledger
from flower.store.ledger.queue_samples import QueueSample
from flower.store.protocols import Query, Reader, Sort, StoreStatus
from flower.store.query_results import BucketSpan
from flower.worker_state import WorkerState, judge_workers

#: Buckets in which failures are compared, and their width in seconds.
TREND_BUCKETS: Final = 7
TREND_BUCKET_SECONDS: Final = 600.0
#: Failure groups that are read: the largest ones, and the new and regressed ones.
_MAX_GROUPS: Final = 10
#: Running tasks that are read, oldest first, and lost tasks, latest first.
MAX_RUNNING_TASKS: Final = 200
MAX_LOST_TASKS: Final = 200
#: Seconds since the start of a running task, and since the last event of a lost one, after which it is not reported.
MAX_TASK_AGE: Final = 86_400.0
#: Seconds after which a queue sample is too old to be a current value.
_MAX_SAMPLE_AGE: Final = 60.0
_IS_LOST: Final = Term("lost", "present", "")


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    latest_sample: QueueSample
    rates: QueueRates
    #: names of the workers that consume it, as far as inspection replies are known
    workers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunningTask:
    """`started`: epoch seconds by the clock of the worker, which is `clock_offset` seconds ahead. `slow_threshold`:
    95th percentile of the run time of its type, None if unknown."""

    uuid: str
    name: str | None
    worker: str | None
    started: float
    slow_threshold: float | None
    clock_offset: float = 0.0

    def runtime(self, now: float) -> float:
        """Seconds since the start."""
        return now - (self.started - self.clock_offset)


@dataclass(frozen=True, slots=True)
class LostTasks:
    """Number of tasks with the mark `lost` and a last event within MAX_TASK_AGE, and the reasons of the latest
    MAX_LOST_TASKS of them, most frequent first. `since`: when the first of these was marked, epoch seconds. `uuid`: ""
    unless there is only one."""

    count: int = 0
    by_reason: Mapping[LostReason, int] = field(default_factory=dict)
    since: float | None = None
    uuid: str = ""


@dataclass(frozen=True)
class HealthSnapshot:
    now: float
    recorder: RecorderStatus = field(default_factory=RecorderStatus)
    store: StoreStatus = field(default_factory=lambda: StoreStatus(0, 0, 0, 0))
    #: without those that a user has dismissed
    gaps: Sequence[Gap] = ()
    workers: Mapping[str, Worker] = field(default_factory=dict)
    queues: Sequence[QueueSnapshot] = ()
    #: groups with failures within the last TREND_BUCKETS * TREND_BUCKET_SECONDS seconds; their `trend` has these
    #: buckets
    failures: Sequence[FailureRow] = ()
    #: seconds of that time that the records cover: less in a new store
    failure_seconds: float = TREND_BUCKETS * TREND_BUCKET_SECONDS
    #: number of new and of regressed groups that failed within that time, including those that are not in `failures`
    failure_counts: Mapping[FailureStatus, int] = field(default_factory=dict)
    #: without lost tasks
    running_tasks: Sequence[RunningTask] = ()
    lost_tasks: LostTasks = field(default_factory=LostTasks)

    @cached_property
    def is_current(self) -> bool:
        """Whether the records describe the current state of the cluster."""
        return self.recorder.is_recording(self.now) and not self.recorder.view(self.now).interruption

    @property
    def events_seen(self) -> bool:
        """Whether an event was recorded since the start of the store."""
        return self.store.tasks > 0 or any(
            worker.heartbeat is not None or worker.seen_at is not None for worker in self.workers.values()
        )

    @cached_property
    def worker_states(self) -> Mapping[str, WorkerState]:
        return judge_workers(self.workers, self.recorder, self.now)

    @cached_property
    def live_workers(self) -> frozenset[str]:
        return frozenset(name for name, state in self.worker_states.items() if state.alive)


def collect_snapshot(
    store: Reader,
    ledger: Ledger | None = None,
    *,
    rates: Mapping[str, QueueRates] | None = None,
    consumers: Mapping[str, tuple[str, ...]] | None = None,
    now: float | None = None,
) -> HealthSnapshot:
    """Without a ledger the snapshot contains no queues, and no failure group is resolved or muted."""
    now = time.time() if now is None else now
    failures, failure_counts = _collect_failures(store, ledger, now)
    return HealthSnapshot(
        now=now,
        recorder=RecorderStatus.from_dict(store.recorder_status()),
        store=store.status(),
        gaps=_collect_gaps(store, ledger),
        workers=store.workers(),
        queues=() if ledger is None else _collect_queues(ledger, rates or {}, consumers or {}, now),
        failures=failures,
        failure_seconds=_recorded_seconds(store, now),
        failure_counts=failure_counts,
        running_tasks=_collect_running_tasks(store, now),
        lost_tasks=_collect_lost_tasks(store, now),
    )


def _collect_gaps(store: Reader, ledger: Ledger | None) -> tuple[Gap, ...]:
    dismissals = load_dismissals(ledger)
    return tuple(gap for gap in store.gaps() if gap.id not in dismissals)


def _recorded_seconds(store: Reader, now: float) -> float:
    """How long ago the oldest task was, at most the length of the trends."""
    length = TREND_BUCKETS * TREND_BUCKET_SECONDS
    oldest = next(store.tasks(Query(sort=(Sort("time"),)), limit=1), None)
    return length if oldest is None or oldest.time is None else min(length, max(0.0, now - oldest.time))


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
    if ledger is None:
        statuses = FailureStatuses(store.failures_seen(), {}, {}, now)
    else:
        statuses = load_failure_statuses(store, ledger, now)
    span = BucketSpan(now - TREND_BUCKETS * TREND_BUCKET_SECONDS, TREND_BUCKET_SECONDS, TREND_BUCKETS, "timestamp")
    recent = Term("timestamp", "range", (span.start_at, None))
    groups = store.failures(recent, limit=_MAX_GROUPS, span=span).groups
    found = {group.fingerprint.id for group in groups}
    new_or_regressed = dict(_new_or_regressed(statuses, span.start_at))
    missing = [failure for failure in new_or_regressed if failure not in found][:_MAX_GROUPS]
    if missing:
        condition = any_of(Term("failure", "equals", failure) for failure in missing)
        groups = (*groups, *store.failures(all_of([recent, condition]), limit=_MAX_GROUPS, span=span).groups)
    return tuple(map(statuses.to_row, groups)), Counter(new_or_regressed.values())


def _new_or_regressed(statuses: FailureStatuses, since: float) -> Iterable[tuple[str, FailureStatus]]:
    """New and regressed groups that failed after `since`, latest failure first."""
    active = [(seen.last, failure) for failure, seen in statuses.seen.items() if seen.last is not None]
    for last, failure in sorted(active, reverse=True):
        if last < since:
            return
        status = statuses.get_status(failure)
        if status in ("new", "regressed"):
            yield failure, status


def _collect_running_tasks(store: Reader, now: float) -> tuple[RunningTask, ...]:
    where = all_of(
        [Term("state", "equals", STARTED), Not(_IS_LOST), Term("started", "range", (now - MAX_TASK_AGE, None))]
    )
    tasks = list(store.tasks(Query(where, (Sort("started"),)), limit=MAX_RUNNING_TASKS))
    thresholds = store.slow_thresholds() if tasks else {}
    return tuple(
        RunningTask(
            task.uuid,
            task.name,
            task.hostname,
            task.started,
            None if task.name is None else thresholds.get(task.name),
            task.clock_offset or 0.0,
        )
        for task in tasks
        if task.started is not None
    )


def _collect_lost_tasks(store: Reader, now: float) -> LostTasks:
    where = all_of([_IS_LOST, Term("timestamp", "range", (now - MAX_TASK_AGE, None))])
    tasks = list(store.tasks(Query(where, (Sort("timestamp", True),)), limit=MAX_LOST_TASKS))
    if not tasks:
        return LostTasks()
    count = len(tasks) if len(tasks) < MAX_LOST_TASKS else store.count_until_deadline(where).count
    reasons = Counter(task.lost.reason for task in tasks if task.lost is not None)
    return LostTasks(
        max(count, len(tasks)),
        dict(reasons.most_common()),
        min(task.lost.since for task in tasks if task.lost is not None),
        tasks[0].uuid if len(tasks) == 1 else "",
    )
