"""What the rules say, put into words: one function for each thing that can be wrong with a kind of subject."""

from collections.abc import Iterator, Sequence
from typing import Final

from flower.api.failure_states import FailureRow
from flower.api.health.report import Concern, Kind, Severity, Subject
from flower.api.health.signs import BUCKETS, MOST_RUNNING, WIDTH, Running
from flower.api.health.words import counted, lasting, query_for, short
from flower.records import STARTED
from flower.search.tree import Node, Term, all_of

#: So many concerns of one kind are told one by one; more as one.
NAMED: Final = 3


def of_recorder(
    kind: Kind, severity: Severity, title: str, detail: str, *, since: float | None = None, value: float | None = None
) -> Concern:
    return Concern(
        kind=kind, severity=severity, title=title, detail=detail, subject=Subject("recorder"), since=since, value=value
    )


def of_worker(title: str, detail: str, name: str, since: float, value: float | None) -> Concern:
    query = query_for(Term("worker", "equals", name)) if name else ""
    return Concern(
        kind="worker_silent",
        severity="warning",
        title=title,
        detail=detail,
        subject=Subject("worker", name, query),
        since=since,
        value=value,
    )


def of_queue(
    kind: Kind, severity: Severity, name: str, what: str, detail: str, ready: int, depths: Sequence[int]
) -> Concern:
    return Concern(
        kind=kind,
        severity=severity,
        title=f"{short(name)} {what}",
        detail=detail,
        subject=Subject("queue", name, query_for(Term("queue", "equals", name))),
        value=float(ready),
        trend=tuple(map(float, depths)),
    )


def of_failures(kind: Kind, groups: Sequence[FailureRow], count: int, title: str, many: str) -> Iterator[Concern]:
    """One by one, or all as one where they are many; `count` is how many there are, those left out too."""
    if count > NAMED and groups:
        firsts = [group.first_seen for group in groups if group.first_seen is not None]
        yield Concern(
            kind=kind,
            severity="warning",
            title=f"{count} {many}",
            detail=f"The largest of them: {', '.join(_named(group) for group in groups[:NAMED])}.",
            subject=Subject("failure", "", query_for(Term("failure", "present", ""))),
            since=min(firsts, default=None),
            value=float(count),
        )
        return
    for group in groups:
        alike = group.fingerprint
        types = ", ".join(short(str(value.value)) for value in group.types[:NAMED] if value.value is not None)
        within = lasting(BUCKETS * WIDTH)
        yield Concern(
            kind=kind,
            severity="warning",
            title=f"{title}: {_named(group)}",
            detail=f"{short(alike.message or alike.exception)} ({counted(group.count, 'task')} in {within}: {types}).",
            subject=Subject("failure", alike.id, query_for(Term("failure", "equals", alike.id))),
            since=group.first_seen,
            value=float(group.count),
            trend=tuple(map(float, group.trend)),
        )


def _named(group: FailureRow) -> str:
    return short(group.fingerprint.exception.rpartition(".")[2])


def several(tasks: Sequence[Running]) -> str:
    least = "at least " if len(tasks) >= MOST_RUNNING else ""
    return f"{least}{counted(len(tasks), 'task')}"


def of_tasks(title: str, detail: str, tasks: Sequence[Running], only: Node | None) -> Concern:
    started = Term("started", "range", (None, max(task.started for task in tasks)))
    parts = [Term("state", "equals", STARTED), *([] if only is None else [only]), started]
    return Concern(
        kind="stuck_tasks",
        severity="warning",
        title=title,
        detail=detail,
        subject=Subject("tasks", tasks[0].uuid if len(tasks) == 1 else "", query_for(all_of(parts))),
        since=min(task.started for task in tasks),
        value=float(len(tasks)),
    )
