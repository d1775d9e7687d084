"""The sort order of Flower's API: tasks without a value come first in ascending and last in descending order.

The store sorts them last in both."""

from collections.abc import Iterator
from dataclasses import replace
from heapq import nsmallest
from itertools import islice
from typing import Any

from flower.records import SUCCESS, Task
from flower.search.tree import Node, Not, Term, all_of
from flower.store.protocols import SORT_KEYS, Query, Reader, Sort
from flower.store.sorting import validate_sort

#: Maximum number of tasks that are sorted by a field without an index. Flower has a similar limit: `max_tasks`.
MAX_IN_MEMORY_SORT = 100_000

_ALWAYS_PRESENT = frozenset({"state", "uuid", "timestamp"})
_NEWEST_FIRST = (Sort("timestamp", descending=True),)


def iter_flower_order(store: Reader, query: Query, *, limit: int | None, offset: int = 0) -> Iterator[Task]:
    """A lazy slice of the tasks. Raises InvalidRequest for a sort key that the store does not have."""
    validate_sort(query.sort)
    first = query.sort[0] if query.sort else None
    if first is None or first.key in _ALWAYS_PRESENT or (first.descending and first.key != "runtime"):
        return store.tasks(query, limit=limit, offset=offset)
    present: Node = Term(first.key, "present", "")
    if first.key == "runtime":
        # Flower's tasks have only the run time that Celery sends: that of a success
        present = all_of([present, Term("state", "is", SUCCESS)])
    with_value = replace(query, where=all_of([query.where, present]))
    missing = replace(query, where=all_of([query.where, Not(present)]))
    parts = (with_value, missing) if first.descending else (missing, with_value)
    return _iter_parts(store, parts, limit, offset)


def iter_sorted_by_field(store: Reader, where: Node, sort: Sort, *, limit: int, offset: int = 0) -> Iterator[Task]:
    """A slice of the tasks, sorted by any field: numbers by value, texts ignoring case. The newest
    `MAX_IN_MEMORY_SORT` tasks are sorted here if the store has no such sort key, with memory for the slice only."""
    if sort.key in SORT_KEYS:
        return iter_flower_order(store, Query(where, (sort,)), limit=limit, offset=offset)
    newest = store.tasks(Query(where, _NEWEST_FIRST), limit=MAX_IN_MEMORY_SORT)
    sort_key = (
        (lambda task: _Descending(_sort_key(task, sort.key)))
        if sort.descending
        else (lambda task: _sort_key(task, sort.key))
    )
    return islice(nsmallest(offset + limit, newest, key=sort_key), offset, None)


def _iter_parts(store: Reader, parts: tuple[Query, Query], limit: int | None, offset: int) -> Iterator[Task]:
    """A slice of two results, one after the other."""
    first, second = parts
    count = 0
    for task in store.tasks(first, limit=limit, offset=offset):
        count += 1
        yield task
    if limit is not None and count >= limit:
        return
    skipped = max(0, offset - store.count(first.where)) if offset and not count else 0
    rest = None if limit is None else limit - count
    yield from store.tasks(second, limit=rest, offset=skipped)


def _sort_key(task: Task, field: str) -> tuple[int, float, str]:
    value: Any = getattr(task, field)
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, int | float):
        return (1, float(value), "")
    return (2, 0.0, str(value).casefold())


class _Descending:
    """Inverts the order of a sort key; equal keys keep their order."""

    __slots__ = ("_key",)

    def __init__(self, key: tuple[int, float, str]) -> None:
        self._key = key

    def __lt__(self, other: "_Descending") -> bool:
        return other._key < self._key
