"""When something is wrong: one small function for each thing, of what is known and nothing else.

Those that speak of workers and of tasks that run hold their tongue while nothing is recorded: what is on record is not
how things are then, and the first rule says so.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

from flower.api.failure_states import FailureRow
from flower.api.health.concerns import NAMED, of_failures, of_queue, of_recorder, of_tasks, of_worker, several
from flower.api.health.report import Concern, Health, Severity, Subject, report
from flower.api.health.signs import BUCKETS, Running, Signs, number
from flower.api.health.words import counted, lasting, rate, short, size
from flower.search.tree import Term

Rule: TypeAlias = Callable[[Signs], Iterable[Concern]]

HOUR: Final = 3_600.0
#: Seconds that events may be on their way into the store.
BEHIND, FAR_BEHIND = 10.0, 60.0
#: Bytes that are left on the disk.
LOW, VERY_LOW = 1 << 30, 100 << 20
#: Messages from which a growing queue is worth a word.
DEEP: Final = 100
#: Failures in the last stretch of time, and how often as many as before, that make a rise.
MANY, TIMES = 10, 3.0
#: A task is stuck if it runs so many times as long as slow ones of its type, and at least so many seconds.
SLOW_TIMES, LEAST_STUCK = 10.0, 600.0
#: Seconds that a task may seem to run on a worker that is gone, before it is lost.
LOST_AFTER: Final = 60.0


def recorder_stopped(signs: Signs) -> Iterator[Concern]:
    if signs.silent and signs.heard is not None:
        ago = lasting(signs.now - signs.heard)
        detail = f"The recorder was last heard {ago} ago. What happens now is kept by the broker at best."
        yield of_recorder("recorder_stopped", "critical", "Nothing is being recorded", detail, since=signs.heard)


def disk_full(signs: Signs) -> Iterator[Concern]:
    trouble = signs.status.get("trouble")
    if trouble and not signs.silent:
        yield Concern(
            kind="disk_full",
            severity="critical",
            title="Nothing can be written",
            detail=f"{trouble}. Recording waits, and goes on by itself.",
            subject=Subject("store"),
        )


def broker_lost(signs: Signs) -> Iterator[Concern]:
    if signs.heard is None or signs.silent or signs.capture.get("connected"):
        return
    said = signs.capture.get("last_error")
    detail = "The recorder has no connection to the broker, and tries again" + (
        f": {short(str(said))}" if said else "."
    )
    yield of_recorder("broker_lost", "critical", "The broker cannot be reached", detail)


def store_damaged(signs: Signs) -> Iterator[Concern]:
    damaged = signs.store.damaged
    if damaged:
        yield Concern(
            kind="store_damaged",
            severity="critical",
            title="A part of the store is damaged",
            detail=f"Tasks are missing from all answers: {', '.join(damaged[:NAMED])} cannot be read.",
            subject=Subject("store", damaged[0]),
            value=float(len(damaged)),
        )


def disk_low(signs: Signs) -> Iterator[Concern]:
    free = signs.store.free
    if free is not None and free < LOW:
        yield Concern(
            kind="disk_low",
            severity="critical" if free < VERY_LOW else "warning",
            title="The disk is nearly full",
            detail=f"{size(free)} are left where the store is. Without room nothing is recorded.",
            subject=Subject("store"),
            value=float(free),
        )


def recorder_behind(signs: Signs) -> Iterator[Concern]:
    lag = number(signs.status.get("lag"))
    if signs.recording and lag is not None and lag > BEHIND:
        severity: Severity = "critical" if lag > FAR_BEHIND else "warning"
        detail = f"Events take {lasting(lag)} from the broker into the store."
        yield of_recorder("recorder_behind", severity, "What you see is late", detail, value=lag)


def events_missed(signs: Signs) -> Iterator[Concern]:
    recent = [gap for gap in signs.gaps if gap.end is None or gap.end > signs.now - HOUR]
    if recent:
        newest = max(recent, key=lambda gap: gap.start)
        length = "still" if newest.end is None else f"for {lasting(newest.end - newest.start)}"
        detail = f"Events may be missing, {length}: {newest.reason}."
        yield of_recorder(
            "events_missed", "warning", "Events may be missing", detail, since=newest.start, value=float(len(recent))
        )


def workers_gone(signs: Signs) -> Iterator[Concern]:
    silent = _silent(signs)
    if silent and not signs.alive:
        last = max(heartbeat for _, heartbeat in silent)
        yield Concern(
            kind="workers_gone",
            severity="critical",
            title="No worker is alive",
            detail=f"The last heartbeat came {lasting(signs.now - last)} ago, and no worker said that it stops.",
            subject=Subject("worker", silent[0][0] if len(silent) == 1 else ""),
            since=last,
            value=float(len(silent)),
        )


def worker_silent(signs: Signs) -> Iterator[Concern]:
    silent = _silent(signs) if signs.alive else []
    if len(silent) > NAMED:
        last = max(heartbeat for _, heartbeat in silent)
        title = f"{len(silent):,} workers are silent"
        detail = f"No heartbeat of them for {lasting(signs.now - last)} or longer, and they did not say that they stop."
        yield of_worker(title, detail, "", last, float(len(silent)))
        return
    for name, heartbeat in silent:
        detail = f"No heartbeat for {lasting(signs.now - heartbeat)}, and it did not say that it stops."
        yield of_worker(f"{short(name)} is silent", detail, name, heartbeat, None)


def queue_unconsumed(signs: Signs) -> Iterator[Concern]:
    for queue in signs.queues:
        ready, consumers = queue.newest.ready, queue.newest.consumers
        nobody = consumers == 0 or (consumers is None and signs.recording and not signs.alive)
        if ready and nobody and not queue.workers:
            yield of_queue(
                "queue_unconsumed",
                "critical",
                queue.newest.queue,
                "is eaten by nobody",
                f"{counted(ready, 'message')} {'waits' if ready == 1 else 'wait'}, and no worker consumes the queue.",
                ready,
                queue.rates.depths,
            )


def queue_growing(signs: Signs) -> Iterator[Concern]:
    for queue in signs.queues:
        ready, rates = queue.newest.ready, queue.rates
        if not rates.growing or ready is None or ready < DEEP:
            continue
        gain = rates.slope if rates.slope is not None else (rates.in_rate or 0.0) - (rates.out_rate or 0.0)
        detail = f"{counted(ready, 'message')} wait, {rate(gain)} more: at this rate it is never empty."
        name = queue.newest.queue
        yield of_queue("queue_growing", "warning", name, "is growing", detail, ready, rates.depths)


def failures_new(signs: Signs) -> Iterator[Concern]:
    found = [group for group in signs.failures if group.status == "new"]
    yield from of_failures(
        "failures_new", found, signs.remarkable.get("new", 0), "New failure", "new kinds of failures"
    )


def failures_returning(signs: Signs) -> Iterator[Concern]:
    found = [group for group in signs.failures if group.status == "returning"]
    yield from of_failures(
        "failures_returning",
        found,
        signs.remarkable.get("returning", 0),
        "Failure has returned",
        "kinds of failures have returned",
    )


def failures_rising(signs: Signs) -> Iterator[Concern]:
    found = [group for group in signs.failures if group.status == "open" and _rises(group)]
    yield from of_failures("failures_rising", found, len(found), "More failures", "kinds of failures become more")


def tasks_lost(signs: Signs) -> Iterator[Concern]:
    if not signs.recording:
        return
    lost = [task for task in signs.running if _is_lost(task, signs)]
    if lost:
        workers = sorted({task.worker for task in lost if task.worker is not None})
        title = f"{several(lost)} lost with {'its worker' if len(workers) == 1 else 'their workers'}"
        are = "is" if len(workers) == 1 else "are"
        detail = f"Started on {', '.join(map(short, workers[:NAMED]))}, which {are} not alive."
        yield of_tasks(title, detail, lost, Term("worker", "equals", workers[0]) if len(workers) == 1 else None)


def stuck_tasks(signs: Signs) -> Iterator[Concern]:
    if not signs.recording:
        return
    stuck = [task for task in signs.running if _is_stuck(task, signs)]
    if stuck:
        first = stuck[0]
        usual = "" if first.slow is None else f"; 95 of 100 take no more than {lasting(first.slow)}"
        detail = f"{short(first.name or first.uuid)} has been running for {lasting(signs.now - first.started)}{usual}."
        names = {task.name for task in stuck}
        only = Term("name", "equals", first.name) if len(names) == 1 and first.name is not None else None
        title = f"{several(stuck)} {'seems' if len(stuck) == 1 else 'seem'} stuck"
        yield of_tasks(title, detail, stuck, only)


#: In this order they are told, within their severity.
RULES: Final[tuple[Rule, ...]] = (
    recorder_stopped,
    disk_full,
    broker_lost,
    store_damaged,
    disk_low,
    workers_gone,
    queue_unconsumed,
    recorder_behind,
    worker_silent,
    failures_returning,
    failures_new,
    failures_rising,
    queue_growing,
    tasks_lost,
    stuck_tasks,
    events_missed,
)


def health_of(signs: Signs) -> Health:
    return report([concern for rule in RULES for concern in rule(signs)], now=signs.now, heard=signs.heard is not None)


def _silent(signs: Signs) -> list[tuple[str, float]]:
    """Workers of the last hour that went without a word, with their last heartbeat."""
    if not signs.recording:
        return []
    return [
        (name, worker.heartbeat)
        for name, worker in sorted(signs.workers.items())
        if worker.online
        and name not in signs.alive
        and worker.heartbeat is not None
        and signs.now - worker.heartbeat < HOUR
    ]


def _rises(group: FailureRow) -> bool:
    if len(group.trend) != BUCKETS:
        return False
    before = sum(group.trend[:-1]) / (BUCKETS - 1)
    return group.trend[-1] >= max(MANY, TIMES * before)


def _is_lost(task: Running, signs: Signs) -> bool:
    """Its worker is known, and is not alive."""
    gone = task.worker in signs.workers and task.worker not in signs.alive
    return gone and signs.now - task.started > LOST_AFTER


def _is_stuck(task: Running, signs: Signs) -> bool:
    """How long its type takes must be known; one whose worker is gone is lost and not stuck."""
    if task.slow is None or _is_lost(task, signs):
        return False
    return signs.now - task.started > max(LEAST_STUCK, SLOW_TIMES * task.slow)
