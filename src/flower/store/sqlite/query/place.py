"""Where an offset is: the last row that is passed over, found by counting and not by walking there."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from flower.search.tree import EVERYTHING, Node, Not, Term, all_of
from flower.store.cursor import Position
from flower.store.port import Sort
from flower.store.sqlite.catalogue import BOUNDED, Segment
from flower.store.sqlite.codec import unpack_id
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query import words
from flower.store.sqlite.query.exact import count, exact, excluded
from flower.store.sqlite.query.question import Look, Question
from flower.store.sqlite.query.run import valued

#: So few values are gathered and sorted; more are narrowed first.
_FEW: Final = 20_000


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
    parts = [_part(question, entry, sort.key, with_value) for entry in entries if counts[entry]]
    if all(part.order is not None for part in parts):
        low, high, below = _narrow(parts, rank)
    else:
        low, high, below = _window(parts, [counts[part.entry] for part in parts], sort.key, rank)
    return _within(parts, low, high, rank - below, sort)


class _Part:
    """The values of one segment: in a kept order, or of the rows that the query finds."""

    def __init__(self, look: Look, key: str, where: Node) -> None:
        self.look, self.entry = look, look.entry
        self.column = look.column("uuid_high" if key == "uuid" else key)
        self.where = where
        everything = where == EVERYTHING or where == Term(key, "present", "")
        order = look.columns.order(key) if everything else None
        self._sorter = None if order is None else order[: look.count]
        self.order = None if order is None else order[: valued(look, self.column, self._sorter)]
        self._slots: Any = None

    def up_to(self, value: Any, side: Literal["left", "right"]) -> int:
        """How many values are less than this one ("left"), or at most this one ("right")."""
        assert self.order is not None
        return min(int(np.searchsorted(self.column, value, side=side, sorter=self._sorter)), len(self.order))

    def slots(self, low: Any, high: Any) -> Any:
        """Slots with values from low to high, both included."""
        if self.order is not None:
            return self.order[self.up_to(low, "left") : self.up_to(high, "right")].astype(np.int64)
        if self._slots is None:
            self._slots = np.flatnonzero(_exact(self.look, self.where))
        values = self.column[self._slots]
        return self._slots[(values >= low) & (values <= high)]


def _part(question: Question, entry: Segment, key: str, where: Node) -> _Part:
    return _Part(question.look(entry), key, where)


def _narrow(parts: Sequence[_Part], rank: int) -> tuple[Any, Any, int]:
    """Bounds between which the value of that rank is, with few values between them or none but itself, and how many
    values are below. All parts are in a kept order."""
    whole = parts[0].column.dtype.kind == "u"
    ends = [(part.column[part.order[0]], part.column[part.order[-1]]) for part in parts if part.order is not None]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    below, to = 0, sum(len(part.order) for part in parts if part.order is not None)
    while low < high and to - below > _FEW:
        middle = low + (high - low) // np.uint64(2) if whole else low + (high - low) / 2
        if not low <= middle < high:
            break
        at_most = sum(part.up_to(middle, "right") for part in parts)
        if at_most > rank:
            high, to = middle, at_most
        else:
            low = middle + np.uint64(1) if whole else np.nextafter(middle, np.inf)
            below = at_most
    return low, high, below


def _window(parts: Sequence[_Part], counts: Sequence[int], key: str, rank: int) -> tuple[Any, Any, int]:
    """The same for rows that a query finds: only the segments whose bounds let them hold that rank are read."""
    base = 0
    chosen = list(parts)
    if key in BOUNDED:
        bounds = [part.entry.bound(key) or (-np.inf, np.inf) for part in parts]
        value = _least(bounds, counts, rank)
        chosen = [part for part, (_, most) in zip(parts, bounds, strict=True) if most >= value]
        base = sum(here for here, (_, most) in zip(counts, bounds, strict=True) if most < value)
        until = _most(bounds, counts, rank)
        chosen = [part for part in chosen if (part.entry.bound(key) or (-np.inf,))[0] <= until]
    ends = (np.uint64(0), np.iinfo(np.uint64).max) if key == "uuid" else (-np.inf, np.inf)
    gathered = np.concatenate([part.column[part.slots(*ends)] for part in chosen])
    value = np.partition(gathered, rank - base)[rank - base]
    return value, value, base + int(np.count_nonzero(gathered < value))


def _least(bounds: Sequence[tuple[float, float]], counts: Sequence[int], rank: int) -> float:
    """A value that the one of that rank is not below: were all values of each segment its least one."""
    seen = 0
    for (least, _), here in sorted(zip(bounds, counts, strict=True)):
        seen += here
        if seen > rank:
            return least
    return -np.inf


def _most(bounds: Sequence[tuple[float, float]], counts: Sequence[int], rank: int) -> float:
    seen = 0
    for most, here in sorted((most, here) for (_, most), here in zip(bounds, counts, strict=True)):
        seen += here
        if seen > rank:
            return most
    return np.inf


def _within(parts: Sequence[_Part], low: Any, high: Any, rank: int, sort: Sort) -> tuple[Position | None, int]:
    """The row of that rank among those with values from low to high."""
    slots = [part.slots(low, high) for part in parts]
    values = np.concatenate([part.column[here] for part, here in zip(parts, slots, strict=True)])
    ids = np.concatenate([here + part.entry.first for part, here in zip(parts, slots, strict=True)])
    seconds = ids
    if sort.key == "uuid":
        seconds = np.concatenate([p.look.column("uuid_low")[here] for p, here in zip(parts, slots, strict=True)])
    order = np.lexsort((seconds, values))
    found = int(order[rank])
    if sort.key != "uuid":
        return Position((float(values[found]),), int(ids[found])), 0
    packed = int(values[found]).to_bytes(8, "big") + int(seconds[found]).to_bytes(8, "big")
    return Position((unpack_id(packed),), int(ids[found])), 0
