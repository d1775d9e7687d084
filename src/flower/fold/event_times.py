"""Times of events that leave no other trace in a task (`Task.event_times`): `task-sent` of a retry or of a further use
of the id, and custom events. With them, counting recognises events that are delivered again."""

from math import inf
from typing import Any

from flower.fold.attempts import CLOCK_TOLERANCE, Draft
from flower.fold.transitions import RUN_END_STATES
from flower.records import Task

#: Keys for `task-sent`: of a retry, and of a further use of the id. Other keys are types of events.
RETRY_SENT, SENT_AGAIN = "task-sent", "task-sent again"
SENDING_KEYS = (RETRY_SENT, SENT_AGAIN)
#: Number of times for each key; the oldest are removed.
MAX_EVENT_TIMES = 20


def add_event_time(task: Task, key: str, timestamp: float | None) -> dict[str, tuple[float, ...]] | None:
    """`Task.event_times` with one more time."""
    if timestamp is None:
        return task.event_times
    times = task.event_times or {}
    return {**times, key: tuple(sorted({*times.get(key, ()), timestamp}))[-MAX_EVENT_TIMES:]}


def sent_order(task: Task) -> float | None:
    return None if task.sent is None else task.sent - (task.client_offset or 0.0)


def list_sendings(task: Task) -> list[float]:
    """The times at which the id was used, in order, by the clock of the sender."""
    again = (task.event_times or {}).get(SENT_AGAIN, ())
    return sorted({*again, *(() if task.sent is None else (task.sent,))})


def is_sent_after(task: Task, ordered: list[Draft]) -> bool:
    """Whether the id was used again after the last run, and no attempt has begun since."""
    sendings, last = list_sendings(task), ordered[-1]
    if not sendings or not any(draft.state in RUN_END_STATES for draft in ordered if draft.run == last.run):
        return False
    newest = max(order for draft in ordered for order in (draft.begin, *draft.orders.values()) if order != inf)
    margin = CLOCK_TOLERANCE if len(sendings) == 1 else 0.0
    sent = sendings[-1] - (task.client_offset or 0.0)
    return sent > newest + margin and sent > last.begin + CLOCK_TOLERANCE


def choose_sending_of_run(task: Task, ordered: list[Draft], run: int) -> dict[str, Any]:
    """`sent` of a run that an event of a worker began."""
    sendings = list_sendings(task)
    own = choose_sending(sendings, ordered, run, task.client_offset or 0.0)
    changes: dict[str, Any] = {"sent": own, "client_offset": None if own is None else task.client_offset}
    if sendings:
        changes["event_times"] = keep_other_sendings(task, sendings, own)
    return changes


def choose_sending(sendings: list[float], ordered: list[Draft], run: int, offset: float) -> float | None:
    """The first use of the id after the previous run; the last one if all precede it, although there are enough for
    every run: the clocks differ a little."""
    if run == 0:
        return sendings[0] if sendings else None
    end = max((draft.end_order for draft in ordered if draft.run == run - 1), default=0.0)
    after = [sent for sent in sendings if sent - offset > end]
    return after[0] if after else sendings[-1] if len(sendings) > run else None


def keep_other_sendings(task: Task, sendings: list[float], own: float | None) -> dict[str, tuple[float, ...]] | None:
    """`Task.event_times` with the uses of the id other than that of the current run."""
    others = tuple(sent for sent in sendings if sent != own)[-MAX_EVENT_TIMES:]
    times = {key: value for key, value in (task.event_times or {}).items() if key != SENT_AGAIN}
    return {**times, SENT_AGAIN: others} if others else times or None
