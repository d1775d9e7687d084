"""Where an offset is: the last row that is passed over, found by counting and not by walking there."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

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

#: Of each segment, every so many-th value is a sample.
SAMPLE_STRIDE: Final = 256


def find_offset(
    question: QueryContext, entries: Sequence[SegmentInfo], sorts: Sequence[Sort], offset: int
) -> tuple[Position | None, int]:
    """The place after which the rows from `offset` on begin, and how many are still to be passed over there."""
    if (
        offset <= 0
        or len(sorts) > 1
        or any(entry.has_non_uuid_ids for entry in entries if sorts and sorts[0].key == "uuid")
    ):
        return None, max(0, offset)
    entries = [entry for entry in entries if entry.rows and not can_skip_segment(entry, question.where)]
    if not sorts:
        return _find_by_id(question, entries, question.where, (), offset, descending=False)
    if sorts[0].key in dictionary_sort.DICTIONARY_COLUMNS:
        return _find_by_word(question, entries, sorts[0], offset)
    return _find_by_value(question, entries, sorts[0], offset)


def _find_by_id(
    question: QueryContext,
    entries: Sequence[SegmentInfo],
    where: Node,
    values: tuple[Any, ...],
    offset: int,
    *,
    descending: bool,
) -> tuple[Position | None, int]:
    last: SegmentInfo | None = None
    for entry in reversed(entries) if descending else entries:
        here = _count_or_zero(question, entry, where)
        if offset <= here:
            slots = np.flatnonzero(_match_or_empty(question.open_view(entry), where))
            slot = int(slots[-offset] if descending else slots[offset - 1])
            return Position(values, entry.first + slot), 0
        offset -= here
        last = entry
    key = 0 if last is None else last.first - 1 if descending else last.next
    return Position(values, key), offset


def _find_by_word(
    question: QueryContext, entries: Sequence[SegmentInfo], sort: Sort, offset: int
) -> tuple[Position | None, int]:
    position: Position | None = None
    for word, segments in dictionary_sort.group_by_word(question, entries, sort):
        for look, numbers, here in segments:
            if offset <= here:
                slots = dictionary_sort.find_word_slots(look, sort, numbers)
                slot = int(slots[-offset] if sort.descending else slots[offset - 1])
                return Position((word,), look.segment.first + slot), 0
            offset -= here
            position = Position((word,), look.segment.first - 1 if sort.descending else look.segment.next)
    return position, offset


def _count_or_zero(question: QueryContext, entry: SegmentInfo, where: Node) -> int:
    try:
        return count_matches(question, entry, where)
    except SegmentUnavailable:
        return 0


def _match_or_empty(look: SegmentView, where: Node) -> Any:
    try:
        return match_rows(look, where)
    except SegmentUnavailable:
        return np.zeros(look.count, bool)


def _find_by_value(
    question: QueryContext, entries: Sequence[SegmentInfo], sort: Sort, offset: int
) -> tuple[Position | None, int]:
    present = Term(sort.key, "present", "")
    with_value = question.where if sort.key == "uuid" else all_of([question.where, present])
    counts = {entry: _count_or_zero(question, entry, with_value) for entry in entries}
    total = sum(counts.values())
    if offset > total:
        without = all_of([question.where, Not(present)])
        return _find_by_id(question, entries, without, (None,), offset - total, descending=sort.descending)
    rank = total - offset if sort.descending else offset - 1
    chosen, before = _candidate_segments(counts, sort.key, rank)
    parts = [_SegmentValues(question.open_view(entry), sort.key, with_value) for entry in chosen]
    low, high, below = _bound_rank(parts, rank - before)
    return _select_rank(parts, low, high, rank - before - below, sort)


def _candidate_segments(counts: Mapping[SegmentInfo, int], key: str, rank: int) -> tuple[list[SegmentInfo], int]:
    """The segments in which, by their bounds, the value of that rank may be, and how many values are in those below."""
    there = [entry for entry, here in counts.items() if here]
    if key not in BOUNDED_KEYS:
        return there, 0
    bounds = {entry: entry.bound(key) or (-MAX_BOUND, MAX_BOUND) for entry in there}
    least = _rank_bound([(bounds[entry][0], counts[entry]) for entry in there], rank)
    most = _rank_bound([(bounds[entry][1], counts[entry]) for entry in there], rank)
    chosen = [entry for entry in there if bounds[entry][1] >= least and bounds[entry][0] <= most]
    return chosen, sum(counts[entry] for entry in there if bounds[entry][1] < least)


def _rank_bound(ends: list[tuple[float, int]], rank: int) -> float:
    """The end at which more than `rank` values are counted, if all values of a segment were at that end of it."""
    seen = 0
    for end, here in sorted(ends):
        seen += here
        if seen > rank:
            return end
    return MAX_BOUND


class _SegmentValues:
    """The values of one segment that a query finds, in order."""

    def __init__(self, look: SegmentView, key: str, where: Node) -> None:
        self.view, self.segment = look, look.segment
        self.column = look.column("uuid_high" if key == "uuid" else key)
        everything = where in (EVERYTHING, Term(key, "present", ""))
        kept = look.columns.order(key)
        if kept is None:
            slots = np.flatnonzero(_match_or_empty(look, where))
            self._order = slots[np.argsort(self.column[slots], kind="stable")]
        elif everything:
            order = kept[: look.count]
            self._order = order[: count_with_value(look, self.column, order)]
        else:
            order = kept[: look.count]
            self._order = order[_match_or_empty(look, where)[order]]

    def samples(self) -> Any:
        return self.column[self._order[::SAMPLE_STRIDE]]

    def max_value(self) -> Any:
        return self.column[self._order[-1]]

    def count_up_to(self, value: Any, side: Literal["left", "right"]) -> int:
        """How many values are less than this one ("left"), or at most this one ("right")."""
        # a search that goes from slot to value: the values in order are never made
        low, high = 0, len(self._order)
        column, order = self.column, self._order
        while low < high:
            middle = (low + high) // 2
            found = column[order[middle]]
            if found < value or (side == "right" and found == value):
                low = middle + 1
            else:
                high = middle
        return low

    def slots(self, low: Any, high: Any) -> Any:
        """Slots with values from low to high, both included."""
        return self._order[self.count_up_to(low, "left") : self.count_up_to(high, "right")].astype(np.int64)


def _bound_rank(parts: Sequence[_SegmentValues], rank: int) -> tuple[Any, Any, int]:
    """Bounds between which the value of that rank is, and how many values are below them. Of each segment every so
    many-th value in order is a sample: where the samples say that the rank is, it is but for one stride a segment."""
    samples = np.sort(np.concatenate([part.samples() for part in parts]))
    until = (rank + (SAMPLE_STRIDE - 1) * len(parts)) // SAMPLE_STRIDE + 1
    low = samples[max(0, min(rank // SAMPLE_STRIDE, len(samples)) - 1)]
    high = samples[until - 1] if until <= len(samples) else max(part.max_value() for part in parts)
    if rank < SAMPLE_STRIDE:
        low = samples[0]
    return low, high, sum(part.count_up_to(low, "left") for part in parts)


def _select_rank(
    parts: Sequence[_SegmentValues], low: Any, high: Any, rank: int, sort: Sort
) -> tuple[Position | None, int]:
    """The row of that rank among those with values from low to high."""
    slots = [part.slots(low, high) for part in parts]
    values = np.concatenate([part.column[here] for part, here in zip(parts, slots, strict=True)])
    ids = np.concatenate([here + part.segment.first for part, here in zip(parts, slots, strict=True)])
    seconds = ids
    if sort.key == "uuid":
        seconds = np.concatenate([p.view.column("uuid_low")[here] for p, here in zip(parts, slots, strict=True)])
    order = np.lexsort((seconds, values))
    found = int(order[min(max(rank, 0), len(order) - 1)])
    if sort.key != "uuid":
        return Position((float(values[found]),), int(ids[found])), 0
    packed = int(values[found]).to_bytes(8, "big") + int(seconds[found]).to_bytes(8, "big")
    return Position((unpack_id(packed),), int(ids[found])), 0
