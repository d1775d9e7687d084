"""Events of workers that are not the next step of the only attempt: assigned to an attempt, which may be a new one."""

from typing import Any

from msgspec.structs import replace

from flower.fold.attempts import END, RECEIPT, START, WORKER_REPLACED, Draft, Fact, add_fact, arrange, read_attempts
from flower.fold.changes import complete
from flower.fold.clock_offsets import ClockOffsets
from flower.fold.event_times import SENT_AGAIN, choose_sending_of_run, sent_order
from flower.fold.projection import compute_queue_wait, project
from flower.fold.transitions import END_STATES, RUN_FIELDS, Transition, copy_fields
from flower.records import RECEIVED, STARTED, SUCCESS, Event, Task

#: Seconds by which a time that was proven by evidence may differ from that of the event.
_EVIDENCE_TOLERANCE = 5.0
_FACT_KINDS = {RECEIVED: RECEIPT, STARTED: START}


def fold_attempt_event(task: Task, rule: Transition, event: Event, clocks: ClockOffsets | None) -> Task:
    """Assign the event to its attempt, which may be a new one."""
    if _is_recorded(task, rule, event):
        return task
    offset = None if clocks is None else clocks.offset_of(event)
    fact = Fact(
        _FACT_KINDS.get(rule.state, END),
        event.timestamp,
        event.timestamp - (offset or 0.0),
        event.pid,
        retries=event.retries,
        state=rule.state,
        exception=event.exception,
        traceback=event.traceback,
        runtime=event.runtime,
    )
    fact.clock_offset = offset
    fact.is_after_step = clocks is not None and clocks.was_set_back(event.hostname)
    drafts = read_attempts(task)
    if clocks is not None:
        _apply_worker_history(drafts, event, fact, clocks)
    if task.source is not None:
        _prepare_for_event(drafts, event, fact)
    ordered = arrange(add_fact(drafts, event.hostname, fact), sent_order(task) if task.run else None)
    changes = project(task, ordered, event.timestamp)
    changes.update(_describe(task, rule, event, ordered, changes["run"] or 0))
    if any(draft.has_new_fact and draft.run == (changes["run"] or 0) for draft in ordered):
        _update_end_times(task, rule, event, changes)
    return complete(task, event, changes)


def _is_recorded(task: Task, rule: Transition, event: Event) -> bool:
    """Whether the record contains this very event."""
    timestamp, hostname, field = event.timestamp, event.hostname, rule.timestamp_field
    attempts = task.attempts
    if rule.state == RECEIVED:
        return any(each.received == timestamp and each.hostname == hostname for each in attempts)
    if rule.state == STARTED:
        return any(each.started == timestamp and each.hostname == hostname for each in attempts)
    if task.source is not None and task.state == rule.state:
        attempts = task.earlier  # the end of the current attempt is not that of an event
    same = [each for each in attempts if each.ended == timestamp and each.state == rule.state]
    if same:
        return any(each.hostname == hostname for each in same)
    # An execution with two ends: the time of one is only here.
    return task.source is None and field is not None and getattr(task, field) == timestamp


def _apply_worker_history(drafts: list[Draft], event: Event, fact: Fact, clocks: ClockOffsets) -> None:
    """Use what is known of the worker: when it was started, and whether its clock was set back."""
    own = [draft for draft in drafts if draft.hostname == event.hostname]
    if clocks.was_set_back(event.hostname):
        # Its times prove no order: the event is newer than everything that arrived before.
        fact.order = max([fact.order, *(order for draft in own for order in draft.orders.values())])
    since = clocks.started_at(event.hostname)
    if fact.kind == RECEIPT and since is not None and since <= event.timestamp:
        for draft in own:
            newest = max((at for at in (draft.received, draft.started) if at is not None), default=since)
            if draft.is_open and newest < since:
                draft.lost = WORKER_REPLACED


def _prepare_for_event(drafts: list[Draft], event: Event, fact: Fact) -> None:
    """Let the event replace what evidence gave approximately: the worker, if it is not known, and times."""
    for draft in drafts:
        if draft.hostname is None:
            draft.hostname = event.hostname
        if draft.hostname == event.hostname and draft.may_be_of(event.pid):
            if fact.kind == RECEIPT and _is_near(draft.received, event.timestamp):
                draft.received = None
            elif fact.kind == START and _is_near(draft.started, event.timestamp):
                draft.started = None


def _is_near(recorded: float | None, timestamp: float) -> bool:
    return recorded is not None and abs(recorded - timestamp) <= _EVIDENCE_TOLERANCE


def _describe(task: Task, rule: Transition, event: Event, ordered: list[Draft], run: int) -> dict[str, Any]:
    """What the event states about the task beside its attempt: description and result."""
    changes: dict[str, Any] = {}
    begins_run = run > (task.run or 0)
    position = next((index for index, draft in enumerate(ordered) if draft.has_new_fact), 0)
    of_run = bool(ordered) and ordered[position].run == run
    if run or task.run or SENT_AGAIN in (task.event_times or {}):
        changes |= choose_sending_of_run(task, ordered, run)
        after = replace(task, sent=changes["sent"], client_offset=changes["client_offset"], run=run, queue_wait=None)
        changes["queue_wait"] = compute_queue_wait(after, ordered)
    if begins_run and (of_run or not any(draft.state == SUCCESS for draft in ordered if draft.run == run)):
        changes["result"] = None
    if rule.state == RECEIVED:
        is_newest = not any(draft.received is not None for draft in ordered[position + 1 :])
        if begins_run and of_run and is_newest:
            changes |= dict.fromkeys(RUN_FIELDS)
        for field, value in copy_fields(rule, event).items():
            if field in ("name", *RUN_FIELDS) and (is_newest or getattr(task, field) is None):
                changes[field] = value
    elif rule.state == SUCCESS and event.result is not None:
        ends = [draft.end_order for draft in ordered if draft.state == SUCCESS and draft.run == run]
        if of_run and ordered[position].end_order >= max(ends, default=0.0):
            changes["result"] = event.result
    return changes


def _update_end_times(task: Task, rule: Transition, event: Event, changes: dict[str, Any]) -> None:
    """Record the time of an end even if the attempt has another end."""
    field = rule.timestamp_field
    if rule.state in END_STATES and field is not None and changes.get(field) is None and changes["state"] != rule.state:
        recorded = getattr(task, field)
        changes[field] = event.timestamp if recorded is None else max(recorded, event.timestamp)
