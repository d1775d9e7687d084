"""The table of task events: which state and which fields an event of each type sets."""

from functools import lru_cache
from typing import Any, NamedTuple

from flower.records import FAILURE, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, STARTED, SUCCESS, Event

#: States by rank; of two ends of one execution, that with the lower rank is kept. The order is that of
#: `celery.states.PRECEDENCE`.
STATE_RANK = {SUCCESS: 0, FAILURE: 1, REVOKED: 2, REJECTED: 3, RETRY: 4}
MAX_STATE_LENGTH = 64

_DESCRIPTION_FIELDS = ("name", "args", "kwargs", "root_id", "parent_id", "retries", "eta", "expires")
_ROUTING_FIELDS = ("queue", "exchange", "routing_key")
#: The states of an attempt that has not ended.
_UNFINISHED = frozenset({PENDING, RECEIVED, STARTED})


class Transition(NamedTuple):
    """How an event of one type changes a task."""

    state: str
    #: the field that is set to the time of the event; None for custom events
    timestamp_field: str | None
    #: event field → task field, copied if the event has a value
    fields: tuple[tuple[str, str], ...]
    #: the states that the event ordinarily follows
    follows: frozenset[str]


def _transition(
    state: str, timestamp_field: str, fields: tuple[str, ...] = (), *, follows: frozenset[str] = _UNFINISHED
) -> Transition:
    sender = [("hostname", "client")] if state == PENDING else [("hostname", "hostname"), ("pid", "pid")]
    copied_fields = [(field, field) for field in fields] + [("timestamp", timestamp_field), *sender]
    return Transition(state, timestamp_field, tuple(copied_fields), follows)


TRANSITIONS = {
    "task-sent": _transition(PENDING, "sent", _DESCRIPTION_FIELDS + _ROUTING_FIELDS, follows=frozenset()),
    "task-received": _transition(RECEIVED, "received", _DESCRIPTION_FIELDS, follows=frozenset({PENDING})),
    "task-started": _transition(STARTED, "started", follows=frozenset({PENDING, RECEIVED})),
    "task-succeeded": _transition(SUCCESS, "succeeded", ("result", "runtime")),
    "task-failed": _transition(FAILURE, "failed", ("exception", "traceback")),
    "task-retried": _transition(RETRY, "retried", ("exception", "traceback")),
    # A worker that loses its connection cancels a task with `acks_late`, which is then delivered again.
    "task-cancelled": _transition(RETRY, "retried"),
    "task-revoked": _transition(REVOKED, "revoked"),
    "task-rejected": _transition(REJECTED, "rejected"),
}

#: The field of the time at which a task reached each state.
TIME_FIELDS = {rule.state: rule.timestamp_field for rule in TRANSITIONS.values() if rule.timestamp_field}
#: Fields that describe what was sent. A new run has its own.
RUN_FIELDS = ("args", "kwargs", "root_id", "parent_id", "eta", "expires")
#: The states that end an attempt. After RETRY and REJECTED the task may continue.
END_STATES = frozenset(STATE_RANK)
#: The states that end a run: an id that is used afterwards is a new run.
RUN_END_STATES = frozenset({SUCCESS, FAILURE, REVOKED})


@lru_cache(1_000)
def custom_transition(event_type: str) -> Transition:
    """`task-progress` → PROGRESS, as in Celery."""
    # The sender is a process of the pool: its pid is not that of the worker.
    state = event_type.partition("-")[2].upper()[:MAX_STATE_LENGTH] or PENDING
    return Transition(state, None, (("hostname", "hostname"),), frozenset())


def copy_fields(rule: Transition, event: Event) -> dict[str, Any]:
    """The fields that the event sets, with their values."""
    changes = {field: value for source, field in rule.fields if (value := getattr(event, source)) is not None}
    if changes.get("parent_id") == event.uuid:
        # A retry is sent by the previous attempt, with the same id.
        changes.pop("parent_id", None)
    return changes
