"""What is known of each segment without opening it. Each segment keeps its own entry; meta.db keeps
copies, so that a reader opens only what a query needs."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

#: Sort keys with bounds per segment, in the order of `Segment.bounds`.
BOUNDED_KEYS: Final = ("received", "started", "timestamp", "runtime")
#: The greatest number that a bound can be; what is beyond counts as it.
MAX_BOUND: Final = sys.float_info.max
SortKeyBounds = tuple[float, float] | None


class SegmentInfo(
    msgspec.Struct,
    frozen=True,
    # the keys that stores of format 1 hold on disk
    rename={"has_non_uuid_ids": "odd_ids", "has_parents": "parented", "moved_from": "emptied"},
):
    """A segment holds the keys first … next-1, as far as they still exist. `bounds` are outer bounds of
    the keys of BOUNDED: they widen and never shrink; None if no row has had a value. `sequence` is the last
    change that touched the segment: what was computed under it stays true as long as it stands."""

    number: int
    first: int
    next: int
    capacity: int
    rows: int = 0
    sequence: int = 0
    #: some id is no canonical UUID
    has_non_uuid_ids: bool = False
    #: some task has a parent
    has_parents: bool = False
    bounds: tuple[SortKeyBounds, ...] = (None,) * len(BOUNDED_KEYS)
    #: the segment that this one has taken the rows of that had to stay; it may be deleted
    moved_from: int | None = None

    def bound(self, key: str) -> SortKeyBounds:
        return self.bounds[BOUNDED_KEYS.index(key)]


class Catalog:
    """Segments by number and by key, oldest first."""

    def __init__(self, segments: Iterable[SegmentInfo] = ()) -> None:
        self.segments = tuple(sorted(segments, key=lambda segment: segment.first))
        self._firsts = [segment.first for segment in self.segments]
        self.rows = sum(segment.rows for segment in self.segments)

    def __iter__(self) -> Iterator[SegmentInfo]:
        return iter(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def by_number(self, number: int) -> SegmentInfo | None:
        return next((segment for segment in self.segments if segment.number == number), None)

    def covering(self, key: int) -> SegmentInfo | None:
        """The segment in whose range this key is."""
        place = bisect_right(self._firsts, key) - 1
        if place < 0 or key >= self.segments[place].next:
            return None
        return self.segments[place]


encode_segment_info = msgspec.json.Encoder().encode
decode_segment_info = msgspec.json.Decoder(SegmentInfo).decode


def extend_bounds(bounds: SortKeyBounds, least: float, most: float) -> SortKeyBounds:
    return (least, most) if bounds is None else (min(bounds[0], least), max(bounds[1], most))
