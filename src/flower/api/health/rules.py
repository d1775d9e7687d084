"""Health rules: one function for each kind of issue, from a snapshot to issues.

Rules about workers and running tasks are suppressed while recording is interrupted: the records do not describe the
current state then, and the rules about the recorder report the interruption.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from flower.api.failures import FailureRow
from flower.api.health.messages import (
    MAX_SEPARATE_ISSUES,
    build_failure_issues,
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
from flower.api.health.snapshot import TREND_BUCKETS, HealthSnapshot, RunningTask
from flower.search.tree import Term

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
#: Seconds after its start before a task on an offline worker counts as lost.
LOST_TASK_DELAY: Final = 60.0


def recorder_stopped(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    reported_at = snapshot.recorder.reported_at
    if reported_at is not None and snapshot.recorder.state(snapshot.now) == "stopped":
        age = describe_duration(snapshot.now - reported_at)
        detail = (
            f"The recorder last reported {age} ago; see its log. With Redis, events are lost until the recorder runs. "
            "With RabbitMQ, they are kept for event_queue_expires (one hour by default)."
        )
        yield build_recorder_issue("recorder_stopped", "critical", "Recording stopped", detail, started_at=reported_at)


def disk_full(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    if snapshot.recorder.error and snapshot.recorder.is_alive(snapshot.now):
        yield HealthIssue(
            kind="disk_full",
            severity="critical",
            title="Cannot write to the store",
            detail=f"{snapshot.recorder.error}. Recording is paused until disk space is free.",
            subject=IssueSubject("store"),
        )


def broker_unreachable(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    recorder = snapshot.recorder
    if not recorder.is_alive(snapshot.now) or recorder.connected:
        return
    reason = f": {truncate_name(recorder.connection_error)}" if recorder.connection_error else ""
    detail = f"No connection to the broker{reason}. The recorder retries automatically."
    yield build_recorder_issue("broker_unreachable", "critical", "Broker unreachable", detail)


def store_damaged(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    damaged = snapshot.store.damaged
    if damaged:
        names = ", ".join(damaged[:MAX_SEPARATE_ISSUES])
        yield HealthIssue(
            kind="store_damaged",
            severity="critical",
            title="Part of the store is damaged",
            detail=f"Cannot read {names}. Tasks in damaged files are missing from all results.",
            subject=IssueSubject("store", damaged[0]),
            value=float(len(damaged)),
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
    if snapshot.is_recording and lag is not None and lag > LAG_WARNING:
        severity: Severity = "critical" if lag > LAG_CRITICAL else "warning"
        detail = f"Events are written {describe_duration(lag)} after they were received from the broker."
        yield build_recorder_issue("recorder_behind", severity, "Data is delayed", detail, value=lag)


def events_missed(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    recent = [gap for gap in snapshot.gaps if gap.end is None or gap.end > snapshot.now - HOUR]
    if recent:
        newest = max(recent, key=lambda gap: gap.start)
        if newest.end is None:
            detail = f"Events may be missing since {describe_duration(snapshot.now - newest.start)}: {newest.reason}."
        else:
            detail = (
                f"Events of a period of {describe_duration(newest.end - newest.start)} may be missing: {newest.reason}."
            )
        yield build_recorder_issue(
            "events_missed",
            "warning",
            "Events may be missing",
            detail,
            started_at=newest.start,
            value=float(len(recent)),
        )


def no_workers_online(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    workers = _find_unresponsive_workers(snapshot)
    if workers and not snapshot.live_workers:
        last = max(heartbeat for _, heartbeat in workers)
        yield HealthIssue(
            kind="no_workers_online",
            severity="critical",
            title="No workers online",
            detail=f"Last heartbeat {describe_duration(snapshot.now - last)} ago; no worker shut down cleanly.",
            subject=IssueSubject("worker", workers[0][0] if len(workers) == 1 else ""),
            started_at=last,
            value=float(len(workers)),
        )


def worker_no_heartbeat(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    workers = _find_unresponsive_workers(snapshot) if snapshot.live_workers else []
    if len(workers) > MAX_SEPARATE_ISSUES:
        last = max(heartbeat for _, heartbeat in workers)
        age = describe_duration(snapshot.now - last)
        detail = f"No heartbeat for {age} or longer; the workers did not shut down cleanly."
        title = f"{len(workers):,} workers stopped sending heartbeats"
        yield build_worker_issue(title, detail, "", last, float(len(workers)))
        return
    for name, heartbeat in workers:
        detail = (
            f"No heartbeat for {describe_duration(snapshot.now - heartbeat)}; the worker did not shut down cleanly."
        )
        yield build_worker_issue(f"{truncate_name(name)} stopped sending heartbeats", detail, name, heartbeat, None)


def queue_without_consumers(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    for queue in snapshot.queues:
        ready, consumers = queue.latest_sample.ready, queue.latest_sample.consumers
        no_workers = consumers is None and snapshot.is_recording and not snapshot.live_workers
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
    yield from build_failure_issues("failures_new", groups, count, "New failure", "new failure groups")


def failures_regressed(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    groups = [group for group in snapshot.failures if group.status == "regressed"]
    count = snapshot.failure_counts.get("regressed", 0)
    yield from build_failure_issues(
        "failures_regressed", groups, count, "Failure regressed", "failure groups regressed"
    )


def failures_rising(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    groups = [group for group in snapshot.failures if group.status == "open" and _is_rising(group)]
    yield from build_failure_issues(
        "failures_rising", groups, len(groups), "Failures increasing", "failure groups increasing"
    )


def tasks_lost(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    if not snapshot.is_recording:
        return
    lost = [task for task in snapshot.running_tasks if _is_lost(task, snapshot)]
    if lost:
        workers = sorted({task.worker for task in lost if task.worker is not None})
        is_single = len(workers) == 1
        names = ", ".join(map(truncate_name, workers[:MAX_SEPARATE_ISSUES]))
        title = f"{format_task_count(lost)} lost ({'worker' if is_single else 'workers'} offline)"
        detail = f"Started on {names}, which {'is' if is_single else 'are'} offline."
        condition = Term("worker", "equals", workers[0]) if is_single else None
        yield build_task_issue("tasks_lost", title, detail, lost, condition)


def tasks_stuck(snapshot: HealthSnapshot) -> Iterator[HealthIssue]:
    if not snapshot.is_recording:
        return
    stuck = [task for task in snapshot.running_tasks if _is_stuck(task, snapshot)]
    if stuck:
        first = stuck[0]
        name, runtime = truncate_name(first.name or first.uuid), describe_duration(snapshot.now - first.started)
        threshold = first.slow_threshold
        comparison = "" if threshold is None else f"; 95% of its runs take at most {describe_duration(threshold)}"
        names = {task.name for task in stuck}
        condition = Term("name", "equals", first.name) if len(names) == 1 and first.name is not None else None
        title = f"{format_task_count(stuck)} may be stuck"
        yield build_task_issue(
            "tasks_stuck", title, f"{name} has been running for {runtime}{comparison}.", stuck, condition
        )


#: The order of issues of equal severity.
HEALTH_RULES: Final[tuple[HealthRule, ...]] = (
    recorder_stopped,
    disk_full,
    broker_unreachable,
    store_damaged,
    disk_low,
    no_workers_online,
    queue_without_consumers,
    recorder_behind,
    worker_no_heartbeat,
    failures_regressed,
    failures_new,
    failures_rising,
    queue_growing,
    tasks_lost,
    tasks_stuck,
    events_missed,
)


def evaluate_health(snapshot: HealthSnapshot) -> Health:
    return build_health(
        [issue for rule in HEALTH_RULES for issue in rule(snapshot)],
        now=snapshot.now,
        recorder_seen=snapshot.recorder.reported_at is not None,
        workers_seen=bool(snapshot.workers),
    )


def _find_unresponsive_workers(snapshot: HealthSnapshot) -> list[tuple[str, float]]:
    """Name and last heartbeat of the workers that stopped sending heartbeats within the last hour without a
    worker-offline event."""
    if not snapshot.is_recording:
        return []
    return [
        (name, worker.heartbeat)
        for name, worker in sorted(snapshot.workers.items())
        if worker.online
        and name not in snapshot.live_workers
        and worker.heartbeat is not None
        and snapshot.now - worker.heartbeat < HOUR
    ]


def _is_rising(group: FailureRow) -> bool:
    if len(group.trend) != TREND_BUCKETS:
        return False
    average = sum(group.trend[:-1]) / (TREND_BUCKETS - 1)
    return group.trend[-1] >= max(MIN_RISING_FAILURES, RISING_FACTOR * average)


def _is_lost(task: RunningTask, snapshot: HealthSnapshot) -> bool:
    """Whether its worker is known and offline."""
    is_offline = task.worker in snapshot.workers and task.worker not in snapshot.live_workers
    return is_offline and snapshot.now - task.started > LOST_TASK_DELAY


def _is_stuck(task: RunningTask, snapshot: HealthSnapshot) -> bool:
    """False for a type of unknown run time, and for a lost task."""
    if task.slow_threshold is None or _is_lost(task, snapshot):
        return False
    return snapshot.now - task.started > max(MIN_STUCK_SECONDS, STUCK_FACTOR * task.slow_threshold)
