"""Numbers and stretches of time as people say them, and queries for what they speak of.

What the rules say, put into words: one function for each thing that can be wrong with a kind of subject."""

from collections.abc import Iterator, Sequence
from typing import Final

from flower.api.failures import FailureRow
from flower.api.health.models import HealthIssue, IssueKind, IssueSubject, Severity
from flower.api.health.snapshot import MAX_RUNNING_TASKS, TREND_BUCKET_SECONDS, TREND_BUCKETS, RunningTask
from flower.errors import InvalidRequest
from flower.records import STARTED
from flower.search.formatter import format_search
from flower.search.parser import MAX_QUERY_LENGTH
from flower.search.tree import Node, Term, all_of

#: Characters of a name or message within a sentence: whoever sends tasks chooses how long theirs are.
_MAX_NAME_LENGTH: Final = 120


def describe_duration(seconds: float) -> str:
    """12 seconds, 5 minutes, 3 hours, 2 days."""
    for width, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if seconds >= 2 * width:
            return pluralize(round(seconds / width), unit)
    return pluralize(max(0, round(seconds)), "second")


def pluralize(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def describe_rate(each_second: float) -> str:
    """So many a second, or a minute where they are few."""
    return f"{each_second:,.1f} a second" if each_second >= 1 else f"{each_second * 60:,.1f} a minute"


def describe_bytes(amount: int) -> str:
    return f"{amount / 2**30:,.1f} GB" if amount >= 2**30 else f"{amount / 2**20:,.0f} MB"


def truncate_name(text: str) -> str:
    return text if len(text) <= _MAX_NAME_LENGTH else f"{text[:_MAX_NAME_LENGTH]}…"


def build_query_text(node: Node) -> str:
    """ "" for what the language has no words for."""
    try:
        query = format_search(node)
    except InvalidRequest:
        return ""
    return query if len(query) <= MAX_QUERY_LENGTH else ""


#: So many concerns of one kind are told one by one; more as one.
MAX_SEPARATE_ISSUES: Final = 3


def build_recorder_issue(
    kind: IssueKind,
    severity: Severity,
    title: str,
    detail: str,
    *,
    since: float | None = None,
    value: float | None = None,
) -> HealthIssue:
    return HealthIssue(
        kind=kind,
        severity=severity,
        title=title,
        detail=detail,
        subject=IssueSubject("recorder"),
        started_at=since,
        value=value,
    )


def build_worker_issue(title: str, detail: str, name: str, since: float, value: float | None) -> HealthIssue:
    query = build_query_text(Term("worker", "equals", name)) if name else ""
    return HealthIssue(
        kind="worker_silent",
        severity="warning",
        title=title,
        detail=detail,
        subject=IssueSubject("worker", name, query),
        started_at=since,
        value=value,
    )


def build_queue_issue(
    kind: IssueKind, severity: Severity, name: str, what: str, detail: str, ready: int, depths: Sequence[int]
) -> HealthIssue:
    return HealthIssue(
        kind=kind,
        severity=severity,
        title=f"{truncate_name(name)} {what}",
        detail=detail,
        subject=IssueSubject("queue", name, build_query_text(Term("queue", "equals", name))),
        value=float(ready),
        trend=tuple(map(float, depths)),
    )


def build_failure_issues(
    kind: IssueKind, groups: Sequence[FailureRow], count: int, title: str, many: str
) -> Iterator[HealthIssue]:
    """One by one, or all as one where they are many; `count` is how many there are, those left out too."""
    if count > MAX_SEPARATE_ISSUES and groups:
        firsts = [group.first_seen_at for group in groups if group.first_seen_at is not None]
        yield HealthIssue(
            kind=kind,
            severity="warning",
            title=f"{count} {many}",
            detail=(
                f"The largest of them: {', '.join(_exception_name(group) for group in groups[:MAX_SEPARATE_ISSUES])}."
            ),
            subject=IssueSubject("failure", "", build_query_text(Term("failure", "present", ""))),
            started_at=min(firsts, default=None),
            value=float(count),
        )
        return
    for group in groups:
        alike = group.fingerprint
        types = ", ".join(
            truncate_name(str(value.value)) for value in group.types[:MAX_SEPARATE_ISSUES] if value.value is not None
        )
        within = describe_duration(TREND_BUCKETS * TREND_BUCKET_SECONDS)
        yield HealthIssue(
            kind=kind,
            severity="warning",
            title=f"{title}: {_exception_name(group)}",
            detail=(
                f"{truncate_name(alike.message or alike.exception)} ({pluralize(group.count, 'task')} in {within}:"
                f" {types})."
            ),
            subject=IssueSubject("failure", alike.id, build_query_text(Term("failure", "equals", alike.id))),
            started_at=group.first_seen_at,
            value=float(group.count),
            trend=tuple(map(float, group.trend)),
        )


def _exception_name(group: FailureRow) -> str:
    return truncate_name(group.fingerprint.exception.rpartition(".")[2])


def format_task_count(tasks: Sequence[RunningTask]) -> str:
    least = "at least " if len(tasks) >= MAX_RUNNING_TASKS else ""
    return f"{least}{pluralize(len(tasks), 'task')}"


def build_task_issue(title: str, detail: str, tasks: Sequence[RunningTask], only: Node | None) -> HealthIssue:
    started = Term("started", "range", (None, max(task.started for task in tasks)))
    parts = [Term("state", "equals", STARTED), *([] if only is None else [only]), started]
    return HealthIssue(
        kind="stuck_tasks",
        severity="warning",
        title=title,
        detail=detail,
        subject=IssueSubject("tasks", tasks[0].uuid if len(tasks) == 1 else "", build_query_text(all_of(parts))),
        started_at=min(task.started for task in tasks),
        value=float(len(tasks)),
    )
