"""The ids that a query finds in all segments, in the order asked for, from any place on, lazily: a segment is
looked at when its first row may be the next one."""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, Final

from flower.search.tree import And, Node, Term
from flower.store.cursor import Position
from flower.store.protocols import Sort
from flower.store.sqlite.catalog import BOUNDED_KEYS, SegmentInfo
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query import dictionary_sort
from flower.store.sqlite.query.context import QueryContext
from flower.store.sqlite.query.evaluate import can_skip_segment
from flower.store.sqlite.query.segment_scan import SegmentScan

_MIN_CHUNK: Final = 8
_MAX_CHUNK: Final = 2_000


def iter_matching_ids(
    question: QueryContext, entries: Sequence[SegmentInfo], sorts: Sequence[Sort], after: Position | None, want: int
) -> Iterator[int]:
    """`want`: how many are likely to be taken at first."""
    entries = [entry for entry in entries if entry.rows and not can_skip_segment(entry, question.where)]
    if not sorts:
        return _iter_by_id(question, entries, after, want)
    if len(sorts) == 1 and sorts[0].key in dictionary_sort.DICTIONARY_COLUMNS:
        return dictionary_sort.iter_sorted_ids(question, entries, sorts[0], after)
    return _MergeIterator(question, entries, sorts, after, want).iter_ids()


def _iter_by_id(
    question: QueryContext, entries: Sequence[SegmentInfo], after: Position | None, want: int
) -> Iterator[int]:
    for entry in entries:
        if after is not None and entry.next <= after.key:
            continue
        yield from _scan_segment(question, entry, (), after, want, odd_ids=False)


def _scan_segment(
    question: QueryContext,
    entry: SegmentInfo,
    sorts: Sequence[Sort],
    after: Position | None,
    want: int,
    *,
    odd_ids: bool,
) -> Iterator[int]:
    try:
        run = SegmentScan(question.open_view(entry), question.where, sorts, after=after, odd_ids=odd_ids)
        size = max(_MIN_CHUNK, min(want, _MAX_CHUNK))
        while True:
            _, found = run.read_chunk(size)
            yield from found
            if len(found) < size:
                return
            size = min(4 * size, _MAX_CHUNK)
    except SegmentUnavailable:
        return


class _SegmentCursor:
    """A run within the merge."""

    __slots__ = ("_ids", "_index", "_scan", "_size", "_values")

    def __init__(self, run: SegmentScan, size: int) -> None:
        self._scan = run
        self._size = size
        self._values: list[tuple[Any, ...]] = []
        self._ids: list[int] = []
        self._index = 0

    def next_row(self) -> tuple[tuple[Any, ...], int] | None:
        if self._index >= len(self._ids):
            try:
                self._values, self._ids = self._scan.read_chunk(self._size)
            except SegmentUnavailable:
                return None
            self._size = min(4 * self._size, _MAX_CHUNK)
            self._index = 0
            if not self._ids:
                return None
        self._index += 1
        return self._values[self._index - 1], self._ids[self._index - 1]


class _MergeIterator:
    def __init__(
        self,
        question: QueryContext,
        entries: Sequence[SegmentInfo],
        sorts: Sequence[Sort],
        after: Position | None,
        want: int,
    ) -> None:
        self._ctx = question
        self._sorts = sorts
        self._after = after
        self._odd_ids = any(entry.has_non_uuid_ids for entry in entries)
        key = sorts[0].key
        self._bounded = key if key in BOUNDED_KEYS else None
        self._sign = -1 if sorts[0].descending else 1
        # segments follow each other in time: one of them gives the page; by other keys each gives a part of it
        share = want if key in ("received", "started", "timestamp") else 4 * want // max(len(entries), 1)
        self._size = max(_MIN_CHUNK, min(share, _MAX_CHUNK))
        # the best comes last
        self._pending = sorted(entries, key=self._best_value, reverse=True)

    def _best_value(self, entry: SegmentInfo) -> tuple[bool, float]:
        """Where the segment's first row may be, as the runs' values compare; segments without any value last."""
        if self._bounded is None:
            return (False, float("-inf"))
        bounds = entry.bound(self._bounded)
        if bounds is None:
            return (True, 0.0)
        best = -bounds[1] if self._sign < 0 else bounds[0]
        if self._after is not None and self._after.values[0] is not None:
            best = max(best, self._sign * self._after.values[0])
        return (False, best)

    def iter_ids(self) -> Iterator[int]:
        heap: list[tuple[tuple[Any, ...], int, int, _SegmentCursor]] = []
        order = 0

        def push(source: _SegmentCursor) -> None:
            nonlocal order
            item = source.next_row()
            if item is not None:
                order += 1
                heapq.heappush(heap, (item[0], order, item[1], source))

        while self._pending or heap:
            # a segment comes in as soon as its best row may be as good as the best one here
            while self._pending and (
                self._bounded is None or not heap or self._best_value(self._pending[-1]) <= heap[0][0][0]
            ):
                entry = self._pending.pop()
                if self._is_before_start(entry):
                    continue
                try:
                    look = self._ctx.open_view(entry)
                    run = SegmentScan(look, self._ctx.where, self._sorts, after=self._after, odd_ids=self._odd_ids)
                except SegmentUnavailable:
                    continue
                push(_SegmentCursor(run, self._size))
            if heap:
                _, _, found, source = heapq.heappop(heap)
                yield found
                push(source)

    def _is_before_start(self, entry: SegmentInfo) -> bool:
        """Whether all of the segment comes before the place to begin at."""
        if self._after is None or self._bounded is None or self._after.values[0] is None:
            return False
        bounds = entry.bound(self._bounded)
        if bounds is None or self._may_lack_value(entry):
            return False
        worst = bounds[0] if self._sign < 0 else bounds[1]
        return bool(self._sign * worst < self._sign * self._after.values[0])

    def _may_lack_value(self, entry: SegmentInfo) -> bool:
        """Rows without a value come last of all: the segment may still have some."""
        return not _requires_range(self._ctx.where, str(self._bounded))


def _requires_range(node: Node, field: str) -> bool:
    """Whether the query lets only rows with a value of the field through."""
    terms = node.terms if isinstance(node, And) else (node,)
    return any(isinstance(term, Term) and term.field == field and term.operator == "range" for term in terms)
