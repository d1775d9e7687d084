"""`task-sent`: of the first attempt, of a retry, or of a further use of the id."""

from typing import Any

from msgspec.structs import replace

from flower.fold.attempts import CLOCK_TOLERANCE, arrange, read_attempts
from flower.fold.changes import complete
from flower.fold.clock_offsets import ClockOffsets
from flower.fold.event_times import (
    RETRY_SENT,
    SENDING_KEYS,
    SENT_AGAIN,
    add_event_time,
    choose_sending,
    keep_other_sendings,
    list_sendings,
)
from flower.fold.projection import clear_attempt_fields, compute_queue_wait
from flower.fold.transitions import END_STATES, RUN_END_STATES, RUN_FIELDS, TIME_FIELDS, Transition, copy_fields
from flower.records import PENDING, Event, Task


def fold_sent(task: Task, rule: Transition, event: Event, clocks: ClockOffsets | None) -> Task:
    """A retry is sent by the attempt before it and begins nothing. An id that is sent again after its end begins a new
    run."""
    times = task.event_times or {}
    sent = event.timestamp
    if sent == task.sent or any(sent in times.get(key, ()) for key in SENDING_KEYS):
        return task
    fields = copy_fields(rule, event)
    missing = {field: value for field, value in fields.items() if getattr(task, field) is None}
    offset = None if clocks is None else clocks.offset_of(event)
    if event.retries:
        for field in ("sent", "client", "retries", "eta", "expires"):
            missing.pop(field, None)
        missing["event_times"] = add_event_time(task, RETRY_SENT, sent)
        if task.hostname is None and not task.earlier and task.state == PENDING:
            missing["retries"] = max(event.retries, task.retries or 0)
        return complete(task, event, missing)
    margin = CLOCK_TOLERANCE if task.sent is None else 0.0
    if _is_after_end(task, sent - (offset or 0.0) - margin):
        changes = {"retries": None} | dict.fromkeys(RUN_FIELDS) | _reset_run(task) | fields
        changes |= {"client_offset": offset, "event_times": add_event_time(task, SENT_AGAIN, task.sent)}
        return complete(task, event, changes)
    ordered, sendings = arrange(read_attempts(task)), sorted({*list_sendings(task), sent})
    own = choose_sending(sendings, ordered, task.run or 0, offset or 0.0)
    if task.state != PENDING or task.earlier:
        for field in ("retries", "eta", "expires"):
            missing.pop(field, None)
    if own == sent:
        missing |= {field: fields.get(field) for field in ("client", "queue", "exchange", "routing_key")}
        missing |= {"sent": sent, "client_offset": offset}
        if task.queue_wait is not None or offset is not None:
            missing["queue_wait"] = compute_queue_wait(
                replace(task, sent=sent, client_offset=offset, queue_wait=None), ordered
            )
    else:
        missing["sent"] = own
    if sendings != [own]:
        missing["event_times"] = keep_other_sendings(task, sendings, own)
    return complete(task, event, missing)


def _reset_run(task: Task) -> dict[str, Any]:
    """The fields at the beginning of a new run, before any of its attempts."""
    ordered = read_attempts(task)
    fields = ("result", "queue_wait", "lost", *(TIME_FIELDS[state] for state in END_STATES))
    return {
        **clear_attempt_fields(PENDING),
        **dict.fromkeys(fields),
        "run": (task.run or 0) + 1,
        "earlier": tuple(draft.attempt(number) for number, draft in enumerate(ordered)),
    }


def _is_after_end(task: Task, order: float) -> bool:
    """Whether this time, by the recorder's clock, is after all ends of the current run."""
    if task.state not in RUN_END_STATES:
        return False
    return order > max((draft.end_order for draft in read_attempts(task)), default=0.0)
