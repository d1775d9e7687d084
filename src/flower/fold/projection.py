"""The fields of a task that follow from its attempts."""

from typing import Any

from flower.fold.attempts import RECEIPT, START, Draft, choose_current, is_placeholder
from flower.fold.event_times import SENDING_KEYS, is_sent_after, sent_order
from flower.fold.transitions import END_STATES, RUN_END_STATES, TIME_FIELDS, custom_transition
from flower.records import PENDING, RECEIVED, RETRY, STARTED, Lost, Task


def project(task: Task, ordered: list[Draft], now: float) -> dict[str, Any]:
    """The fields of the task that follow from its attempts. `now` is the time of what changed them."""
    current = choose_current(ordered)
    run = ordered[-1].run if ordered else 0
    changes: dict[str, Any] = {"lost": None}
    if current is not None and not current.is_open:
        if is_sent_after(task, ordered):
            # The next run waits for its first attempt.
            run, current = run + 1, None
            changes |= {"result": None} | dict.fromkeys(TIME_FIELDS[state] for state in END_STATES)
        elif current.state not in RUN_END_STATES and is_placeholder(task) and task.earlier:
            # The message is in its queue again.
            current, changes["lost"] = None, task.lost
    changes |= {
        "run": run or None,
        "earlier": tuple(draft.attempt(number) for number, draft in enumerate(ordered) if draft is not current),
        "queue_wait": compute_queue_wait(task, ordered, run),
    }
    if current is None:
        retried = any(draft.state == RETRY and draft.run == run for draft in ordered)
        return changes | clear_attempt_fields(RETRY if retried else PENDING)
    state = current.state or _unfinished_state(task, current)
    changes |= {
        "state": state,
        "hostname": current.hostname,
        "pid": current.pid,
        "received": current.received,
        "started": current.started,
        "runtime": current.derive_runtime(),
        "exception": current.exception,
        "traceback": current.traceback,
        "clock_offset": current.clock_offset,
        "source": task.source if state == task.state and current.is_proven == (state in END_STATES) else None,
    }
    if current.retries is not None:
        changes["retries"] = current.retries
    if current.lost is not None:
        changes["lost"] = task.lost or Lost(now, "worker_offline", "The worker process that had the task was replaced")
    for each in END_STATES:
        ends = [draft.ended for draft in ordered if draft.state == each and draft.ended is not None]
        own = [draft.ended for draft in ordered if draft.state == each and draft.run == run and draft.ended is not None]
        recorded = getattr(task, TIME_FIELDS[each])
        if recorded is not None and run == (task.run or 0) and recorded not in ends:
            own.append(recorded)  # of an execution with two ends
        changes[TIME_FIELDS[each]] = current.ended if current.state == each else max(own, default=None)
    return changes


def _unfinished_state(task: Task, current: Draft) -> str:
    if current.started is None:
        return current.custom_state or RECEIVED
    customs = [(times[-1], kind) for kind, times in (task.event_times or {}).items() if kind not in SENDING_KEYS]
    if customs and current.is_open and (newest := max(customs))[0] >= current.started:
        return custom_transition(newest[1]).state
    return STARTED


def clear_attempt_fields(state: str) -> dict[str, Any]:
    """The fields of a current attempt that is only to come."""
    fields = ("hostname", "pid", "received", "started", "runtime", "exception", "traceback", "clock_offset", "source")
    return {"state": state, **dict.fromkeys(fields)}


def compute_queue_wait(task: Task, ordered: list[Draft], run: int | None = None) -> float | None:
    """Seconds from sent to the first start of the run, if that is not the difference of the fields of the task. `run`
    defaults to the current run of the task."""
    current_run = task.run or 0
    drafts = [draft for draft in ordered if draft.run == (current_run if run is None else run)]
    first = next((draft for draft in drafts if draft.started is not None), None)
    if first is None:
        return None
    if task.queue_wait is not None and run in (None, current_run) and first.started == task.first_started:
        # The offset of the clock may have changed since.
        return task.queue_wait
    is_corrected = first.clock_offset is not None or first.orders[START] != first.started
    if len(drafts) == 1 and not is_corrected and task.client_offset is None:
        return None
    sent = sent_order(task) if run in (None, current_run) else None
    since = first.orders.get(RECEIPT) if sent is None else sent
    return None if since is None else first.orders[START] - since
