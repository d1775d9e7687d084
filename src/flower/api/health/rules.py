"""Health rules: one function for each kind of issue, from a snapshot to issues.

Rules about workers and running tasks are suppressed while the records do not describe the current state; the rules
about the recorder report why.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from flower.api.failures import FailureRow
from flower.api.health.gap_rules import (
    events_missed,
    messages_unreadable,
    task_events_disabled,
    workers_without_events,
)
from flower.api.health.messages import (
    MAX_SEPARATE_ISSUES,
    build_failure_issues,
    build_lost_tasks_issue,
    build_queue_issue,
    build_recorder_issue,
    build_task_issue,
    build_worker_issue,
    describe_bytes,
    describe_duration,
    describe_rate,
    format_task_count,
    pluralize,
    truncate_name,
)
from flower.api.health.models import Health, HealthIssue, IssueSubject, Severity, build_health
from flower.api.health.remedies import RESULT_BACKEND_REMEDY
from flower.api.health.snapshot import MAX_TASK_AGE, TREND_BUCKETS, HealthSnapshot, RunningTask
from flower.records import Worker
from flower.search.tree import Term
from flower.worker_state import BLOCKING_POOLS, NO_HEARTBEATS_TIMEOUT, duplicate_pids

HealthRule: TypeAlias = Callable[[HealthSnapshot], Iterable[HealthIssue]]

HOUR: Final = 3_600.0
#: Seconds between the receipt of an event and its write.
LAG_WARNING, LAG_CRITICAL = 10.0, 60.0
#: Bytes free on the disk.
DISK_WARNING_BYTES, DISK_CRITICAL_BYTES = 1 << 30, 100 << 20
#: Ready messages from which a growing queue is an issue.
MIN_GROWING_DEPTH: Final = 100
#: Failures increase if there are this many in the last bucket, and this many times the average of the buckets before.
MIN_RISING_FAILURES, RISING_FACTOR = 10, 3.0
#: A task is stuck if it runs this many times as long as the 95th percentile of its type, and at least this many
#: seconds.
STUCK_FACTOR, MIN_STUCK_SECONDS = 10.0, 600.0
#: Seconds for which the result backend must fail: longer than until the next request.
MIN_BACKEND_FAILURE: Final = 15.0
#: Seconds for which a solo worker that sends nothing is assumed to run a task.
MAX_BUSY_TIME: Final = 600.0
#: Seconds by which the clock of a worker must differ from the recorder's to be an issue.
MIN_CLOCK_OFFSET: Final = 2.0


def recorder_stopped(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    reported_at = snapshot.recorder.reported_at
    if reported_at is not None and snapshot.recorder.state(snapshot.now) == "stopped":
        age = describe_duration(snapshot.now - reported_at)
        detail = (
            f"The recorder last reported {age} ago; see its log. Events are kept for event_queue_expires (one hour by "
            "default), by RabbitMQ or, with Redis, by the drain process of the host; after a planned stop with Redis, "
            "for event_drain_linger (one minute)."
        )
        yield build_recorder_issue("recorder_stopped", "critical", "Recording stopped", detail, started_at=reported_at)


def disk_full(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    if snapshot.recorder.error and snapshot.recorder.is_alive(snapshot.now):
        yield HealthIssue(
            kind="disk_full",
            severity="critical",
            title="Cannot write to the store",
            detail=f"{snapshot.recorder.error}. Recording is paused until disk space is free; figures are from the "
            "time before.",
            subject=IssueSubject("store"),
            started_at=snapshot.recorder.current_at,
        )


def broker_unreachable(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    recorder = snapshot.recorder
    if not recorder.is_alive(snapshot.now) or recorder.connected:
        return
    reason = f": {truncate_name(recorder.connection_error)}" if recorder.connection_error else ""
    detail = (
        f"No connection to the broker{reason}. The recorder retries automatically. Figures of workers and queues are "
        "from the time before."
    )
    yield build_recorder_issue(
        "broker_unreachable", "critical", "Broker unreachable", detail, started_at=recorder.current_at
    )


def store_damaged(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    damaged = snapshot.store.damaged
    if damaged:
        names = ", ".join(damaged[:MAX_SEPARATE_ISSUES])
        yield HealthIssue(
            kind="store_damaged",
            severity="critical",
            title="Part of the store is damaged",
            detail=f"Cannot read {names}. Tasks in damaged files are missing from results, which report it. To restore "
            "them, stop Bellflower, copy the files from a backup into the directory of the store and delete the files "
            "of that name in its directory damaged. To accept the loss, delete all files in damaged.",
            subject=IssueSubject("store", damaged[0]),
            value=float(len(damaged)),
        )


def store_migrating(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    migration = snapshot.store.migration
    if migration is None:
        return
    severity: Severity = "warning"
    if migration.error:
        severity, title = "critical", "The migration of the store has failed"
        advice = (
            f" Cannot convert {truncate_name(migration.error)}. The file is tried again at the next start. Keep the "
            "backup of the version before, run `flower check`, and see the log of the recorder."
        )
    elif snapshot.recorder.is_alive(snapshot.now):
        title, advice = "The store is being migrated", ""
    else:
        title, advice = "The migration of the store is interrupted", " The migration continues when the recorder runs."
    yield HealthIssue(
        kind="store_migrating",
        severity=severity,
        title=title,
        detail=f"{migration.done:,} of {migration.total:,} files are up to date. All tasks can be read; searches are "
        f"slower meanwhile.{advice}",
        subject=IssueSubject("store"),
        started_at=migration.started_at,
        value=float(migration.total - migration.done),
    )


def disk_low(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    free = snapshot.store.free_bytes
    if free is not None and free < DISK_WARNING_BYTES:
        yield HealthIssue(
            kind="disk_low",
            severity="critical" if free < DISK_CRITICAL_BYTES else "warning",
            title="Disk almost full",
            detail=f"{describe_bytes(free)} free on the disk of the store. Recording pauses when the disk is full.",
            subject=IssueSubject("store"),
            value=float(free),
        )


def recorder_behind(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    lag = snapshot.recorder.lag
    if snapshot.recorder.is_recording(snapshot.now) and lag is not None and lag > LAG_WARNING:
        severity: Severity = "critical" if lag > LAG_CRITICAL else "warning"
        detail = f"Events are written {describe_duration(lag)} after they were received from the broker."
        yield build_recorder_issue("recorder_behind", severity, "Data is delayed", detail, value=lag)


def no_workers_online(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    workers = _find_silent_workers(snapshot)
    if workers and not snapshot.live_workers:
        last = max(since for _, since in workers)
        yield HealthIssue(
            kind="no_workers_online",
            severity="critical",
            title="No workers online",
            detail=f"Last sign of life {describe_duration(snapshot.now - last)} ago; no worker shut down cleanly.",
            subject=IssueSubject("worker", workers[0][0] if len(workers) == 1 else ""),
            started_at=last,
            value=float(len(workers)),
        )


def worker_no_heartbeat(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    workers = _find_silent_workers(snapshot) if snapshot.live_workers else []
    if len(workers) > MAX_SEPARATE_ISSUES:
        last = max(since for _, since in workers)
        age = describe_duration(snapshot.now - last)
        detail = f"No heartbeat, other event or answer for {age} or longer; the workers did not shut down cleanly."
        title = f"{len(workers):,} workers stopped sending heartbeats"
        yield build_worker_issue("worker_no_heartbeat", title, detail, "", started_at=last, value=float(len(workers)))
        return
    for name, since in workers:
        age = describe_duration(snapshot.now - since)
        detail = f"No heartbeat, other event or answer for {age}; the worker did not shut down cleanly."
        title = f"{truncate_name(name)} stopped sending heartbeats"
        yield build_worker_issue("worker_no_heartbeat", title, detail, name, started_at=since)


def worker_state_unknown(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    """Workers without heartbeats that sent nothing else either, and workers that may be busy, or have stopped. A worker
    whose state is unknown because recording was interrupted is not an issue of its own."""
    if not snapshot.is_current:
        return
    workers = [
        (name, state.since)
        for name, state in sorted(snapshot.worker_states.items())
        if state.name == "unknown"
        and state.since is not None
        and _unknown_delay(snapshot.workers[name]) <= snapshot.now - state.since < HOUR
    ]
    for name, since in workers[:MAX_SEPARATE_ISSUES]:
        age = describe_duration(snapshot.now - since)
        detail = f"{snapshot.worker_states[name].reason} Last sign of life {age} ago."
        title = f"State of {truncate_name(name)} unknown"
        yield build_worker_issue("worker_state_unknown", title, detail, name, started_at=since)


def worker_name_shared(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    if not snapshot.is_current:
        return
    for name, worker in sorted(snapshot.workers.items()):
        if pids := duplicate_pids(worker, snapshot.now):
            processes = " and ".join(map(str, pids))
            detail = (
                f"Processes {processes} send events under this name: their figures alternate, and commands reach both. "
                "Start each worker with a name of its own: celery worker -n worker1@%h."
            )
            title = f"Two workers are named {truncate_name(name)}"
            yield build_worker_issue("worker_name_shared", title, detail, name, started_at=worker.duplicate_at)


def worker_clock_wrong(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    workers = [
        (name, offset)
        for name, worker in sorted(snapshot.workers.items())
        if (offset := worker.clock_offset) is not None
        and abs(offset) >= MIN_CLOCK_OFFSET
        and name in snapshot.live_workers
    ]
    for name, offset in workers[:MAX_SEPARATE_ISSUES] if snapshot.is_current else ():
        direction = "ahead of" if offset > 0 else "behind"
        duration = describe_duration(abs(offset))
        detail = (
            f"The clock of the worker is {duration} {direction} that of the recorder. Waits are corrected; times of "
            "events are those of the worker. Synchronize the clocks, for example with NTP."
        )
        title = f"Clock of {truncate_name(name)} is {duration} {'ahead' if offset > 0 else 'behind'}"
        yield build_worker_issue("worker_clock_wrong", title, detail, name, started_at=None, value=offset)


def queue_without_consumers(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    for queue in snapshot.queues:
        ready, consumers = queue.latest_sample.ready, queue.latest_sample.consumers
        no_workers = consumers is None and snapshot.is_current and not snapshot.live_workers
        if ready and (consumers == 0 or no_workers) and not queue.workers:
            yield build_queue_issue(
                "queue_without_consumers",
                "critical",
                queue.latest_sample.queue,
                "has no consumers",
                f"{pluralize(ready, 'message')} waiting; no worker consumes this queue.",
                ready,
                queue.rates.depths,
            )


def queue_growing(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    for queue in snapshot.queues:
        ready, rates = queue.latest_sample.ready, queue.rates
        if not rates.growing or ready is None or ready < MIN_GROWING_DEPTH:
            continue
        growth = rates.slope
        if growth is None:
            growth = (rates.arrivals_per_second or 0.0) - (rates.departures_per_second or 0.0)
        messages = pluralize(ready, "message")
        detail = f"{messages} waiting, +{describe_rate(growth)}: more messages arrive than are consumed."
        yield build_queue_issue(
            "queue_growing", "warning", queue.latest_sample.queue, "is growing", detail, ready, rates.depths
        )


def failures_new(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    groups = [group for group in snapshot.failures if group.status == "new"]
    count = snapshot.failure_counts.get("new", 0)
    yield from build_failure_issues(
        "failures_new", groups, count, "New failure", "new failure groups", seconds=snapshot.failure_seconds
    )


def failures_regressed(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    groups = [group for group in snapshot.failures if group.status == "regressed"]
    count = snapshot.failure_counts.get("regressed", 0)
    yield from build_failure_issues(
        "failures_regressed",
        groups,
        count,
        "Failure regressed",
        "failure groups regressed",
        seconds=snapshot.failure_seconds,
    )


def failures_rising(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    groups = [group for group in snapshot.failures if group.status == "open" and _is_rising(group)]
    yield from build_failure_issues(
        "failures_rising",
        groups,
        len(groups),
        "Failures increasing",
        "failure groups increasing",
        seconds=snapshot.failure_seconds,
    )


def tasks_lost(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    if snapshot.lost_tasks.count:
        yield build_lost_tasks_issue(snapshot.lost_tasks, snapshot.now - MAX_TASK_AGE)


def tasks_stuck(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    if not snapshot.is_current:
        return
    stuck = [task for task in snapshot.running_tasks if _is_stuck(task, snapshot)]
    if stuck:
        first = stuck[0]
        name, runtime = truncate_name(first.name or first.uuid), describe_duration(first.runtime(snapshot.now))
        threshold = first.slow_threshold
        comparison = "" if threshold is None else f"; 95% of its runs take at most {describe_duration(threshold)}"
        names = {task.name for task in stuck}
        condition = Term("name", "equals", first.name) if len(names) == 1 and first.name is not None else None
        title = f"{format_task_count(stuck)} may be stuck"
        yield build_task_issue(
            "tasks_stuck", title, f"{name} has been running for {runtime}{comparison}.", stuck, condition
        )


def broker_blocks_publishers(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    since = snapshot.recorder.blocked_since
    if since is not None and snapshot.recorder.is_alive(snapshot.now):
        detail = (
            f"RabbitMQ has blocked publishers for {describe_duration(snapshot.now - since)} because of an alarm for "
            "memory or disk space: workers cannot send events or results, clients cannot send tasks. Run "
            "`rabbitmq-diagnostics alarms`, and free memory or disk space, or change vm_memory_high_watermark or "
            "disk_free_limit."
        )
        yield build_recorder_issue(
            "broker_blocks_publishers", "critical", "RabbitMQ blocks publishers", detail, started_at=since
        )


def result_backend_failing(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    recorder, reconcile = snapshot.recorder, snapshot.recorder.reconcile
    if reconcile is None or reconcile.backend_failed_at is None or not recorder.is_alive(snapshot.now):
        return
    if snapshot.now - reconcile.backend_failed_at >= MIN_BACKEND_FAILURE:
        duration = describe_duration(snapshot.now - reconcile.backend_failed_at)
        detail = (
            f"Unreadable for {duration}: {truncate_name(reconcile.backend_error or 'unknown error')}. States of tasks "
            "whose events were missed cannot be proved, and results are not available. The recorder retries "
            f"automatically. {RESULT_BACKEND_REMEDY}"
        )
        yield build_recorder_issue(
            "result_backend_failing", "warning", "Result backend unreadable", detail,
            started_at=reconcile.backend_failed_at,
        )  # fmt: skip


def too_many_names(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    """Names that are not counted or recorded separately. A worker that gets a new name at each start is removed in time
    and is no issue."""
    recorder = snapshot.recorder
    if not recorder.full_labels or not recorder.is_alive(snapshot.now):
        return
    removed = f" The records of {recorder.removed_workers:,} workers were removed." if recorder.removed_workers else ""
    detail = (
        f"Within the last hour there were more {' and '.join(recorder.full_labels)} than metrics count separately; "
        f"further ones are counted as __other__.{removed} Find the sender of the names, or raise metrics_max_names or "
        "metrics_max_pairs."
    )
    yield build_recorder_issue("too_many_names", "warning", "Too many different names", detail)


#: The order of issues of equal severity.
HEALTH_RULES: Final[tuple[HealthRule, ...]] = (
    recorder_stopped,
    disk_full,
    broker_unreachable,
    broker_blocks_publishers,
    result_backend_failing,
    store_damaged,
    store_migrating,
    disk_low,
    no_workers_online,
    queue_without_consumers,
    messages_unreadable,
    workers_without_events,
    recorder_behind,
    worker_no_heartbeat,
    worker_state_unknown,
    worker_name_shared,
    worker_clock_wrong,
    failures_regressed,
    failures_new,
    failures_rising,
    queue_growing,
    tasks_lost,
    tasks_stuck,
    events_missed,
    task_events_disabled,
    too_many_names,
)


def evaluate_health(snapshot: HealthSnapshot) -> Health:
    return build_health(
        [issue for rule in HEALTH_RULES for issue in rule(snapshot)],
        now=snapshot.now,
        recorder_seen=snapshot.recorder.reported_at is not None,
        workers_seen=bool(snapshot.workers),
        events_seen=snapshot.events_seen,
    )


def _find_silent_workers(snapshot: HealthSnapshot) -> list[tuple[str, float]]:
    """Name and last sign of life of the workers that became silent within the last hour."""
    if not snapshot.is_current:
        return []
    return [
        (name, state.since)
        for name, state in sorted(snapshot.worker_states.items())
        if state.name == "silent" and state.since is not None and snapshot.now - state.since < HOUR
    ]


def _unknown_delay(worker: Worker) -> float:
    """Seconds of unknown state after which it is an issue."""
    return MAX_BUSY_TIME if worker.pool in BLOCKING_POOLS else NO_HEARTBEATS_TIMEOUT


def _is_rising(group: FailureRow) -> bool:
    if len(group.trend) != TREND_BUCKETS:
        return False
    average = sum(group.trend[:-1]) / (TREND_BUCKETS - 1)
    return group.trend[-1] >= max(MIN_RISING_FAILURES, RISING_FACTOR * average)


def _is_stuck(task: RunningTask, snapshot: HealthSnapshot) -> bool:
    """False for a type of unknown run time."""
    if task.slow_threshold is None:
        return False
    return task.runtime(snapshot.now) > max(MIN_STUCK_SECONDS, STUCK_FACTOR * task.slow_threshold)
