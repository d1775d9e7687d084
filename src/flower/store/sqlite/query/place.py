"""Where an offset is: the last row that is passed over, found by counting and not by walking there."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from flower.search.tree import EVERYTHING, Node, Not, Term, all_of
from flower.store.cursor import Position
from flower.store.port import Sort
from flower.store.sqlite.catalogue import BOUNDED, LARGEST, Segment
from flower.store.sqlite.codec import unpack_id
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query import words
from flower.store.sqlite.query.exact import count, exact, excluded
from flower.store.sqlite.query.question import Look, Question
from flower.store.sqlite.query.run import valued

#: Of each segment, every so many-th value is a sample.
STRIDE: Final = 256


def place(
    question: Question, entries: Sequence[Segment], sorts: Sequence[Sort], offset: int
) -> tuple[Position | None, int]:
    """The place after which the rows from `offset` on begin, and how many are still to be passed over there."""
    if offset <= 0 or len(sorts) > 1 or any(entry.odd_ids for entry in entries if sorts and sorts[0].key == "uuid"):
        return None, max(0, offset)
    entries = [entry for entry in entries if entry.rows and not excluded(entry, question.where)]
    if not sorts:
        return _by_id(question, entries, question.where, (), offset, descending=False)
    if sorts[0].key in words.COLUMNS:
        return _by_word(question, entries, sorts[0], offset)
    return _by_value(question, entries, sorts[0], offset)


def _by_id(
    question: Question,
    entries: Sequence[Segment],
    where: Node,
    values: tuple[Any, ...],
    offset: int,
    *,
    descending: bool,
) -> tuple[Position | None, int]:
    last: Segment | None = None
    for entry in reversed(entries) if descending else entries:
        here = _count(question, entry, where)
        if offset <= here:
            slots = np.flatnonzero(_exact(question.look(entry), where))
            slot = int(slots[-offset] if descending else slots[offset - 1])
            return Position(values, entry.first + slot), 0
        offset -= here
        last = entry
    key = 0 if last is None else last.first - 1 if descending else last.next
    return Position(values, key), offset


def _by_word(question: Question, entries: Sequence[Segment], sort: Sort, offset: int) -> tuple[Position | None, int]:
    position: Position | None = None
    for word, segments in words.places(question, entries, sort):
        for look, numbers, here in segments:
            if offset <= here:
                slots = words.rows(look, sort, numbers)
                slot = int(slots[-offset] if sort.descending else slots[offset - 1])
                return Position((word,), look.entry.first + slot), 0
            offset -= here
            position = Position((word,), look.entry.first - 1 if sort.descending else look.entry.next)
    return position, offset


def _count(question: Question, entry: Segment, where: Node) -> int:
    try:
        return count(question, entry, where)
    except SegmentGone:
        return 0


def _exact(look: Look, where: Node) -> Any:
    try:
        return exact(look, where)
    except SegmentGone:
        return np.zeros(look.count, bool)


def _by_value(question: Question, entries: Sequence[Segment], sort: Sort, offset: int) -> tuple[Position | None, int]:
    present = Term(sort.key, "present", "")
    with_value = question.where if sort.key == "uuid" else all_of([question.where, present])
    counts = {entry: _count(question, entry, with_value) for entry in entries}
    total = sum(counts.values())
    if offset > total:
        without = all_of([question.where, Not(present)])
        return _by_id(question, entries, without, (None,), offset - total, descending=sort.descending)
    rank = total - offset if sort.descending else offset - 1
    chosen, before = _near(counts, sort.key, rank)
    parts = [_Part(question.look(entry), sort.key, with_value) for entry in chosen]
    low, high, below = _narrow(parts, rank - before)
    return _within(parts, low, high, rank - before - below, sort)


def _near(counts: Mapping[Segment, int], key: str, rank: int) -> tuple[list[Segment], int]:
    """The segments in which, by their bounds, the value of that rank may be, and how many values are in those below."""
    there = [entry for entry, here in counts.items() if here]
    if key not in BOUNDED:
        return there, 0
    bounds = {entry: entry.bound(key) or (-LARGEST, LARGEST) for entry in there}
    least = _reached([(bounds[entry][0], counts[entry]) for entry in there], rank)
    most = _reached([(bounds[entry][1], counts[entry]) for entry in there], rank)
    chosen = [entry for entry in there if bounds[entry][1] >= least and bounds[entry][0] <= most]
    return chosen, sum(counts[entry] for entry in there if bounds[entry][1] < least)


def _reached(ends: list[tuple[float, int]], rank: int) -> float:
    """The end at which more than `rank` values are counted, if all values of a segment were at that end of it."""
    seen = 0
    for end, here in sorted(ends):
        seen += here
        if seen > rank:
            return end
    return LARGEST


class _Part:
    """The values of one segment that a query finds, in order."""

    def __init__(self, look: Look, key: str, where: Node) -> None:
        self.look, self.entry = look, look.entry
        self.column = look.column("uuid_high" if key == "uuid" else key)
        everything = where in (EVERYTHING, Term(key, "present", ""))
        kept = look.columns.order(key)
        if kept is None:
            slots = np.flatnonzero(_exact(look, where))
            self._order = slots[np.argsort(self.column[slots], kind="stable")]
        elif everything:
            order = kept[: look.count]
            self._order = order[: valued(look, self.column, order)]
        else:
            order = kept[: look.count]
            self._order = order[_exact(look, where)[order]]

    def samples(self) -> Any:
        return self.column[self._order[::STRIDE]]

    def greatest(self) -> Any:
        return self.column[self._order[-1]]

    def up_to(self, value: Any, side: Literal["left", "right"]) -> int:
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
        return self._order[self.up_to(low, "left") : self.up_to(high, "right")].astype(np.int64)


def _narrow(parts: Sequence[_Part], rank: int) -> tuple[Any, Any, int]:
    """Bounds between which the value of that rank is, and how many values are below them. Of each segment every so
    many-th value in order is a sample: where the samples say that the rank is, it is but for one stride a segment."""
    samples = np.sort(np.concatenate([part.samples() for part in parts]))
    until = (rank + (STRIDE - 1) * len(parts)) // STRIDE + 1
    low = samples[max(0, min(rank // STRIDE, len(samples)) - 1)]
    high = samples[until - 1] if until <= len(samples) else max(part.greatest() for part in parts)
    if rank < STRIDE:
        low = samples[0]
    return low, high, sum(part.up_to(low, "left") for part in parts)


def _within(parts: Sequence[_Part], low: Any, high: Any, rank: int, sort: Sort) -> tuple[Position | None, int]:
    """The row of that rank among those with values from low to high."""
    slots = [part.slots(low, high) for part in parts]
    values = np.concatenate([part.column[here] for part, here in zip(parts, slots, strict=True)])
    ids = np.concatenate([here + part.entry.first for part, here in zip(parts, slots, strict=True)])
    seconds = ids
    if sort.key == "uuid":
        seconds = np.concatenate([p.look.column("uuid_low")[here] for p, here in zip(parts, slots, strict=True)])
    order = np.lexsort((seconds, values))
    found = int(order[min(max(rank, 0), len(order) - 1)])
    if sort.key != "uuid":
        return Position((float(values[found]),), int(ids[found])), 0
    packed = int(values[found]).to_bytes(8, "big") + int(seconds[found]).to_bytes(8, "big")
    return Position((unpack_id(packed),), int(ids[found])), 0
