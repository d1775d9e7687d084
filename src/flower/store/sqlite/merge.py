"""The ids that a query finds in all segments, in the order asked for, lazily: a segment is opened when its
first row may be the next one."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from flower.store.port import Sort
from flower.store.sqlite.catalogue import BOUNDED, Segment
from flower.store.sqlite.order import Search, by_many, by_number, by_uuid, ids_where
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.rank import Counter, locate
from flower.store.sqlite.schema import KINDS
from flower.store.sqlite.where import Clause

_COLUMN = {"name": "name", "state": "state", "worker": "hostname"}


def sorted_ids(counter: Counter, entries: Sequence[Segment], sorts: Sequence[Sort], offset: int) -> Iterator[int]:
    """From `offset` on."""
    search = counter.search
    if len(sorts) == 1 and sorts[0].key in BOUNDED:
        return _by_number(counter, entries, sorts[0], offset)
    if len(sorts) == 1 and sorts[0].key in _COLUMN:
        return _by_word(counter, entries, sorts[0], offset)
    if len(sorts) == 1:
        return islice(_by_uuid(search, entries, descending=sorts[0].descending), offset, None)
    if not sorts:
        return _by_id(counter, entries, "TRUE", offset, descending=False)
    return islice(_by_many(search, entries, sorts), offset, None)


def _by_id(
    counter: Counter, entries: Sequence[Segment], condition: str, offset: int, *, descending: bool
) -> Iterator[int]:
    """Those under a further condition, in the order in which they were first written."""
    for entry in reversed(entries) if descending else entries:
        if offset:
            count = counter.count(entry, condition)
            if count <= offset:
                offset -= count
                continue
        yield from ids_where(counter.search, entry, condition, (), descending=descending, skip=offset)
        offset = 0


def _by_number(counter: Counter, entries: Sequence[Segment], sort: Sort, offset: int) -> Iterator[int]:
    key, descending = sort.key, sort.descending
    valued = [entry for entry in entries if entry.bound(key) is not None]
    start: float | None = None
    total = sum(counter.with_value(entry, key) for entry in valued) if offset else 1
    if offset < total:
        if offset:
            start, offset = locate(counter, valued, key, descending=descending, offset=offset)
        walk = _merged(counter.search, valued, key, start, descending=descending)
        yield from islice(walk, offset, None)
        offset = 0
    else:
        offset -= total
    for entry in reversed(entries) if descending else entries:
        if offset:
            without = counter.without_value(entry, key)
            if without <= offset:
                offset -= without
                continue
        yield from _valueless(counter.search, entry, key, descending=descending, skip=offset)
        offset = 0


def _valueless(search: Search, entry: Segment, key: str, *, descending: bool, skip: int) -> Iterator[int]:
    return ids_where(search, entry, f"{key} IS NULL", (), descending=descending, skip=skip)


def _merged(
    search: Search, entries: Sequence[Segment], key: str, start: float | None, *, descending: bool
) -> Iterator[int]:
    """Rows with a value of the key, from `start` on."""
    waiting: list[tuple[float, Segment]] = []
    for entry in entries:
        bounds = entry.bound(key)
        assert bounds is not None
        if start is None or (bounds[0] <= start if descending else bounds[1] >= start):
            waiting.append((-bounds[1] if descending else bounds[0], entry))
    waiting.sort(key=lambda item: (item[0], item[1].first), reverse=True)
    sign = -1 if descending else 1
    heap: list[tuple[float, int, int, Iterator[tuple[float, int]]]] = []

    def push(walk: Iterator[tuple[float, int]]) -> None:
        item = next(walk, None)
        if item is not None:
            heapq.heappush(heap, (sign * item[0], sign * item[1], item[1], walk))

    while waiting or heap:
        # a segment comes in as soon as its best value may be as good as the best one here
        while waiting and (not heap or waiting[-1][0] <= heap[0][0]):
            push(by_number(search, waiting.pop()[1], key, descending=descending, start=start))
        if not heap:
            continue
        _, _, found, walk = heapq.heappop(heap)
        yield found
        push(walk)


def _by_word(counter: Counter, entries: Sequence[Segment], sort: Sort, offset: int) -> Iterator[int]:
    """One word after the other; all tasks that have it, in the order in which they were first written."""
    column = _COLUMN[sort.key]
    places: dict[str, list[tuple[Segment, list[int]]]] = {}
    for entry in entries:
        for folded, numbers in _words(counter.search, entry, KINDS[column]).items():
            places.setdefault(folded, []).append((entry, numbers))
    for folded in sorted(places, reverse=sort.descending):
        for entry, numbers in reversed(places[folded]) if sort.descending else places[folded]:
            clause = Clause(f"{column} IN ({', '.join(map(str, numbers))})", facet=(column, tuple(numbers)))
            condition = clause.sql
            if offset:
                count = counter.count_with(entry, clause)
                if count <= offset:
                    offset -= count
                    continue
            yield from ids_where(counter.search, entry, condition, (), descending=sort.descending, skip=offset)
            offset = 0
    yield from _by_id(counter, entries, f"{column} IS NULL", offset, descending=sort.descending)


def _words(search: Search, entry: Segment, kind: str) -> dict[str, list[int]]:
    folded: dict[str, list[int]] = {}
    try:
        with search.pool.borrow(entry, search.deadline) as segment:
            for number, word in segment.dictionary.words(kind):
                folded.setdefault(word.casefold(), []).append(number)
    except SegmentGone:
        pass
    return folded


def _by_uuid(search: Search, entries: Sequence[Segment], *, descending: bool) -> Iterator[int]:
    walks = [by_uuid(search, entry, descending=descending) for entry in entries]
    for _, found in heapq.merge(*walks, reverse=descending):
        yield found


def _by_many(search: Search, entries: Sequence[Segment], sorts: Sequence[Sort]) -> Iterator[int]:
    after = _comparison(sorts)
    walks = [by_many(search, entry, sorts) for entry in entries]
    for _, found in heapq.merge(*walks, key=after):
        yield found


def _comparison(sorts: Sequence[Sort]) -> Callable[[tuple[tuple[Any, ...], int]], tuple[Any, ...]]:
    """A key by which (values, id) compare as the sorts say."""
    backwards = [sort.descending for sort in sorts]

    def key(item: tuple[tuple[Any, ...], int]) -> tuple[Any, ...]:
        values, found = item
        parts = tuple(
            (value is None, _Backwards(value) if back and value is not None else value)
            for value, back in zip(values, backwards, strict=True)
        )
        return (*parts, -found if backwards[0] else found)

    return key


class _Backwards:
    """Any value, compared the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Backwards") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash(self.value)
