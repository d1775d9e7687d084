"""Custom events (`task-progress`): they set the state of an attempt that runs, and their fields are kept by type."""

from typing import Any

from flower.fold.attempts import Draft, arrange, read_attempts
from flower.fold.changes import complete, data_key
from flower.fold.event_times import MAX_EVENT_TIMES, add_event_time, sent_order
from flower.fold.projection import project
from flower.fold.transitions import END_STATES, RUN_END_STATES, TIME_FIELDS, Transition
from flower.records import PENDING, RECEIVED, STARTED, Event, Task


def fold_custom_event(task: Task, rule: Transition, event: Event) -> Task:
    """A custom event sets the state of an attempt that runs, and its fields are kept by type."""
    key = data_key(task.event_times, event.type)
    known = (task.event_times or {}).get(key, ())
    if event.timestamp in known or (len(known) == MAX_EVENT_TIMES and event.timestamp < known[0]):
        return task
    changes: dict[str, Any] = {"event_times": add_event_time(task, key, event.timestamp)}
    if not known or event.timestamp >= known[-1]:
        changes |= _set_custom_state(task, rule, event)
    return complete(task, event, changes)


def _set_custom_state(task: Task, rule: Transition, event: Event) -> dict[str, Any]:
    if task.state in RUN_END_STATES:
        return {} if task.hostname is not None else {"hostname": event.hostname}
    is_ended = task.state in END_STATES
    if is_ended:
        ended = getattr(task, TIME_FIELDS[task.state]) or 0.0
        if event.hostname == task.hostname and event.timestamp <= ended:
            return {}
    elif task.hostname is None or task.hostname == event.hostname:
        newest = max(
            (times[-1] for key, times in (task.event_times or {}).items() if key in (task.data or {})), default=0
        )
        if task.state not in (PENDING, RECEIVED, STARTED) and event.timestamp < newest:
            return {}
        return {"state": rule.state, "hostname": event.hostname, "lost": None, "source": None}
    drafts = read_attempts(task)
    own = [draft for draft in drafts if draft.hostname == event.hostname]
    if any(draft.is_open or draft.end_order >= event.timestamp for draft in own):
        return {}
    begun = Draft(event.hostname)
    begun.custom_state = rule.state
    begun.run = task.run or 0
    return project(task, arrange([*drafts, begun], sent_order(task) if task.run else None), event.timestamp)
