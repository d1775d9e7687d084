"""Counting, and where an offset is. A page far down costs what the first one costs: whole segments are
counted once (and remembered as long as they do not change), and within the one or two segments where the
offset falls, the place is found by narrowing an interval of the sort key."""

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flower.search.tree import EVERYTHING
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.order import Search, compiled, facet_of, selective_plan
from flower.store.sqlite.pool import OpenSegment, SegmentGone
from flower.store.sqlite.schema import SUCCESS_ID
from flower.store.sqlite.where import Clause, Where

#: Rows that are passed over one by one rather than located more exactly.
NEAR: Final = 1_500
#: Every so many-th value of a key, as places where an interval may be cut.
_STRIDE: Final = 1_000
_REMEMBERED: Final = 50_000


class Memory:
    """What was found out about segments, by what and under which change of theirs it was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, question: Hashable) -> Any:
        with self._lock:
            if question in self._known:
                self._known.move_to_end(question)
            return self._known.get(question)

    def put(self, question: Hashable, answer: Any) -> None:
        with self._lock:
            self._known[question] = answer
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Counter:
    search: Search
    memory: Memory

    def count(self, entry: Segment, condition: str = "TRUE", values: tuple[Any, ...] = (), key: str = "") -> int:
        """How many the query finds in this segment under a further condition, one on `key` if that is named."""
        question = (entry.number, entry.sequence, self.search.where, condition, values)
        known: int | None = self.memory.get(question)
        if known is None:
            try:
                with self.search.pool.borrow(entry, self.search.deadline) as segment:
                    known = _count(
                        entry,
                        segment,
                        compiled(self.search, entry, segment),
                        condition=condition,
                        values=values,
                        key=key,
                    )
            except SegmentGone:
                return 0
            self.memory.put(question, known)
        return known

    def count_with(self, entry: Segment, clause: Clause) -> int:
        """How many the query finds that also fulfil this clause."""
        question = (entry.number, entry.sequence, self.search.where, clause)
        known: int | None = self.memory.get(question)
        if known is None:
            try:
                with self.search.pool.borrow(entry, self.search.deadline) as segment:
                    where = compiled(self.search, entry, segment)
                    known = _count(entry, segment, Where((*where.clauses, clause)))
            except SegmentGone:
                return 0
            self.memory.put(question, known)
        return known

    def with_value(self, entry: Segment, key: str) -> int:
        if entry.bound(key) is None:
            return 0
        if self.search.where == EVERYTHING and key != "runtime":
            # those without are few, and together in the index
            return self.count(entry) - self.count(entry, f"{key} IS NULL", (), key)
        return self.count(entry, f"{key} IS NOT NULL", (), key)

    def without_value(self, entry: Segment, key: str) -> int:
        if entry.bound(key) is None:
            return self.count(entry)
        return self.count(entry) - self.with_value(entry, key)

    def samples(self, entry: Segment, key: str) -> list[float]:
        """Values of the key in this segment, ascending, about _STRIDE rows apart."""
        question = (entry.number, entry.sequence, "samples", key)
        known: list[float] | None = self.memory.get(question)
        if known is None:
            known = []
            sql = (
                f"SELECT {key} FROM task INDEXED BY task_{key} WHERE {key} > ? ORDER BY {key} LIMIT 1 OFFSET {_STRIDE}"
            )
            try:
                with self.search.pool.borrow(entry, self.search.deadline) as segment:
                    rows = segment.rows(sql, (float("-inf"),))
                    while rows:
                        known.append(rows[0][0])
                        rows = segment.rows(sql, rows[0])
            except SegmentGone:
                return []
            self.memory.put(question, known)
        return known


def _count(
    entry: Segment,
    segment: OpenSegment,
    where: Where,
    *,
    condition: str = "TRUE",
    values: tuple[Any, ...] = (),
    key: str = "",
) -> int:
    if where.never:
        return 0
    if where.always and condition == "TRUE":
        return entry.rows
    success = _success_only(where) if condition == "TRUE" else None
    if success is not None:
        # nearly all tasks succeed: count the others, for which there is an index
        others = f"SELECT count(*) FROM task INDEXED BY task_state WHERE state <> {SUCCESS_ID} AND NOT ({success})"
        return entry.rows - _number(segment, others)
    facet = facet_of(where) if key in ("", "received") else None
    # one facet alone is counted in its index, however little it finds
    plan = None if facet is not None and len(where.clauses) == 1 else selective_plan(segment, where)
    if plan is not None:
        sql = f"SELECT count(*) FROM {plan.source} WHERE {plan.sql} AND {condition}"
        return _number(segment, sql, (*plan.values, *values))
    if facet is not None:
        column, numbers = facet
        partial = f" AND state <> {SUCCESS_ID}" if column == "state" else ""
        return sum(
            _number(
                segment,
                f"SELECT count(*) FROM task INDEXED BY task_{column}"
                f" WHERE {column} = {number}{partial} AND {where.sql} AND {condition}",
                (*where.values, *values),
            )
            for number in numbers
        )
    index = f" INDEXED BY task_{key}" if key else ""
    sql = f"SELECT count(*) FROM task{index} WHERE {where.sql} AND {condition}"
    return _number(segment, sql, (*where.values, *values))


def _success_only(where: Where) -> str | None:
    """The condition, if it is one on the state alone and lets SUCCESS through."""
    if len(where.clauses) == 1:
        clause = where.clauses[0]
        if clause.facet is not None and clause.facet[0] == "state" and SUCCESS_ID in clause.facet[1]:
            return clause.sql
    return None


def _number(segment: OpenSegment, sql: str, values: Sequence[Any] = ()) -> int:
    return int(segment.rows(sql, values)[0][0])


@dataclass(slots=True)
class Interval:
    """Values of a key in the order of the walk: from `begin` (with it) to `end` (without it), and how many rows
    of each segment are in it."""

    counts: dict[Segment, int]
    begin: float | None = None
    end: float | None = None
    #: rows that come before it
    before: int = 0


def locate(
    counter: Counter, entries: Sequence[Segment], key: str, *, descending: bool, offset: int
) -> tuple[float | None, int]:
    """The value of the key at which to start walking, and how many rows to pass over from there. The offset
    must be less than the number of rows that have a value."""
    interval = Interval({entry: counter.with_value(entry, key) for entry in entries})
    while offset - interval.before > NEAR:
        pivot = _pivot(counter, interval, key, offset, descending=descending)
        if pivot is None:
            break
        first = {
            entry: _before(counter, interval, entry, key, pivot, descending=descending) for entry in interval.counts
        }
        reached = interval.before + sum(first.values())
        if reached <= offset:
            interval.before, interval.begin = reached, pivot
            left = {entry: count - first[entry] for entry, count in interval.counts.items()}
        else:
            interval.end = pivot
            left = first
        interval.counts = {entry: count for entry, count in left.items() if count}
    return interval.begin, offset - interval.before


def _pivot(counter: Counter, interval: Interval, key: str, offset: int, *, descending: bool) -> float | None:
    """Where to cut: in the segment where the offset would be if segments followed one another, as far into it
    as the offset is; a little earlier rather than later. None if it cannot be cut any more."""

    def position(entry: Segment) -> float:
        bounds = entry.bound(key)
        assert bounds is not None
        return -bounds[1] if descending else bounds[0]

    wanted = offset - interval.before
    choices: list[tuple[int, list[float]]] = []
    for entry in sorted(interval.counts, key=position):
        count = interval.counts[entry]
        inside = _inside(counter.samples(entry, key), interval, descending=descending) if count else []
        if inside:
            if wanted < count:
                return inside[max(0, int(len(inside) * wanted / count) - 1)]
            choices.append((count, inside))
        wanted -= min(count, max(wanted, 0))
    if not choices:
        return None
    _, inside = max(choices, key=lambda choice: choice[0])
    return inside[len(inside) // 2]


def _inside(samples: list[float], interval: Interval, *, descending: bool) -> list[float]:
    """Samples at which the interval can be cut in two, in the order of the walk."""
    low, high = (interval.end, interval.begin) if descending else (interval.begin, interval.end)
    first = 0 if low is None else bisect_left(samples, low)
    last = len(samples) if high is None else bisect_left(samples, high)
    inside = [value for value in samples[first:last] if value not in (low, high)]
    return inside[::-1] if descending else inside


def _before(counter: Counter, interval: Interval, entry: Segment, key: str, pivot: float, *, descending: bool) -> int:
    """How many rows of the segment are in the interval before the pivot."""
    bounds = entry.bound(key)
    assert bounds is not None
    nearest, farthest = (bounds[1], bounds[0]) if descending else bounds
    if (farthest > pivot) if descending else (farthest < pivot):
        return interval.counts[entry]
    if (nearest <= pivot) if descending else (nearest >= pivot):
        return 0
    sign, other = (">", "<=") if descending else ("<", ">=")
    condition = f"{key} {sign} ?"
    values: tuple[float, ...] = (pivot,)
    if interval.begin is not None:
        condition, values = f"{condition} AND {key} {other} ?", (*values, interval.begin)
    return counter.count(entry, condition, values, key)
