"""The ids of one segment that a query finds, in the order asked for: in pages, each one statement that
goes on where the last one ended, so that no statement stays open while somebody reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flower.search.tree import Node
from flower.store.port import Sort
from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.codec import unpack_id
from flower.store.sqlite.connection import Row
from flower.store.sqlite.pool import Deadline, OpenSegment, Pool, SegmentGone
from flower.store.sqlite.schema import SUCCESS_ID
from flower.store.sqlite.where import Clause, Where, compile_where

#: What an index finds is fetched and sorted if it is no more than this; else the order is walked and
#: what does not match is passed over. SQLite's planner guesses wrong here; this never does.
_SELECTIVE: Final = 5_000
#: So few rows are read without looking at further indexes.
_FEW: Final = 100
#: As many values of a facet are walked side by side.
_FACETS: Final = 24
_FIRST_PAGE: Final = 64
LARGEST_PAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Search:
    """A query being answered: which tasks, who asks, and how many are wanted at first."""

    where: Node
    pool: Pool
    deadline: Deadline
    first: int = _FIRST_PAGE

    def pages(self) -> Iterator[int]:
        size = max(1, min(self.first, LARGEST_PAGE))
        while True:
            yield size
            size = min(size * 4, LARGEST_PAGE)


@dataclass(frozen=True, slots=True)
class Plan:
    """FROM and WHERE for one segment."""

    source: str
    sql: str
    values: tuple[Any, ...]


def compiled(search: Search, entry: Segment, segment: OpenSegment) -> Where:
    return compile_where(search.where, segment.dictionary, odd_ids=entry.odd_ids)


def selective_plan(segment: OpenSegment, where: Where) -> Plan | None:
    """By the indexes that find little, if any does. Where each finds some, only the rows that all of them
    find are read."""
    found: list[tuple[int, Clause]] = []
    for clause in where.clauses:
        if clause.seed is not None:
            sql = f"SELECT count(*) FROM ({clause.seed} LIMIT {_SELECTIVE + 1})"
            count = segment.rows(sql, clause.seed_values)[0][0]
            if count <= _SELECTIVE:
                found.append((count, clause))
    if not found:
        return None
    found.sort(key=lambda item: item[0])
    used = [clause for _, clause in (found[:1] if found[0][0] <= _FEW else found)]
    ids = " AND ".join(f"id IN ({clause.seed})" for clause in used)
    values = tuple(value for clause in used for value in clause.seed_values)
    return Plan("task NOT INDEXED", f"{ids} AND {where.sql}", (*values, *where.values))


def _walk(
    search: Search, entry: Segment, page: Callable[[OpenSegment, Where, Row | None, int], list[Row]]
) -> Iterator[Row]:
    """Rows page by page, so that no statement stays open while somebody reads. `page` is given the last row of the
    page before and how many rows are wanted; fewer end the walk."""
    last: Row | None = None
    for size in search.pages():
        try:
            with search.pool.borrow(entry, search.deadline) as segment:
                where = compiled(search, entry, segment)
                rows = [] if where.never else page(segment, where, last, size)
        except SegmentGone:
            return
        yield from rows
        if len(rows) < size:
            return
        last = rows[-1]


def ids_where(
    search: Search, entry: Segment, condition: str, values: Sequence[Any], *, descending: bool, skip: int = 0
) -> Iterator[int]:
    """Ids in their own order. `condition` narrows the search."""
    sign, order = ("<", "DESC") if descending else (">", "ASC")
    first = entry.next if descending else -1

    def page(segment: OpenSegment, where: Where, last: Row | None, size: int) -> list[Row]:
        plan = selective_plan(segment, where) or Plan("task", where.sql, where.values)
        after, passed = (first, skip) if last is None else (last[0], 0)
        return segment.rows(
            f"SELECT id FROM {plan.source} WHERE {plan.sql} AND {condition} AND id {sign} ?"
            f" ORDER BY id {order} LIMIT ? OFFSET ?",
            (*plan.values, *values, after, size, passed),
        )

    for (found,) in _walk(search, entry, page):
        yield found


def by_number(
    search: Search, entry: Segment, key: str, *, descending: bool, start: float | None
) -> Iterator[tuple[float, int]]:
    """(value, id) in the order of a numeric key that has an index, from `start` on; rows without a value are
    left out."""
    sign, order = ("<", "DESC") if descending else (">", "ASC")

    def page(segment: OpenSegment, where: Where, last: Row | None, size: int) -> list[Row]:
        after = ""
        values: tuple[Any, ...] = ()
        if last is not None:
            after = f" AND {key} {sign}= ? AND ({key} {sign} ? OR id {sign} ?)"
            values = (last[0], *last)
        elif start is not None:
            after, values = f" AND {key} {sign}= ?", (start,)
        return _number_page(segment, where, key, after=after, values=values, order=order, size=size)

    yield from _walk(search, entry, page)


def _number_page(
    segment: OpenSegment, where: Where, key: str, *, after: str, values: tuple[Any, ...], order: str, size: int
) -> list[Row]:
    tail = f"AND {key} IS NOT NULL{after} ORDER BY {key} {order}, id {order} LIMIT {size}"
    facet = facet_of(where) if key == "received" else None
    # one facet alone is best walked, however little it finds
    plan = None if facet is not None and len(where.clauses) == 1 else selective_plan(segment, where)
    if plan is not None:
        return segment.rows(f"SELECT {key}, id FROM {plan.source} WHERE {plan.sql} {tail}", (*plan.values, *values))
    if facet is None:
        return segment.rows(
            f"SELECT {key}, id FROM task INDEXED BY task_{key} WHERE {where.sql} {tail}", (*where.values, *values)
        )
    column, numbers = facet
    partial = f" AND state <> {SUCCESS_ID}" if column == "state" else ""
    rows: list[Row] = []
    for number in numbers:
        rows += segment.rows(
            f"SELECT {key}, id FROM task INDEXED BY task_{column}"
            f" WHERE {column} = {number}{partial} AND {where.sql} {tail}",
            (*where.values, *values),
        )
    if len(numbers) > 1:
        rows.sort(reverse=order == "DESC")
    return rows[:size]


def facet_of(where: Where) -> tuple[str, tuple[int, ...]] | None:
    """The facet with the fewest values, if they are few enough to walk side by side."""
    facets = [clause.facet for clause in where.clauses if clause.facet is not None and clause.seed is not None]
    facets = [facet for facet in facets if len(facet[1]) <= _FACETS]
    return min(facets, key=lambda facet: len(facet[1]), default=None)


def by_uuid(search: Search, entry: Segment, *, descending: bool) -> Iterator[tuple[str, int]]:
    """(uuid as it is compared, id). Canonical ids are in their index in the order of their text."""
    if entry.odd_ids:
        for values, found in by_many(search, entry, (Sort("uuid", descending),)):
            yield values[0], found
        return
    sign, order = ("<", "DESC") if descending else (">", "ASC")

    def page(segment: OpenSegment, where: Where, last: Row | None, size: int) -> list[Row]:
        plan = selective_plan(segment, where) or Plan("task INDEXED BY task_uuid", where.sql, where.values)
        after, values = ("TRUE", ()) if last is None else (f"uuid {sign} ?", (last[0],))
        return segment.rows(
            f"SELECT uuid, id FROM {plan.source} WHERE {plan.sql} AND {after} ORDER BY uuid {order} LIMIT {size}",
            (*plan.values, *values),
        )

    for packed, found in _walk(search, entry, page):
        yield unpack_id(packed), found


def sort_expression(sort: Sort) -> str:
    """What SQL orders by for any key; NULL if the task has no value."""
    match sort.key:
        case "name" | "state" | "worker":
            return f"word({'hostname' if sort.key == 'worker' else sort.key})"
        case "uuid":
            return "casefold(uuid)"
        case number:
            return number


def by_many(search: Search, entry: Segment, sorts: Sequence[Sort]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """(values, id) in the order of several keys. Each page sorts the segment anew: rarely asked for, and
    memory stays small."""
    expressions = [sort_expression(sort) for sort in sorts]
    columns = ", ".join(f"{expression} AS k{place}" for place, expression in enumerate(expressions))
    order = ", ".join(
        f"k{place} IS NULL, k{place} {'DESC' if sort.descending else 'ASC'}" for place, sort in enumerate(sorts)
    )
    direction = "DESC" if sorts[0].descending else "ASC"

    def page(segment: OpenSegment, where: Where, last: Row | None, size: int) -> list[Row]:
        plan = selective_plan(segment, where) or Plan("task", where.sql, where.values)
        after, values = ("TRUE", ()) if last is None else _after(sorts, last)
        return segment.rows(
            f"SELECT * FROM (SELECT {columns}, id FROM {plan.source} WHERE {plan.sql}) WHERE {after}"
            f" ORDER BY {order}, id {direction} LIMIT {size}",
            (*plan.values, *values),
        )

    for row in _walk(search, entry, page):
        yield row[:-1], row[-1]


def _after(sorts: Sequence[Sort], last: Row) -> tuple[str, tuple[Any, ...]]:
    """Everything that comes after this row: later in the first key, or the same and later in the second, …"""
    same = "TRUE"
    same_values: tuple[Any, ...] = ()
    parts: list[str] = []
    values: tuple[Any, ...] = ()
    for place, sort in enumerate(sorts):
        value = last[place]
        if value is not None:
            parts.append(f"({same} AND (k{place} {'<' if sort.descending else '>'} ? OR k{place} IS NULL))")
            values += (*same_values, value)
        same += f" AND k{place} IS ?"
        same_values += (value,)
    parts.append(f"({same} AND id {'<' if sorts[0].descending else '>'} ?)")
    return " OR ".join(parts), (*values, *same_values, last[-1])
