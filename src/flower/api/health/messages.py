"""Texts of health issues: one function for each kind of subject, and the formats of numbers, durations and names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from flower.api.failures import FailureRow
from flower.api.health.models import HealthIssue, IssueKind, IssueSubject, Severity
from flower.api.health.snapshot import (
    MAX_RUNNING_TASKS,
    LostTasks,
    RunningTask,
)
from flower.errors import InvalidRequest
from flower.records import STARTED, LostReason
from flower.search.formatter import format_search
from flower.search.parser import MAX_QUERY_LENGTH
from flower.search.tree import Node, Not, Term, all_of

#: Up to this number, issues of one kind are listed separately; more are combined into one. Also the number of names in
#: a message.
MAX_SEPARATE_ISSUES: Final = 3
#: Characters of a name or message: their length is chosen by the sender of the task.
_MAX_NAME_LENGTH: Final = 120


def build_recorder_issue(
    kind: IssueKind,
    severity: Severity,
    title: str,
    detail: str,
    *,
    started_at: float | None = None,
    value: float | None = None,
) -> HealthIssue:
    return HealthIssue(
        kind=kind,
        severity=severity,
        title=title,
        detail=detail,
        subject=IssueSubject("recorder"),
        started_at=started_at,
        value=value,
    )


def build_worker_issue(
    kind: IssueKind, title: str, detail: str, name: str, *, started_at: float | None, value: float | None = None
) -> HealthIssue:
    """`name` is "" for an issue of several workers."""
    query = build_query_text(Term("worker", "equals", name)) if name else ""
    return HealthIssue(
        kind=kind,
        severity="warning",
        title=title,
        detail=detail,
        subject=IssueSubject("worker", name, query),
        started_at=started_at,
        value=value,
    )


def build_queue_issue(
    kind: IssueKind, severity: Severity, name: str, problem: str, detail: str, ready: int, depths: Sequence[int]
) -> HealthIssue:
    """`problem` is the predicate of the title, such as "is growing"; `depths` are previous numbers of messages."""
    return HealthIssue(
        kind=kind,
        severity=severity,
        title=f"Queue “{truncate_name(name)}” {problem}",
        detail=detail,
        subject=IssueSubject("queue", name, build_query_text(Term("queue", "equals", name))),
        value=float(ready),
        trend=tuple(map(float, depths)),
    )


def build_failure_issues(
    kind: IssueKind, groups: Sequence[FailureRow], count: int, title: str, summary: str, *, seconds: float
) -> Iterator[HealthIssue]:
    """One issue for each group, with `title`; or one for all of them, with `summary`, if there are many. `count`
    includes groups that are not in `groups`; `seconds` is the length of the period in which tasks are counted."""
    if count > MAX_SEPARATE_ISSUES and groups:
        first_seen = [group.first_seen_at for group in groups if group.first_seen_at is not None]
        yield HealthIssue(
            kind=kind,
            severity="warning",
            title=f"{count} {summary}",
            detail=f"Most frequent: {', '.join(_exception_name(group) for group in groups[:MAX_SEPARATE_ISSUES])}.",
            subject=IssueSubject("failure", "", build_query_text(Term("failure", "present", ""))),
            started_at=min(first_seen, default=None),
            value=float(count),
        )
        return
    for group in groups:
        fingerprint = group.fingerprint
        message = truncate_name(fingerprint.message or fingerprint.exception)
        names = [truncate_name(str(each.value)) for each in group.types[:MAX_SEPARATE_ISSUES] if each.value is not None]
        period = f"the last {describe_duration(seconds)}"
        yield HealthIssue(
            kind=kind,
            severity="warning",
            title=f"{title}: {_exception_name(group)}",
            detail=f"{message} ({pluralize(group.count, 'task')} in {period}: {', '.join(names)}).",
            subject=IssueSubject(
                "failure", fingerprint.id, build_query_text(Term("failure", "equals", fingerprint.id))
            ),
            started_at=group.first_seen_at,
            value=float(group.count),
            trend=tuple(map(float, group.trend)),
        )


def build_task_issue(
    kind: IssueKind, title: str, detail: str, tasks: Sequence[RunningTask], condition: Node | None
) -> HealthIssue:
    """`tasks` must not be empty. `condition` narrows the query of the issue to these tasks."""
    started = Term("started", "range", (None, max(task.started for task in tasks)))
    is_lost = Term("lost", "present", "")
    parts = [Term("state", "equals", STARTED), Not(is_lost), *([] if condition is None else [condition]), started]
    return HealthIssue(
        kind=kind,
        severity="warning",
        title=title,
        detail=detail,
        subject=IssueSubject("tasks", tasks[0].uuid if len(tasks) == 1 else "", build_query_text(all_of(parts))),
        started_at=min(task.started for task in tasks),
        value=float(len(tasks)),
    )


#: By reason of the mark `lost`.
_LOST_REASONS: Final[Mapping[LostReason, str]] = {
    "worker_offline": "the worker is offline",
    "message_unacknowledged": "the broker holds the message for a worker that stopped",
    "not_in_queue": "the message is no longer in the queue",
    "end_not_observed": "the worker no longer has the task, and its end was not recorded",
    "not_received": "no source has the task",
}


def build_lost_tasks_issue(lost: LostTasks, since: float) -> HealthIssue:
    """`lost.count` must not be 0. `since`: start of the period in which the tasks had their last event."""
    reasons = "; ".join(f"{count:,}: {_LOST_REASONS[reason]}" for reason, count in lost.by_reason.items())
    among = "" if sum(lost.by_reason.values()) >= lost.count else f"Of the latest {sum(lost.by_reason.values()):,}: "
    query = all_of([Term("lost", "present", ""), Term("timestamp", "range", (since, None))])
    return HealthIssue(
        kind="tasks_lost",
        severity="warning",
        title=f"{pluralize(lost.count, 'task')} lost within a day",
        detail=f"No source proves the state of these tasks. {among}{reasons}.",
        subject=IssueSubject("tasks", lost.uuid, build_query_text(query)),
        started_at=lost.since,
        value=float(lost.count),
    )


def format_task_count(tasks: Sequence[RunningTask]) -> str:
    at_least = "at least " if len(tasks) >= MAX_RUNNING_TASKS else ""
    return f"{at_least}{pluralize(len(tasks), 'task')}"


def describe_duration(seconds: float) -> str:
    """12 seconds, 5 minutes, 3 hours, 2 days."""
    for width, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if seconds >= 2 * width:
            return pluralize(round(seconds / width), unit)
    return pluralize(max(0, round(seconds)), "second")


def pluralize(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def describe_rate(per_second: float) -> str:
    """4.2/s; below one per second 30.0/min."""
    return f"{per_second:,.1f}/s" if per_second >= 1 else f"{per_second * 60:,.1f}/min"


def describe_bytes(size: int) -> str:
    return f"{size / 2**30:,.1f} GB" if size >= 2**30 else f"{size / 2**20:,.0f} MB"


def truncate_name(text: str) -> str:
    return text if len(text) <= _MAX_NAME_LENGTH else f"{text[:_MAX_NAME_LENGTH]}…"


def build_query_text(node: Node) -> str:
    """The condition as a query of the search language; "" if it cannot be expressed or is too long."""
    try:
        query = format_search(node)
    except InvalidRequest:
        return ""
    return query if len(query) <= MAX_QUERY_LENGTH else ""


def _exception_name(group: FailureRow) -> str:
    return truncate_name(group.fingerprint.exception.rpartition(".")[2])
