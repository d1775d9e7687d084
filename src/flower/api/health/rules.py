"""When something is wrong: one small function for each thing, of what is known and nothing else.

Those that speak of workers and of tasks that run hold their tongue while nothing is recorded: what is on record is not
how things are then, and the first rule says so.
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
from flower.api.health.snapshot import TREND_BUCKETS, HealthSnapshot, RunningTask, to_float
from flower.search.tree import Term

HealthRule: TypeAlias = Callable[[HealthSnapshot], Iterable[HealthIssue]]

HOUR: Final = 3_600.0
#: Seconds that events may be on their way into the store.
LAG_WARNING, LAG_CRITICAL = 10.0, 60.0
#: Bytes that are left on the disk.
DISK_WARNING_BYTES, DISK_CRITICAL_BYTES = 1 << 30, 100 << 20
#: Messages from which a growing queue is worth a word.
MIN_GROWING_DEPTH: Final = 100
#: Failures in the last stretch of time, and how often as many as before, that make a rise.
MIN_RISING_FAILURES, RISING_FACTOR = 10, 3.0
#: A task is stuck if it runs so many times as long as slow ones of its type, and at least so many seconds.
STUCK_FACTOR, MIN_STUCK_SECONDS = 10.0, 600.0
#: Seconds that a task may seem to run on a worker that is gone, before it is lost.
LOST_TASK_DELAY: Final = 60.0


def recorder_stopped(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    if signs.recorder_is_down and signs.recorder_seen_at is not None:
        ago = describe_duration(signs.now - signs.recorder_seen_at)
        detail = f"The recorder was last heard {ago} ago. What happens now is kept by the broker at best."
        yield build_recorder_issue(
            "recorder_stopped", "critical", "Nothing is being recorded", detail, since=signs.recorder_seen_at
        )


def disk_full(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    trouble = signs.recorder_status.get("trouble")
    if trouble and not signs.recorder_is_down:
        yield HealthIssue(
            kind="disk_full",
            severity="critical",
            title="Nothing can be written",
            detail=f"{trouble}. Recording waits, and goes on by itself.",
            subject=IssueSubject("store"),
        )


def broker_unreachable(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    if signs.recorder_seen_at is None or signs.recorder_is_down or signs.capture.get("connected"):
        return
    said = signs.capture.get("last_error")
    detail = "The recorder has no connection to the broker, and tries again" + (
        f": {truncate_name(str(said))}" if said else "."
    )
    yield build_recorder_issue("broker_lost", "critical", "The broker cannot be reached", detail)


def store_damaged(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    damaged = signs.store.damaged
    if damaged:
        yield HealthIssue(
            kind="store_damaged",
            severity="critical",
            title="A part of the store is damaged",
            detail=f"Tasks are missing from all answers: {', '.join(damaged[:MAX_SEPARATE_ISSUES])} cannot be read.",
            subject=IssueSubject("store", damaged[0]),
            value=float(len(damaged)),
        )


def disk_low(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    free = signs.store.free_bytes
    if free is not None and free < DISK_WARNING_BYTES:
        yield HealthIssue(
            kind="disk_low",
            severity="critical" if free < DISK_CRITICAL_BYTES else "warning",
            title="The disk is nearly full",
            detail=f"{describe_bytes(free)} are left where the store is. Without room nothing is recorded.",
            subject=IssueSubject("store"),
            value=float(free),
        )


def recorder_behind(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    lag = to_float(signs.recorder_status.get("lag"))
    if signs.is_recording and lag is not None and lag > LAG_WARNING:
        severity: Severity = "critical" if lag > LAG_CRITICAL else "warning"
        detail = f"Events take {describe_duration(lag)} from the broker into the store."
        yield build_recorder_issue("recorder_behind", severity, "What you see is late", detail, value=lag)


def events_missed(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    recent = [gap for gap in signs.gaps if gap.end is None or gap.end > signs.now - HOUR]
    if recent:
        newest = max(recent, key=lambda gap: gap.start)
        length = "still" if newest.end is None else f"for {describe_duration(newest.end - newest.start)}"
        detail = f"Events may be missing, {length}: {newest.reason}."
        yield build_recorder_issue(
            "events_missed", "warning", "Events may be missing", detail, since=newest.start, value=float(len(recent))
        )


def no_workers_online(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    silent = _find_unresponsive_workers(signs)
    if silent and not signs.live_workers:
        last = max(heartbeat for _, heartbeat in silent)
        yield HealthIssue(
            kind="workers_gone",
            severity="critical",
            title="No worker is alive",
            detail=(
                f"The last heartbeat came {describe_duration(signs.now - last)} ago, and no worker said that it stops."
            ),
            subject=IssueSubject("worker", silent[0][0] if len(silent) == 1 else ""),
            started_at=last,
            value=float(len(silent)),
        )


def worker_no_heartbeat(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    silent = _find_unresponsive_workers(signs) if signs.live_workers else []
    if len(silent) > MAX_SEPARATE_ISSUES:
        last = max(heartbeat for _, heartbeat in silent)
        title = f"{len(silent):,} workers are silent"
        detail = (
            f"No heartbeat of them for {describe_duration(signs.now - last)} or longer, and they did not say that they"
            " stop."
        )
        yield build_worker_issue(title, detail, "", last, float(len(silent)))
        return
    for name, heartbeat in silent:
        detail = f"No heartbeat for {describe_duration(signs.now - heartbeat)}, and it did not say that it stops."
        yield build_worker_issue(f"{truncate_name(name)} is silent", detail, name, heartbeat, None)


def queue_without_consumers(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    for queue in signs.queues:
        ready, consumers = queue.latest_sample.ready, queue.latest_sample.consumers
        nobody = consumers == 0 or (consumers is None and signs.is_recording and not signs.live_workers)
        if ready and nobody and not queue.workers:
            yield build_queue_issue(
                "queue_unconsumed",
                "critical",
                queue.latest_sample.queue,
                "is eaten by nobody",
                f"{pluralize(ready, 'message')} {'waits' if ready == 1 else 'wait'}, and no worker consumes the queue.",
                ready,
                queue.rates.depths,
            )


def queue_growing(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    for queue in signs.queues:
        ready, rates = queue.latest_sample.ready, queue.rates
        if not rates.growing or ready is None or ready < MIN_GROWING_DEPTH:
            continue
        gain = (
            rates.slope
            if rates.slope is not None
            else (rates.arrivals_per_second or 0.0) - (rates.departures_per_second or 0.0)
        )
        detail = f"{pluralize(ready, 'message')} wait, {describe_rate(gain)} more: at this rate it is never empty."
        name = queue.latest_sample.queue
        yield build_queue_issue("queue_growing", "warning", name, "is growing", detail, ready, rates.depths)


def failures_new(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    found = [group for group in signs.failures if group.status == "new"]
    yield from build_failure_issues(
        "failures_new", found, signs.failure_counts.get("new", 0), "New failure", "new kinds of failures"
    )


def failures_regressed(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    found = [group for group in signs.failures if group.status == "returning"]
    yield from build_failure_issues(
        "failures_returning",
        found,
        signs.failure_counts.get("returning", 0),
        "Failure has returned",
        "kinds of failures have returned",
    )


def failures_rising(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    found = [group for group in signs.failures if group.status == "open" and _is_rising(group)]
    yield from build_failure_issues(
        "failures_rising", found, len(found), "More failures", "kinds of failures become more"
    )


def tasks_lost(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    if not signs.is_recording:
        return
    lost = [task for task in signs.running_tasks if _is_lost(task, signs)]
    if lost:
        workers = sorted({task.worker for task in lost if task.worker is not None})
        title = f"{format_task_count(lost)} lost with {'its worker' if len(workers) == 1 else 'their workers'}"
        are = "is" if len(workers) == 1 else "are"
        detail = f"Started on {', '.join(map(truncate_name, workers[:MAX_SEPARATE_ISSUES]))}, which {are} not alive."
        yield build_task_issue(title, detail, lost, Term("worker", "equals", workers[0]) if len(workers) == 1 else None)


def tasks_stuck(signs: HealthSnapshot) -> Iterator[HealthIssue]:
    if not signs.is_recording:
        return
    stuck = [task for task in signs.running_tasks if _is_stuck(task, signs)]
    if stuck:
        first = stuck[0]
        usual = (
            ""
            if first.slow_threshold is None
            else f"; 95 of 100 take no more than {describe_duration(first.slow_threshold)}"
        )
        detail = (
            f"{truncate_name(first.name or first.uuid)} has been running for"
            f" {describe_duration(signs.now - first.started)}{usual}."
        )
        names = {task.name for task in stuck}
        only = Term("name", "equals", first.name) if len(names) == 1 and first.name is not None else None
        title = f"{format_task_count(stuck)} {'seems' if len(stuck) == 1 else 'seem'} stuck"
        yield build_task_issue(title, detail, stuck, only)


#: In this order they are told, within their severity.
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


def evaluate_health(signs: HealthSnapshot) -> Health:
    return build_health(
        [concern for rule in HEALTH_RULES for concern in rule(signs)],
        now=signs.now,
        recorder_seen=signs.recorder_seen_at is not None,
    )


def _find_unresponsive_workers(signs: HealthSnapshot) -> list[tuple[str, float]]:
    """Workers of the last hour that went without a word, with their last heartbeat."""
    if not signs.is_recording:
        return []
    return [
        (name, worker.heartbeat)
        for name, worker in sorted(signs.workers.items())
        if worker.online
        and name not in signs.live_workers
        and worker.heartbeat is not None
        and signs.now - worker.heartbeat < HOUR
    ]


def _is_rising(group: FailureRow) -> bool:
    if len(group.trend) != TREND_BUCKETS:
        return False
    before = sum(group.trend[:-1]) / (TREND_BUCKETS - 1)
    return group.trend[-1] >= max(MIN_RISING_FAILURES, RISING_FACTOR * before)


def _is_lost(task: RunningTask, signs: HealthSnapshot) -> bool:
    """Its worker is known, and is not alive."""
    gone = task.worker in signs.workers and task.worker not in signs.live_workers
    return gone and signs.now - task.started > LOST_TASK_DELAY


def _is_stuck(task: RunningTask, signs: HealthSnapshot) -> bool:
    """How long its type takes must be known; one whose worker is gone is lost and not stuck."""
    if task.slow_threshold is None or _is_lost(task, signs):
        return False
    return signs.now - task.started > max(MIN_STUCK_SECONDS, STUCK_FACTOR * task.slow_threshold)
