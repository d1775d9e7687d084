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
from flower.fold.steps import STEPS, create_from_sent
from flower.fold.transitions import END_STATES, TRANSITIONS, Transition, custom_transition
from flower.records import PENDING, STARTED, Event, Task


def fold(task: Task | None, event: Event, clocks: ClockOffsets | None = None) -> Task:
    """The task after this event, or the same object if the event adds nothing. The event must have a `uuid`."""
    if task is None:
        after = _create(event)
    else:
        rule = TRANSITIONS.get(event.type) or custom_transition(event.type)
        if not _is_next_step(task, rule, event):
            return _fold_unusual_event(task, rule, event, clocks)
        timestamp, clock = event.timestamp, event.clock
        if task.timestamp is not None and timestamp < task.timestamp:
            timestamp, clock = task.timestamp, task.clock
        after = STEPS[event.type](task, event, timestamp, task.clock if clock is None else clock)
        if event.data:
            after = replace(after, data=merge_data(task.data or {}, event))
    if clocks is None or not (clocks.offsets or after.clock_offset or after.client_offset):
        return after
    return _correct_clocks(after, event, clocks)


def _create(event: Event) -> Task:
    """The task after its first event."""
    if event.type == "task-sent":
        task = create_from_sent(event)
        if event.retries:
            # not when the task was sent
            task = replace(task, sent=None, event_times={RETRY_SENT: (event.timestamp,)})
    elif (step := STEPS.get(event.type)) is not None:
        task = step(Task(event.uuid or ""), event, event.timestamp, event.clock)
    else:
        return fold_custom_event(Task(event.uuid or ""), custom_transition(event.type), event)
    return replace(task, data=merge_data({}, event)) if event.data else task


def _is_next_step(task: Task, rule: Transition, event: Event) -> bool:
    """Whether the event is the ordinary next step of the only attempt, or of the last one after retries."""
    if (
        task.state not in rule.follows
        or (task.hostname is not None and (task.hostname != event.hostname or task.pid != event.pid))
        or task.lost is not None
        or task.source is not None
    ):
        return False
    before = task.received if task.started is None else task.started
    if before is not None and event.timestamp < before:
        return False
    if task.earlier and (before is None or not is_last_attempt(task)):
        return False
    if task.event_times is not None and rule.state == STARTED:
        return False  # a custom event may have arrived before
    # an id that was sent again after this end
    return task.sent is None or rule.state not in END_STATES or task.sent <= event.timestamp


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
