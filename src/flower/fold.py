"""Fold an event into a record: (Task | None, Event) → Task, and the same for workers.

Pure functions that never raise: an event that is late, duplicated, incomplete or out of order only adds information.
The rules are those of `celery.events.state.Task.event` (states have a rank; an event of lower rank than the state is
late), with these differences, because Celery's rule gives a wrong result:

* a late event fills missing fields and overwrites nothing, and never moves `timestamp` back;
* `task-retried` does not leave a final state: it finishes its own attempt (with countdown 0 the event is sent after the
  next attempt has started, even after that one has succeeded);
* the fields of an attempt (worker, times, exception) move to `Task.earlier` when the next attempt starts;
* a retried task is not its own parent;
* REJECTED finishes an attempt that had started, and REVOKED finishes one with a custom state;
* `utcoffset` is ignored: timestamps are epoch seconds, which have no time zone.
"""

from typing import Any, NamedTuple

from msgspec.structs import replace

from flower.records import (
    FAILURE,
    FINAL_STATES,
    PENDING,
    RECEIVED,
    REJECTED,
    RETRY,
    REVOKED,
    STARTED,
    SUCCESS,
    Attempt,
    Event,
    Task,
    Worker,
)

#: States by rank; the lowest rank is the final one. The order is that of `celery.states.PRECEDENCE`, but custom states
#: rank below REVOKED.
STATE_RANK = {SUCCESS: 0, FAILURE: 1, REVOKED: 2, STARTED: 4, RECEIVED: 5, REJECTED: 6, RETRY: 7, PENDING: 8}
CUSTOM_STATE_RANK = 3
MAX_STATE_LENGTH = 64

_DESCRIPTION_FIELDS = ("name", "args", "kwargs", "root_id", "parent_id", "retries", "eta", "expires")
_ROUTING_FIELDS = ("queue", "exchange", "routing_key")


class Transition(NamedTuple):
    """How an event of one type changes a task."""

    state: str
    #: the field that is set to the time of the event; None for custom events
    timestamp_field: str | None
    #: event field → task field, copied if the event has a value
    fields: tuple[tuple[str, str], ...]
    #: fields that a late event must not fill in, because they belong to a later attempt
    ignore_if_late: tuple[str, ...] = ()


def _transition(
    state: str, timestamp_field: str, fields: tuple[str, ...] = (), *, by_client: bool = False
) -> Transition:
    sender = [("hostname", "client")] if by_client else [("hostname", "hostname"), ("pid", "pid")]
    copied_fields = [(field, field) for field in fields] + [("timestamp", timestamp_field), *sender]
    return Transition(state, timestamp_field, tuple(copied_fields), ("retries", "eta", "expires") if by_client else ())


TRANSITIONS = {
    "task-sent": _transition(PENDING, "sent", _DESCRIPTION_FIELDS + _ROUTING_FIELDS, by_client=True),
    "task-received": _transition(RECEIVED, "received", _DESCRIPTION_FIELDS),
    "task-started": _transition(STARTED, "started"),
    "task-succeeded": _transition(SUCCESS, "succeeded", ("result", "runtime")),
    "task-failed": _transition(FAILURE, "failed", ("exception", "traceback")),
    "task-retried": _transition(RETRY, "retried", ("exception", "traceback")),
    "task-revoked": _transition(REVOKED, "revoked"),
    "task-rejected": _transition(REJECTED, "rejected"),
}
#: States in which the attempt is finished and the task may continue.
_RESUMABLE_STATES = frozenset({RETRY, REJECTED})
#: Fields of the current attempt, with their values at the start of a new one.
_ATTEMPT_RESET: dict[str, Any] = {
    "hostname": None,
    "pid": None,
    "received": None,
    "started": None,
    "runtime": None,
    "exception": None,
    "traceback": None,
}


def fold(task: Task | None, event: Event) -> Task:
    """The task after this event. The event must have a `uuid`."""
    rule = TRANSITIONS.get(event.type) or _custom_transition(event.type)
    if task is None:
        task = Task(event.uuid or "")
    elif rule.state == RETRY and (finished := _finish_previous_attempt(task, event)) is not None:
        return finished
    elif _starts_new_attempt(task, rule, event):
        task = replace(task, state=PENDING, earlier=task.attempts, **_ATTEMPT_RESET)
    if _is_late(task, rule, event):
        changes = _missing_fields(task, rule, event)
    else:
        changes = _changed_fields(rule, event)
        changes["state"] = rule.state
    _update_clock(task, event, changes)
    if event.data:
        changes["data"] = _merge_data(task.data, event)
    return replace(task, **changes)


def fold_worker(worker: Worker | None, event: Event, now: float) -> Worker:
    """The worker after one of its events; `now` is when the event was received, by the recorder's clock."""
    if worker is None:
        worker = Worker(event.hostname or "")
    elif worker.timestamp is not None and event.timestamp < worker.timestamp and event.type != "worker-online":
        return replace(worker, heartbeat=max(now, worker.heartbeat or now)) if worker.online else worker
    offline = event.type == "worker-offline"
    changes: dict[str, Any] = {field: value for field in _WORKER_FIELDS if (value := getattr(event, field)) is not None}
    if event.type == "worker-online":
        changes["since"] = event.timestamp
    return replace(
        worker,
        online=not offline,
        heartbeat=worker.heartbeat if offline else now,
        timestamp=event.timestamp,
        **changes,
    )


_WORKER_FIELDS = ("pid", "freq", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys", "clock")


def _custom_transition(event_type: str) -> Transition:
    """`task-progress` → PROGRESS, as in Celery."""
    # The sender is a process of the pool: its pid is not that of the worker.
    state = event_type.partition("-")[2].upper()[:MAX_STATE_LENGTH] or PENDING
    return Transition(state, None, (("hostname", "hostname"),))


def _is_late(task: Task, rule: Transition, event: Event) -> bool:
    """Whether the event happened before the current state of the task."""
    state = task.state
    if rule.state == state:
        previous = getattr(task, rule.timestamp_field) if rule.timestamp_field else None
        return previous is not None and event.timestamp < previous
    if rule.state == PENDING:
        return True
    if state in _RESUMABLE_STATES:
        # Only the attempt that finished can have events from before its end; the clock of another worker proves
        # nothing.
        ended = task.retried if state == RETRY else task.rejected
        return rule.state not in FINAL_STATES and event.hostname == task.hostname and event.timestamp <= (ended or 0)
    if rule.state in _RESUMABLE_STATES:
        return state in FINAL_STATES
    return STATE_RANK.get(rule.state, CUSTOM_STATE_RANK) > STATE_RANK.get(state, CUSTOM_STATE_RANK)


def _starts_new_attempt(task: Task, rule: Transition, event: Event) -> bool:
    """Whether the event is the first one of the next attempt."""
    state = task.state
    if state in _RESUMABLE_STATES:
        return not _is_late(task, rule, event) and (rule.state != state or state == RETRY)
    if state in FINAL_STATES:
        # A final event after a final state: the task ran again and the start was missed, or the event was delivered
        # twice.
        return rule.state in (SUCCESS, FAILURE) and state != rule.state and not _is_late(task, rule, event)
    return rule.state == RECEIVED and task.received is not None and (event.retries or 0) > (task.retries or 0)


def _finish_previous_attempt(task: Task, event: Event) -> Task | None:
    """Apply a `task-retried` event that arrived after the first event of the next attempt. Return None if it belongs to
    the current attempt."""
    earlier = task.earlier
    if any(attempt.state == RETRY and attempt.ended == event.timestamp for attempt in task.attempts):
        return task
    index = next((i for i, attempt in enumerate(earlier) if attempt.state is None), None)
    if index is None:
        if task.state not in FINAL_STATES and not (task.state == RETRY and event.timestamp < (task.retried or 0)):
            return None
        # The only event of an attempt whose other events were lost.
        index = len(earlier)
        earlier = (*earlier, Attempt(index, hostname=event.hostname))
    finished = replace(
        earlier[index],
        ended=event.timestamp,
        state=RETRY,
        exception=event.exception or earlier[index].exception,
        traceback=event.traceback or earlier[index].traceback,
    )
    changes: dict[str, Any] = {
        "earlier": (*earlier[:index], finished, *earlier[index + 1 :]),
        "retried": max(event.timestamp, task.retried or event.timestamp),
    }
    _update_clock(task, event, changes)
    return replace(task, **changes)


def _changed_fields(rule: Transition, event: Event) -> dict[str, Any]:
    """The fields that an event sets if it is not late."""
    changes = {field: value for source, field in rule.fields if (value := getattr(event, source)) is not None}
    if changes.get("parent_id") == event.uuid:
        # A retry is sent by the previous attempt, with the same id.
        del changes["parent_id"]
    return changes


def _missing_fields(task: Task, rule: Transition, event: Event) -> dict[str, Any]:
    """The fields that a late event may still fill in."""
    return {
        field: value
        for field, value in _changed_fields(rule, event).items()
        if field not in rule.ignore_if_late and getattr(task, field) is None
    }


def _update_clock(task: Task, event: Event, changes: dict[str, Any]) -> None:
    if task.timestamp is None or event.timestamp >= task.timestamp:
        changes["timestamp"] = event.timestamp
        if event.clock is not None:
            changes["clock"] = event.clock


def _merge_data(current: dict[str, dict[str, Any]] | None, event: Event) -> dict[str, dict[str, Any]]:
    current = current or {}
    return {**current, event.type: {**current.get(event.type, {}), **(event.data or {})}}
