"""The decision about one task: (task, findings) → evidence, or None if nothing is proven that is not recorded.

The rules are a table; the first rule that applies decides. Proof of presence precedes proof of absence. A task is
marked lost only if every source that could have it was queried completely; the caller repeats the queries before it
believes that (`Verdict.needs_confirmation`), because a message can be on its way between two sources, and an event on
its way to the recorder. No rule gives a task an end that no source proves.
"""

from collections.abc import Callable
from typing import NamedTuple

from flower.reconcile.findings import Findings, HeldTask, StoredResult
from flower.records import PENDING, RECEIVED, RETRY, REVOKED, STARTED, WAITING_STATES, Evidence, Lost, LostReason, Task

#: Seconds by which the start that a worker reports may differ from that of its event.
_START_TOLERANCE = 1.0


class Verdict(NamedTuple):
    """Evidence, and whether it must be found twice before it is recorded."""

    evidence: Evidence
    needs_confirmation: bool = False


class _NoChange:
    """The record agrees with the sources, or the sources decide nothing."""


NO_CHANGE = _NoChange()
_Outcome = Verdict | _NoChange | None


def decide(task: Task, findings: Findings, now: float) -> Verdict | None:
    """The verdict about an unfinished task."""
    for rule in RULES:
        outcome = rule(task, findings, now)
        if outcome is not None:
            return outcome if isinstance(outcome, Verdict) else None
    return None


def is_with_worker(task: Task) -> bool:
    """Whether a worker has the task, according to the record. After a retry, the worker is that of the attempt that
    ended."""
    return task.hostname is not None and task.state not in (PENDING, RETRY)


def state_while_waiting(task: Task) -> str:
    """The state of the task while it waits in a queue."""
    return RETRY if any(attempt.state == RETRY for attempt in task.attempts) else PENDING


# --- rules; each returns None if it does not apply


def _running(task: Task, findings: Findings, now: float) -> _Outcome:
    held = findings.held
    if held is None or held.list_name != "active":
        return None
    result = findings.result
    if result is not None and (held.started is None or (result.ended or 0.0) >= held.started):
        return None  # it ended after the worker had answered
    same_start = held.started is None or (task.started is not None and held.started - task.started <= _START_TOLERANCE)
    if task.lost is None and task.state not in WAITING_STATES and task.hostname == held.hostname and same_start:
        return NO_CHANGE
    return Verdict(_from_worker(task, held, STARTED))


def _ended(task: Task, findings: Findings, now: float) -> _Outcome:
    result = findings.result
    if result is None:
        return None
    return Verdict(end_evidence(result, _basis(task)))


def _held(task: Task, findings: Findings, now: float) -> _Outcome:
    held = findings.held
    if held is None:
        return None
    if task.lost is None and task.state in (RECEIVED, RETRY) and task.hostname == held.hostname:
        return NO_CHANGE
    return Verdict(_from_worker(task, held, RECEIVED))


def _waiting(task: Task, findings: Findings, now: float) -> _Outcome:
    return _back_in_queue(task, findings) if findings.position == "waiting" else None


def _unacknowledged(task: Task, findings: Findings, now: float) -> _Outcome:
    if findings.position != "unacknowledged":
        return None
    if findings.worker == "gone":
        return _back_in_queue(task, findings)
    if findings.worker == "silent":
        return _lost(
            task,
            findings,
            now,
            "message_unacknowledged",
            "its worker is silent, and the broker holds the message until the worker acknowledges it or is gone",
        )
    if findings.worker == "answered" and findings.may_be_unlisted and task.state == RECEIVED:
        return _unlisted(task, findings, now)
    if findings.worker == "answered":
        # A worker that lost its connection drops what it had prefetched; Redis delivers it again after the visibility
        # timeout.
        outcome = _back_in_queue(task, findings)
        return outcome._replace(needs_confirmation=True) if isinstance(outcome, Verdict) else outcome
    if task.lost is not None and findings.worker == "none":
        return _back_in_queue(task, findings)
    return NO_CHANGE


def _unlisted(task: Task, findings: Findings, now: float) -> _Outcome:
    if findings.worker != "answered" or not findings.may_be_unlisted or task.state != RECEIVED:
        return None
    if not findings.may_have_dropped:
        return _still_held(task, findings)
    return _lost(
        task,
        findings,
        now,
        "message_unacknowledged",
        "it waits at its worker for its rate limit, or, if the worker lost its connection, for its redelivery",
    )


def _expired(task: Task, findings: Findings, now: float) -> _Outcome:
    # The mark of a task that disappeared before its expiry time stays.
    dropped = findings.has_expired and findings.position == "absent" and findings.worker == "none"
    if not (dropped and _is_nowhere(findings) and task.lost is None and task.state == PENDING):
        return None
    return Verdict(
        Evidence(
            uuid=task.uuid,
            source="broker",
            observed_at=findings.position_at,
            state=REVOKED,
            basis=_basis(task),
            ended=findings.position_at,
        ),
        needs_confirmation=True,
    )


def _worker_stopped(task: Task, findings: Findings, now: float) -> _Outcome:
    if findings.worker not in ("gone", "silent") or findings.position == "unknown" or findings.backend == "failed":
        return None
    detail = "its worker is silent" if findings.worker == "silent" else "its worker stopped"
    if findings.position == "unavailable":
        detail += ", and this broker does not show which messages it has"
    elif findings.position == "incomplete":
        detail += ", and the queue has too many messages to look for it"
    else:
        detail += ", and its message is not in the queue"
    if findings.unanswered:
        detail += f" ({_count_workers(findings.unanswered)} did not answer)"
    return _lost(task, findings, now, "worker_offline", detail)


def _end_missed(task: Task, findings: Findings, now: float) -> _Outcome:
    if findings.worker != "answered" or not _is_nowhere(findings):
        return None
    return _lost(
        task,
        findings,
        now,
        "end_not_observed",
        "its worker is alive and does not have it" + _backend_clause(findings),
    )


def _left_queue(task: Task, findings: Findings, now: float) -> _Outcome:
    if findings.worker != "none" or not _is_nowhere(findings):
        return None
    return _lost(
        task,
        findings,
        now,
        "not_in_queue",
        "its message is not in the queue, and no worker has it" + _backend_clause(findings),
    )


RULES: tuple[Callable[[Task, Findings, float], _Outcome], ...] = (
    _running,
    _ended,
    _held,
    _waiting,
    _unacknowledged,
    _unlisted,
    _expired,
    _worker_stopped,
    _end_missed,
    _left_queue,
)


# --- helpers


def end_evidence(result: StoredResult, basis: tuple[str, float | None] | None) -> Evidence:
    """Evidence that a task ended."""
    return Evidence(
        uuid=result.uuid,
        source="result_backend",
        observed_at=result.observed_at,
        state=result.state,
        basis=basis,
        hostname=result.hostname,
        name=result.name,
        args=result.args,
        kwargs=result.kwargs,
        queue=result.queue,
        retries=result.retries,
        parent_id=result.parent_id,
        ended=result.ended,
        result=result.result,
        exception=result.exception,
        traceback=result.traceback,
    )


def _is_nowhere(findings: Findings) -> bool:
    """Whether every source that could have the task was queried completely, and none has it."""
    position_known = findings.position == "absent" or (
        findings.position == "unavailable" and findings.worker == "answered"
    )
    return position_known and not findings.unanswered and findings.backend != "failed"


def _basis(task: Task) -> tuple[str, float | None]:
    return task.state, task.timestamp


def _from_worker(task: Task, held: HeldTask, state: str) -> Evidence:
    return Evidence(
        uuid=task.uuid,
        source="worker",
        observed_at=held.observed_at,
        state=state,
        basis=_basis(task),
        hostname=held.hostname,
        pid=held.pid,
        name=held.name,
        args=held.args,
        kwargs=held.kwargs,
        queue=held.queue,
        started=held.started if state == STARTED else None,
    )


def _back_in_queue(task: Task, findings: Findings) -> _Outcome:
    state = state_while_waiting(task)
    if task.lost is None and task.state == state and (state == RETRY or task.hostname is None):
        return NO_CHANGE
    return Verdict(
        Evidence(uuid=task.uuid, source="broker", observed_at=findings.position_at, state=state, basis=_basis(task))
    )


def _still_held(task: Task, findings: Findings) -> _Outcome:
    """The worker of the record has the task, although it does not list it."""
    if task.lost is None:
        return NO_CHANGE
    return Verdict(
        Evidence(
            uuid=task.uuid,
            source="worker",
            observed_at=findings.position_at,
            state=task.state,
            basis=_basis(task),
            hostname=task.hostname,
            pid=task.pid,
        )
    )


def _lost(task: Task, findings: Findings, now: float, reason: LostReason, detail: str) -> _Outcome:
    if task.lost is not None and task.lost.reason == reason:
        return NO_CHANGE
    return Verdict(
        Evidence(
            uuid=task.uuid,
            source="broker" if reason in ("message_unacknowledged", "not_in_queue") else "worker",
            observed_at=now,
            state=None,
            basis=_basis(task),
            lost=Lost(
                since=now if task.lost is None else task.lost.since,
                reason=reason,
                detail=detail[:1].upper() + detail[1:],
                queried=findings.queried,
            ),
        ),
        needs_confirmation=True,
    )


def _backend_clause(findings: Findings) -> str:
    if findings.backend == "unreachable":
        return "; the result backend could not be queried"
    return ", and the result backend has no end of it" if findings.backend == "answered" else ""


def _count_workers(names: tuple[str, ...]) -> str:
    return "1 worker" if len(names) == 1 else f"{len(names)} workers"
