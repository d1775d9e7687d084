"""Fold evidence into a task: (Task | None, Evidence) → Task | None. Evidence is a state that another source than the
events proves: a worker's answer, the result backend, the broker's queue. It has the same rules as events, and these:

* evidence about a record that has changed since it was examined is ignored;
* an end is final: evidence never replaces it;
* evidence without a state marks the task as lost, and ends the attempt of a worker that no longer has it;
* an event that arrives later replaces the evidence.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from flower.fold.attempts import CLOCK_TOLERANCE, END, RECEIPT, START, Draft, arrange, choose_current, read_attempts
from flower.fold.event_times import sent_order
from flower.fold.projection import clear_attempt_fields, project
from flower.fold.transitions import END_STATES, RUN_END_STATES
from flower.name_lengths import shorten_name
from flower.records import MAX_NAME_LENGTH, PENDING, RECEIVED, RETRY, STARTED, Evidence, Task

#: `Attempt.lost` of an attempt whose message went back to its queue.
RETURNED_TO_QUEUE = "returned_to_queue"
#: Reasons that prove that a worker does not have the task any more.
_WORKER_LACKS_TASK = frozenset({"worker_offline", "message_unacknowledged", "end_not_observed"})
#: Names that another program chose.
_NAME_FIELDS = ("name", "hostname", "queue", "root_id", "parent_id", "eta", "expires")
_DESCRIPTION_FIELDS = ("name", "args", "kwargs", "queue", "retries", "root_id", "parent_id", "eta", "expires")


def fold_evidence(task: Task | None, evidence: Evidence) -> Task | None:
    """The task after this evidence; None if the evidence is to be ignored."""
    evidence = _shorten_names(evidence)
    if task is None:
        if evidence.basis is not None:
            return None
        before = Task(evidence.uuid)
    elif evidence.basis != (task.state, task.timestamp):
        return None
    else:
        before = task
    if before.state in RUN_END_STATES:
        return None
    changes = _find_rule(evidence)(before, evidence)
    if changes is None:
        return None
    changes |= {
        field: value
        for field in _DESCRIPTION_FIELDS
        if (value := getattr(evidence, field)) is not None and getattr(before, field) is None
    }
    times = [at for at in (before.timestamp, evidence.received, evidence.started, evidence.ended) if at is not None]
    changes["timestamp"] = max(times, default=evidence.observed_at)
    after = replace(before, **changes)
    return None if after == task else after


def _shorten_names(evidence: Evidence) -> Evidence:
    long = {
        field: shorten_name(name, MAX_NAME_LENGTH)
        for field in _NAME_FIELDS
        if (name := getattr(evidence, field)) is not None and len(name) > MAX_NAME_LENGTH
    }
    return replace(evidence, **long) if long else evidence


def _find_rule(evidence: Evidence) -> Callable[[Task, Evidence], dict[str, Any] | None]:
    if evidence.state is None:
        return _mark_lost
    if evidence.state == PENDING or (evidence.state == RETRY and evidence.source == "broker"):
        return _return_to_queue
    return _end_attempt if evidence.state in END_STATES else _hold


def _mark_lost(task: Task, evidence: Evidence) -> dict[str, Any] | None:
    """No source has the task."""
    lost = evidence.lost
    if lost is None:
        return None
    if lost.reason not in _WORKER_LACKS_TASK:
        return {"lost": lost}
    drafts = read_attempts(task)
    for draft in drafts:
        if draft.is_open and draft.hostname == (evidence.hostname or task.hostname):
            draft.lost = lost.reason
    ordered = arrange(drafts, _run_sent_order(task))
    current = choose_current(ordered)
    if current is None:
        return {"lost": lost}
    # Another attempt may have ended or may still run: its state is proven.
    is_proven = current.is_open or current.state in RUN_END_STATES
    return project(task, ordered, lost.since) | {"lost": None if is_proven else lost}


def _return_to_queue(task: Task, evidence: Evidence) -> dict[str, Any]:
    """The message is in its queue: no worker has the task."""
    drafts = read_attempts(task)
    for draft in drafts:
        if draft.is_open:
            draft.lost = RETURNED_TO_QUEUE
    ordered = arrange(drafts, _run_sent_order(task))
    current = choose_current(ordered)
    if current is None:
        return _proven(evidence)
    changes = project(task, ordered, evidence.observed_at) | _proven(evidence)
    if current.lost is not None:
        retried = any(draft.state == RETRY and draft.run == current.run for draft in ordered)
        changes |= clear_attempt_fields(RETRY if retried else PENDING) | _proven(evidence)
        changes["earlier"] = tuple(draft.attempt(number) for number, draft in enumerate(ordered))
    return changes


def _end_attempt(task: Task, evidence: Evidence) -> dict[str, Any] | None:
    """The result backend has the end of the task, or the broker dropped the expired message."""
    drafts = read_attempts(task)
    ended = evidence.observed_at if evidence.ended is None else evidence.ended
    if evidence.ended is not None and _is_before_run(task, drafts, ended):
        return None
    hostname = evidence.hostname
    unfinished = [draft for draft in drafts if draft.state is None and hostname in (None, draft.hostname)]
    draft = max(unfinished, key=lambda each: (each.is_running, each.lost is None, each.begin), default=None)
    if draft is None:
        draft = Draft(hostname)
        drafts.append(draft)
    _add_times(draft, evidence)
    draft.ended, draft.state, draft.is_proven, draft.lost = ended, evidence.state, True, None
    draft.exception, draft.traceback = evidence.exception, evidence.traceback
    draft.runtime, draft.custom_state = evidence.runtime, None
    order = ended - (draft.clock_offset or 0.0)
    draft.end_order = draft.orders[END] = max([order, *draft.orders.values()])
    draft.begin = min(draft.begin, order - (draft.runtime or 0.0))
    changes = project(task, arrange(drafts, _run_sent_order(task)), ended) | _proven(evidence)
    if evidence.result is not None:
        changes["result"] = evidence.result
    if changes["state"] != evidence.state:
        changes["source"] = None
    return changes


def _hold(task: Task, evidence: Evidence) -> dict[str, Any]:
    """A worker runs the task, or holds it."""
    drafts = read_attempts(task)
    own = [
        draft
        for draft in drafts
        if draft.state is None and draft.hostname in (None, evidence.hostname) and draft.may_be_of(evidence.pid)
    ]
    draft = max(own, key=lambda each: (each.lost is None, each.begin), default=None)
    if draft is None:
        draft = Draft(evidence.hostname)
        drafts.append(draft)
    _add_times(draft, evidence)
    draft.hostname, draft.lost = evidence.hostname, None
    if evidence.state != RECEIVED:
        draft.custom_state = None if evidence.state == STARTED and draft.started is not None else evidence.state
    else:
        draft.custom_state = None
        for other in drafts:
            if other is not draft and other.is_open:
                other.lost = "worker_offline"
    return project(task, arrange(drafts, _run_sent_order(task)), evidence.observed_at) | _proven(evidence)


def _add_times(draft: Draft, evidence: Evidence) -> None:
    """Add what the evidence knows of the attempt and the events did not."""
    draft.pid = evidence.pid if draft.pid is None else draft.pid
    draft.received = evidence.received if draft.received is None else draft.received
    draft.started = evidence.started if draft.started is None else draft.started
    for kind, at in ((RECEIPT, draft.received), (START, draft.started)):
        if at is not None and kind not in draft.orders:
            draft.orders[kind] = at - (draft.clock_offset or 0.0)
            draft.begin = min(draft.begin, draft.orders[kind])


def _is_before_run(task: Task, drafts: Iterable[Draft], ended: float) -> bool:
    """Whether an end is that of an earlier use of the id."""
    begins = [draft.begin for draft in drafts if draft.run == (task.run or 0)]
    sent = sent_order(task)
    since = min(begins, default=None) if sent is None else sent
    return since is not None and ended < since - CLOCK_TOLERANCE


def _run_sent_order(task: Task) -> float | None:
    """When the current run was sent, by the recorder's clock, if it is not the first."""
    return sent_order(task) if task.run else None


def _proven(evidence: Evidence) -> dict[str, Any]:
    return {"source": evidence.source, "lost": None}
