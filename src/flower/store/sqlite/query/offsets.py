"""Resolves an offset to the position of the last skipped row by counting, without scanning the rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from flower.search.tree import EVERYTHING, Node, Not, Term, all_of
from flower.store.cursor import Position
from flower.store.protocols import Sort
from flower.store.sqlite.catalog import BOUNDED_KEYS, MAX_BOUND, SegmentInfo
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query import dictionary_sort
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.query.evaluate import can_skip_segment, count_matches, match_rows
from flower.store.sqlite.query.segment_scan import count_with_value
from flower.store.sqlite.row_codec import unpack_id


def find_offset(
    ctx: QueryContext, segments: Sequence[SegmentInfo], sorts: Sequence[Sort], offset: int
) -> tuple[Position | None, int]:
    """Return a position before the rows from `offset` on, and the number of rows still to be skipped from there."""
    has_texts = any(segment.has_non_uuid_ids for segment in segments if sorts and sorts[0].key == "uuid")
    if offset <= 0 or len(sorts) > 1 or has_texts:
        return None, max(0, offset)
    segments = [segment for segment in segments if segment.rows and not can_skip_segment(segment, ctx.where)]
    if not sorts:
        return _find_by_id(ctx, segments, ctx.where, (), offset, descending=False)
    if sorts[0].key in dictionary_sort.DICTIONARY_COLUMNS:
        return _find_by_word(ctx, segments, sorts[0], offset)
    return _find_by_value(ctx, segments, sorts[0], offset)


def _find_by_id(
    ctx: QueryContext,
    segments: Sequence[SegmentInfo],
    where: Node,
    values: tuple[Any, ...],
    offset: int,
    *,
    descending: bool,
) -> tuple[Position | None, int]:
    previous: SegmentInfo | None = None
    for segment in reversed(segments) if descending else segments:
        matches = _count_or_zero(ctx, segment, where)
        if offset <= matches:
            slots = np.flatnonzero(_match_or_empty(ctx.open_view(segment), where))
            slot = int(slots[-offset] if descending else slots[offset - 1])
            return Position(values, segment.first + slot), 0
        offset -= matches
        previous = segment
    key = 0 if previous is None else previous.first - 1 if descending else previous.next
    return Position(values, key), offset


def _find_by_word(
    ctx: QueryContext, segments: Sequence[SegmentInfo], sort: Sort, offset: int
) -> tuple[Position | None, int]:
    position: Position | None = None
    for word, word_segments in dictionary_sort.iter_words(ctx, segments, sort):
        for view, word_ids, matches in word_segments:
            if offset <= matches:
                slots = dictionary_sort.find_word_slots(view, sort, word_ids)
                slot = int(slots[-offset] if sort.descending else slots[offset - 1])
                return Position((word,), view.segment.first + slot), 0
            offset -= matches
            position = Position((word,), view.segment.first - 1 if sort.descending else view.segment.next)
    return position, offset


def _count_or_zero(ctx: QueryContext, segment: SegmentInfo, where: Node) -> int:
    try:
        return count_matches(ctx, segment, where)
    except SegmentUnavailable:
        return 0


def _match_or_empty(view: SegmentView, where: Node) -> Any:
    try:
        return match_rows(view, where)
    except SegmentUnavailable:
        return np.zeros(view.count, bool)


def _find_by_value(
    ctx: QueryContext, segments: Sequence[SegmentInfo], sort: Sort, offset: int
) -> tuple[Position | None, int]:
    present = Term(sort.key, "present", "")
    with_value = ctx.where if sort.key == "uuid" else all_of([ctx.where, present])
    counts = {segment: _count_or_zero(ctx, segment, with_value) for segment in segments}
    total = sum(counts.values())
    if offset > total:
        without = all_of([ctx.where, Not(present)])
        return _find_by_id(ctx, segments, without, (None,), offset - total, descending=sort.descending)
    rank = total - offset if sort.descending else offset - 1
    chosen, before = _candidate_segments(counts, sort.key, rank)
    parts = [_SegmentValues(ctx.open_view(segment), sort.key, with_value) for segment in chosen]
    low, high, below = _bound_rank(parts, rank - before)
    return _select_rank(parts, low, high, rank - before - below, sort)


def _candidate_segments(counts: Mapping[SegmentInfo, int], key: str, rank: int) -> tuple[list[SegmentInfo], int]:
    """Return the segments that may contain the value of that rank, and the number of values in the segments below."""
    non_empty = [segment for segment, matches in counts.items() if matches]
    if key not in BOUNDED_KEYS:
        return non_empty, 0
    bounds = {segment: segment.bound(key) or (-MAX_BOUND, MAX_BOUND) for segment in non_empty}
    low = _rank_bound([(bounds[segment][0], counts[segment]) for segment in non_empty], rank)
    high = _rank_bound([(bounds[segment][1], counts[segment]) for segment in non_empty], rank)
    chosen = [segment for segment in non_empty if bounds[segment][1] >= low and bounds[segment][0] <= high]
    return chosen, sum(counts[segment] for segment in non_empty if bounds[segment][1] < low)


def _rank_bound(ends: list[tuple[float, int]], rank: int) -> float:
    """Return the value of that rank, if all values of a segment were at this end of its range."""
    total = 0
    for end, matches in sorted(ends):
        total += matches
        if total > rank:
            return end
    return MAX_BOUND


class _SegmentValues:
    """The matching values of one segment, in order."""

    def __init__(self, view: SegmentView, key: str, where: Node) -> None:
        self.view, self.segment = view, view.segment
        self._stride = view.ctx.limits.sample_stride
        self.column = view.column("uuid_high" if key == "uuid" else key)
        matches_all = where in (EVERYTHING, Term(key, "present", ""))
        stored_order = view.columns.order(key)
        if stored_order is None:
            slots = np.flatnonzero(_match_or_empty(view, where))
            self._order = slots[np.argsort(self.column[slots], kind="stable")]
        elif matches_all:
            order = stored_order[: view.count]
            self._order = order[: count_with_value(view, self.column, order)]
        else:
            order = stored_order[: view.count]
            self._order = order[_match_or_empty(view, where)[order]]

    def samples(self) -> Any:
        return self.column[self._order[:: self._stride]]

    def max_value(self) -> Any:
        return self.column[self._order[-1]]

    def count_up_to(self, value: Any, side: Literal["left", "right"]) -> int:
        """Return the number of values that are less than this one ("left"), or at most this one ("right")."""
        # a binary search through the slots: the array of sorted values is never built
        low, high = 0, len(self._order)
        column, order = self.column, self._order
        while low < high:
            middle = (low + high) // 2
            candidate = column[order[middle]]
            if candidate < value or (side == "right" and candidate == value):
                low = middle + 1
            else:
                high = middle
        return low

    def slots(self, low: Any, high: Any) -> Any:
        """Return the slots with values from low to high, both inclusive."""
        return self._order[self.count_up_to(low, "left") : self.count_up_to(high, "right")].astype(np.int64)


def _bound_rank(parts: Sequence[_SegmentValues], rank: int) -> tuple[Any, Any, int]:
    """Return bounds of the value of that rank, and the number of values below them.

    One in `sample_stride` values of each segment, in order, is a sample; the rank estimated from the samples is exact
    to within one stride for each segment.
    """
    stride = parts[0].view.ctx.limits.sample_stride
    samples = np.sort(np.concatenate([part.samples() for part in parts]))
    high_index = (rank + (stride - 1) * len(parts)) // stride + 1
    low = samples[max(0, min(rank // stride, len(samples)) - 1)]
    high = samples[high_index - 1] if high_index <= len(samples) else max(part.max_value() for part in parts)
    if rank < stride:
        low = samples[0]
    return low, high, sum(part.count_up_to(low, "left") for part in parts)


def _select_rank(
    parts: Sequence[_SegmentValues], low: Any, high: Any, rank: int, sort: Sort
) -> tuple[Position | None, int]:
    """Return the position of the row of that rank among the rows with values from low to high."""
    slots = [part.slots(low, high) for part in parts]
    values = np.concatenate([part.column[at] for part, at in zip(parts, slots, strict=True)])
    ids = np.concatenate([at + part.segment.first for part, at in zip(parts, slots, strict=True)])
    tie_breakers = ids
    if sort.key == "uuid":
        tie_breakers = np.concatenate([p.view.column("uuid_low")[at] for p, at in zip(parts, slots, strict=True)])
    order = np.lexsort((tie_breakers, values))
    row = int(order[min(max(rank, 0), len(order) - 1)])
    if sort.key != "uuid":
        return Position((float(values[row]),), int(ids[row])), 0
    packed = int(values[row]).to_bytes(8, "big") + int(tie_breakers[row]).to_bytes(8, "big")
    return Position((unpack_id(packed),), int(ids[row])), 0
