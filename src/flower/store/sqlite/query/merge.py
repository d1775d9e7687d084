"""Lazy k-way merge of the matching ids of all segments in sort order, from any position on.

A segment is read when its first row may be the next row.
"""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from flower.search.tree import And, Node, Term
from flower.store.cursor import Position
from flower.store.protocols import Sort
from flower.store.sqlite.catalog import BOUNDED_KEYS, UNKNOWN_BOUNDS, SegmentInfo, SortKeyBounds
from flower.store.sqlite.columns.layout import REAL_COLUMNS
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query import dictionary_sort
from flower.store.sqlite.query.column_bounds import find_column_bounds
from flower.store.sqlite.query.context import QueryContext
from flower.store.sqlite.query.evaluate import can_skip_segment
from flower.store.sqlite.query.segment_scan import SegmentScan

#: Keys by which segments follow each other.
_TIME_KEYS: Final = ("received", "started", "timestamp", "sent", "ended", "time")


def iter_matching_ids(
    ctx: QueryContext, segments: Sequence[SegmentInfo], sorts: Sequence[Sort], after: Position | None, count: int
) -> Iterator[int]:
    """Yield the matching ids in sort order. `count`: how many ids the caller is likely to read first."""
    segments = [segment for segment in segments if segment.rows and not can_skip_segment(segment, ctx.where)]
    if not sorts:
        return _iter_by_id(ctx, segments, after, count)
    if len(sorts) == 1 and sorts[0].key in dictionary_sort.DICTIONARY_COLUMNS:
        return dictionary_sort.iter_sorted_ids(ctx, segments, sorts[0], after)
    return _MergeIterator(ctx, segments, sorts, after, count).iter_ids()


def _iter_by_id(
    ctx: QueryContext, segments: Sequence[SegmentInfo], after: Position | None, count: int
) -> Iterator[int]:
    for segment in segments:
        if after is not None and segment.next <= after.key:
            continue
        yield from _scan_segment(ctx, segment, (), after, count, has_non_uuid_ids=False)


def _scan_segment(
    ctx: QueryContext,
    segment: SegmentInfo,
    sorts: Sequence[Sort],
    after: Position | None,
    count: int,
    *,
    has_non_uuid_ids: bool,
) -> Iterator[int]:
    try:
        scan = SegmentScan(ctx.open_view(segment), ctx.where, sorts, after=after, has_non_uuid_ids=has_non_uuid_ids)
        limits = ctx.limits
        size = max(limits.min_chunk, min(count, limits.max_chunk))
        while True:
            _, keys = scan.read_chunk(size)
            yield from keys
            if len(keys) < size:
                return
            size = min(4 * size, limits.max_chunk)
    except SegmentUnavailable:
        return


class _SegmentCursor:
    """Cursor of one segment scan within the merge."""

    __slots__ = ("_ids", "_index", "_max_size", "_scan", "_size", "_values")

    def __init__(self, scan: SegmentScan, size: int, max_size: int) -> None:
        self._scan = scan
        self._size = size
        self._max_size = max_size
        self._values: list[tuple[Any, ...]] = []
        self._ids: list[int] = []
        self._index = 0

    def next_row(self) -> tuple[tuple[Any, ...], int] | None:
        if self._index >= len(self._ids):
            try:
                self._values, self._ids = self._scan.read_chunk(self._size)
            except SegmentUnavailable:
                return None
            self._size = min(4 * self._size, self._max_size)
            self._index = 0
            if not self._ids:
                return None
        self._index += 1
        return self._values[self._index - 1], self._ids[self._index - 1]


class _MergeIterator:
    """Merges the scans of all segments."""

    def __init__(
        self,
        ctx: QueryContext,
        segments: Sequence[SegmentInfo],
        sorts: Sequence[Sort],
        after: Position | None,
        count: int,
    ) -> None:
        self._ctx = ctx
        self._sorts = sorts
        self._after = after
        self._has_non_uuid_ids = any(segment.has_non_uuid_ids for segment in segments)
        key = sorts[0].key
        self._bounded = key if key in REAL_COLUMNS else None
        #: by number of the segment, unless the catalog has them
        self._bounds = {} if key in BOUNDED_KEYS else self._read_bounds(segments, key)
        self._sign = -1 if sorts[0].descending else 1
        # segments follow each other in time, so one of them fills the page; with other keys each contributes a part
        share = count if key in _TIME_KEYS else 4 * count // max(len(segments), 1)
        self._max_size = ctx.limits.max_chunk
        self._size = max(ctx.limits.min_chunk, min(share, self._max_size))
        # in descending order: the next segment is the last element
        self._pending = sorted(segments, key=self._best_value, reverse=True)

    def _read_bounds(self, segments: Sequence[SegmentInfo], key: str) -> dict[int, SortKeyBounds]:
        bounds: dict[int, SortKeyBounds] = {}
        if key in REAL_COLUMNS:
            for segment in segments:
                with suppress(SegmentUnavailable):
                    bounds[segment.number] = find_column_bounds(self._ctx.open_view(segment), key)
        return bounds

    def _bound(self, segment: SegmentInfo, key: str) -> SortKeyBounds:
        return segment.bound(key) if key in BOUNDED_KEYS else self._bounds.get(segment.number, UNKNOWN_BOUNDS)

    def _best_value(self, segment: SegmentInfo) -> tuple[bool, float]:
        """Return the lowest possible sort value of the segment's rows, comparable with the values of a scan.

        Segments without any value sort last.
        """
        if self._bounded is None:
            return (False, float("-inf"))
        bounds = self._bound(segment, self._bounded)
        if bounds is None:
            return (True, 0.0)
        best = -bounds[1] if self._sign < 0 else bounds[0]
        if self._after is not None and self._after.values[0] is not None:
            best = max(best, self._sign * self._after.values[0])
        return (False, best)

    def iter_ids(self) -> Iterator[int]:
        heap: list[tuple[tuple[Any, ...], int, int, _SegmentCursor]] = []
        order = 0

        def push(cursor: _SegmentCursor) -> None:
            nonlocal order
            item = cursor.next_row()
            if item is not None:
                order += 1
                heapq.heappush(heap, (item[0], order, item[1], cursor))

        while self._pending or heap:
            # a segment joins the merge as soon as its best row may precede the best row of the others
            while self._pending and (
                self._bounded is None or not heap or self._best_value(self._pending[-1]) <= heap[0][0][0]
            ):
                segment = self._pending.pop()
                if self._is_before_start(segment):
                    continue
                try:
                    view = self._ctx.open_view(segment)
                    scan = SegmentScan(
                        view, self._ctx.where, self._sorts, after=self._after, has_non_uuid_ids=self._has_non_uuid_ids
                    )
                except SegmentUnavailable:
                    continue
                push(_SegmentCursor(scan, self._size, self._max_size))
            if heap:
                _, _, key, cursor = heapq.heappop(heap)
                yield key
                push(cursor)

    def _is_before_start(self, segment: SegmentInfo) -> bool:
        """Return whether all rows of the segment come before the start position."""
        if self._after is None or self._bounded is None or self._after.values[0] is None:
            return False
        bounds = self._bound(segment, self._bounded)
        if bounds is None or self._may_lack_value():
            return False
        worst = bounds[0] if self._sign < 0 else bounds[1]
        return bool(self._sign * worst < self._sign * self._after.values[0])

    def _may_lack_value(self) -> bool:
        """Return whether the query may match rows without a value, which come last."""
        return not _requires_range(self._ctx.where, str(self._bounded))


def _requires_range(node: Node, field: str) -> bool:
    """Return whether the query matches only rows with a value of the field."""
    terms = node.terms if isinstance(node, And) else (node,)
    return any(isinstance(term, Term) and term.field == field and term.operator == "range" for term in terms)
