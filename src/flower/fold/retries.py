"""The receipt of a retry after `task-retried`: the most frequent event that is not a step of the current attempt."""

from flower.fold.changes import complete
from flower.fold.clock_offsets import ClockOffsets
from flower.fold.transitions import Transition, copy_fields
from flower.records import RECEIVED, RETRY, Attempt, Event, Task


def is_next_retry(task: Task, rule: Transition, event: Event, clocks: ClockOffsets | None) -> bool:
    """Whether the event is the receipt of the next retry, after `task-retried` of the only attempt that has not been
    retried before."""
    return (
        task.state == RETRY
        and rule.state == RECEIVED
        and event.retries is not None
        and event.retries == (task.retries or 0) + 1
        and task.received is not None
        and task.started is not None
        and task.lost is None
        and task.source is None
        and (clocks is None or not clocks.offsets)
        and (event.hostname != task.hostname or event.timestamp >= (task.retried or 0.0))
        and is_last_attempt(task)
    )


def is_last_attempt(task: Task) -> bool:
    """Whether the current attempt is the newest and all others were retried."""
    earlier = task.earlier
    return not earlier or (
        earlier[-1].number == len(earlier) - 1
        and all(attempt.state == RETRY and attempt.ended is not None for attempt in earlier)
    )


def begin_retry(task: Task, rule: Transition, event: Event) -> Task:
    finished = Attempt(
        number=len(task.earlier),
        hostname=task.hostname,
        pid=task.pid,
        received=task.received,
        started=task.started,
        ended=task.retried,
        state=RETRY,
        exception=task.exception,
        traceback=task.traceback,
        run=task.run or 0,
        clock_offset=task.clock_offset,
        retries=task.retries,
    )
    changes = copy_fields(rule, event)
    changes |= {
        "state": RECEIVED,
        "earlier": (*task.earlier, finished),
        "started": None,
        "exception": None,
        "traceback": None,
        "clock_offset": None,
        "queue_wait": task.wait,
    }
    return complete(task, event, changes)
