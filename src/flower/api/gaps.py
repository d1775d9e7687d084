"""Gaps: intervals in which events may have been missed, which tasks they affect, and their dismissal by users."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from flower.errors import InvalidRequest, NotFound
from flower.records import FINAL_STATES, Gap, GapCause, Task
from flower.store.ledger import Ledger
from flower.store.ledger.gap_dismissals import GapDismissal
from flower.store.protocols import Reader

#: Which gaps are listed: all, those that were dismissed, or the others.
DismissalFilter: TypeAlias = Literal["any", "yes", "no"]


class GapRow(msgspec.Struct, frozen=True, kw_only=True):
    """An interval in which events may have been missed. `ended_at` is null while it lasts; `worker` is null if the
    events of all workers are concerned; `dismissed_at` is null unless a user has dismissed it."""

    id: str
    started_at: float
    ended_at: float | None
    cause: GapCause
    reason: Annotated[str, Meta(description="What happened, for people.")]
    worker: str | None
    dismissed_at: float | None
    dismissed_by: str


class GapPage(msgspec.Struct, frozen=True):
    """Gaps, latest start first. `next_cursor` is the `cursor` of the next page, null on the last one."""

    gaps: tuple[GapRow, ...]
    next_cursor: str | None


def load_gaps(
    reader: Reader,
    ledger: Ledger | None,
    *,
    start: float | None = None,
    end: float | None = None,
    dismissed: DismissalFilter = "any",
    worker: str | None = None,
) -> list[GapRow]:
    """Gaps that overlap the window (epoch seconds, None: unlimited), oldest first. With `worker`, only those that
    concern its events."""
    dismissals = load_dismissals(ledger)
    return [
        to_gap_row(gap, dismissals)
        for gap in reader.gaps()
        if _overlaps(gap, start, end)
        and (dismissed == "any" or (gap.id in dismissals) == (dismissed == "yes"))
        and (worker is None or gap.worker in (None, worker))
    ]


def load_gap_page(rows: Sequence[GapRow], *, limit: int, cursor: str = "") -> GapPage:
    """A page of rows that are sorted oldest first. `cursor` is the id of the last gap of the previous page. Raises
    InvalidRequest."""
    newest_first = list(reversed(rows))
    position = 0
    if cursor:
        position = next((index + 1 for index, row in enumerate(newest_first) if row.id == cursor), 0)
        if not position:
            raise InvalidRequest(f"Invalid cursor '{cursor}'", hint="omit it to get the first page")
    page = tuple(newest_first[position : position + limit])
    has_more = position + limit < len(newest_first)
    return GapPage(page, page[-1].id if has_more else None)


def find_task_gaps(reader: Reader, ledger: Ledger | None, task: Task) -> tuple[GapRow, ...]:
    """Gaps in which events of this task may have been missed, oldest first."""
    dismissals = load_dismissals(ledger)
    return tuple(to_gap_row(gap, dismissals) for gap in reader.gaps() if affects_task(gap, task))


def affects_task(gap: Gap, task: Task) -> bool:
    """Whether events of the task may be missing because of the gap: it overlaps the time from the first to the last
    event, which an unfinished task has not had yet, and concerns a worker of the task."""
    if gap.worker is not None and gap.worker not in _workers_of(task):
        return False
    start = min(_times_of(task), default=None)
    return _overlaps(gap, start, task.timestamp if task.state in FINAL_STATES else None)


def dismiss_gap(reader: Reader, ledger: Ledger, gap_id: str, *, by: str) -> GapRow:
    """Mark a gap as dismissed. Raises NotFound."""
    gap = _find_gap(reader, gap_id)
    dismissal = GapDismissal(gap=gap_id, dismissed_by=by, dismissed_at=time.time())
    ledger.gap_dismissals.put(dismissal)
    return to_gap_row(gap, {gap_id: dismissal})


def restore_gap(reader: Reader, ledger: Ledger, gap_id: str) -> GapRow:
    """Remove the dismissal of a gap. Raises NotFound."""
    gap = _find_gap(reader, gap_id)
    ledger.gap_dismissals.delete(gap_id)
    return to_gap_row(gap, {})


def load_dismissals(ledger: Ledger | None) -> Mapping[str, GapDismissal]:
    return {} if ledger is None else ledger.gap_dismissals.dismissals()


def to_gap_row(gap: Gap, dismissals: Mapping[str, GapDismissal]) -> GapRow:
    dismissal = dismissals.get(gap.id)
    return GapRow(
        id=gap.id,
        started_at=gap.start,
        ended_at=gap.end,
        cause=gap.cause,
        reason=gap.reason,
        worker=gap.worker,
        dismissed_at=None if dismissal is None else dismissal.dismissed_at,
        dismissed_by="" if dismissal is None else dismissal.dismissed_by,
    )


def _find_gap(reader: Reader, gap_id: str) -> Gap:
    for gap in reader.gaps():
        if gap.id == gap_id:
            return gap
    raise NotFound(f"Unknown gap '{gap_id}'", hint="see /api/v1/gaps")


def _overlaps(gap: Gap, start: float | None, end: float | None) -> bool:
    return (end is None or gap.start <= end) and (start is None or gap.end is None or gap.end >= start)


def _workers_of(task: Task) -> set[str | None]:
    return {task.hostname, *(attempt.hostname for attempt in task.attempts)}


def _times_of(task: Task) -> Iterable[float]:
    times = (task.sent, task.received, task.started, task.timestamp)
    return (each for each in times if each is not None)
