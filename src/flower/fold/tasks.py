"""Fold an event into a task: (Task | None, Event) → Task. Pure functions that never raise: an event that is late,
duplicated, incomplete or out of order only adds information, and an event that adds none returns the same object.

Nearly all events are the next step of the only attempt and change a few fields. All others are assigned to an attempt
by the rules of `attempts`. The rules differ from those of `celery.events.state.Task.event`, which gives a wrong result
for:

* an event of lower rank than the state: Celery overwrites fields and moves `timestamp` back;
* `task-retried` after a final state: with countdown 0 the event is sent after the next attempt has started, even after
  that one has succeeded, and Celery shows RETRY forever;
* a task that is delivered again, runs twice or is sent again with the same id: Celery merges the executions;
* `parent_id` of a retried task, which is its own id;
* REJECTED, REVOKED after a custom state, and `utcoffset`: timestamps are epoch seconds, which have no time zone.
"""

from msgspec.structs import replace

from flower.fold.attempt_events import fold_attempt_event
from flower.fold.attempt_limit import remove_oldest_attempts
from flower.fold.attempts import START, arrange, is_former_offset, read_attempts
from flower.fold.changes import merge_data
from flower.fold.clock_offsets import MIN_OFFSET, ClockOffsets
from flower.fold.custom_events import fold_custom_event
from flower.fold.event_times import RETRY_SENT
from flower.fold.projection import compute_queue_wait
from flower.fold.retries import begin_retry, is_last_attempt, is_next_retry
from flower.fold.sent_events import fold_sent
from flower.fold.steps import STEPS, create_from_received, create_from_sent
from flower.fold.transitions import END_STATES, TRANSITIONS, Transition, custom_transition
from flower.records import PENDING, STARTED, Event, Task

#: Of each type with ordinary steps: the step, the states that it follows, whether it ends the attempt, and whether it
#: starts it.
_NEXT_STEPS = {
    kind: (step, rule.follows, rule.state in END_STATES, rule.state == STARTED)
    for kind, step in STEPS.items()
    for rule in (TRANSITIONS[kind],)
}


def fold(task: Task | None, event: Event, clocks: ClockOffsets | None = None) -> Task:
    """The task after this event, or the same object if the event adds nothing. The event must have a `uuid`."""
    after = fold_next_step(task, event)
    if after is None:
        rule = TRANSITIONS.get(event.type) or custom_transition(event.type)
        if task is not None:
            return _fold_unusual_event(task, rule, event, clocks)
        after = fold_custom_event(Task(event.uuid or ""), rule, event)
    if clocks is None or not (clocks.offsets or after.clock_offset or after.client_offset):
        return after
    return _correct_clocks(after, event, clocks)


def fold_next_step(task: Task | None, event: Event) -> Task | None:
    """The task after its first event, or after the ordinary next step of its only attempt, or of the last one after
    retries; None after any other event. Clock offsets are not considered."""
    if task is None:
        return _create(event)
    next_step = _NEXT_STEPS.get(event.type)
    if next_step is None:
        return None
    step, follows, is_end, is_start = next_step
    timestamp, clock, hostname, started = event.timestamp, event.clock, task.hostname, task.started
    before = task.received if started is None else started
    if (
        task.state not in follows
        or (hostname is not None and (hostname != event.hostname or task.pid != event.pid))
        or task.lost is not None
        or task.source is not None
        or (before is not None and timestamp < before)
        or (task.earlier and (before is None or not is_last_attempt(task)))
        or (is_start and task.event_times is not None)  # a custom event may have arrived before
        or (is_end and task.sent is not None and task.sent > timestamp)  # an id that was sent again after this end
    ):
        return None
    if clock is None:
        clock = task.clock
    if task.timestamp is not None and timestamp < task.timestamp:
        timestamp, clock = task.timestamp, task.clock
    after = step(task, event, timestamp, clock)
    return replace(after, data=merge_data(task.data or {}, event)) if event.data else after


def _create(event: Event) -> Task | None:
    """The task after its first event; None if that is a custom event."""
    if event.type == "task-received":
        task = create_from_received(event)
    elif event.type == "task-sent":
        task = create_from_sent(event)
        if event.retries:
            # not when the task was sent
            task = replace(task, sent=None, event_times={RETRY_SENT: (event.timestamp,)})
    elif (step := STEPS.get(event.type)) is not None:
        task = step(Task(event.uuid or ""), event, event.timestamp, event.clock)
    else:
        return None
    return replace(task, data=merge_data({}, event)) if event.data else task


def _fold_unusual_event(task: Task, rule: Transition, event: Event, clocks: ClockOffsets | None) -> Task:
    task = remove_oldest_attempts(task)
    if rule.timestamp_field is None:
        return fold_custom_event(task, rule, event)
    if rule.state == PENDING:
        return fold_sent(task, rule, event, clocks)
    if is_next_retry(task, rule, event, clocks):
        return begin_retry(task, rule, event)
    return fold_attempt_event(task, rule, event, clocks)


def _correct_clocks(task: Task, event: Event, clocks: ClockOffsets) -> Task:
    """Record the clock offset of the sender of an ordinary event, and the wait and the runtime without it."""
    offset = clocks.offset_of(event)
    if event.type == "task-sent":
        return task if offset is None else replace(task, client_offset=offset)
    is_first = event.type == "task-received" or task.received is None
    if task.clock_offset is None and (is_first or is_former_offset(offset, clocks.was_set_back(event.hostname))):
        task = replace(task, clock_offset=offset)
    order = event.timestamp - (offset or 0.0)
    is_changed = abs((offset or 0.0) - (task.clock_offset or 0.0)) >= MIN_OFFSET
    if event.type == "task-started" and not task.earlier:
        drafts = read_attempts(task)
        for draft in drafts:
            draft.orders[START] = order
        return replace(task, queue_wait=compute_queue_wait(task, arrange(drafts)))
    if is_changed and task.runtime_is_derived and task.started is not None:
        return replace(task, runtime=max(0.0, order - (task.started - (task.clock_offset or 0.0))))
    return task
