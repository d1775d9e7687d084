"""What is known of each segment without opening it. Each segment keeps its own entry; meta.db keeps
copies, so that a reader opens only what a query needs."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

#: Sort keys with bounds per segment, in the order of `Segment.bounds`.
BOUNDED: Final = ("received", "started", "timestamp", "runtime")
#: The greatest number that a bound can be; what is beyond counts as it.
LARGEST: Final = sys.float_info.max
Bounds = tuple[float, float] | None


class Segment(msgspec.Struct, frozen=True):
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
    odd_ids: bool = False
    #: some task has a parent
    parented: bool = False
    bounds: tuple[Bounds, ...] = (None,) * len(BOUNDED)
    #: the segment that this one has taken the rows of that had to stay; it may be deleted
    emptied: int | None = None

    def bound(self, key: str) -> Bounds:
        return self.bounds[BOUNDED.index(key)]


class Catalogue:
    """Segments by number and by key, oldest first."""

    def __init__(self, segments: Iterable[Segment] = ()) -> None:
        self.segments = tuple(sorted(segments, key=lambda segment: segment.first))
        self._firsts = [segment.first for segment in self.segments]
        self.rows = sum(segment.rows for segment in self.segments)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def numbered(self, number: int) -> Segment | None:
        return next((segment for segment in self.segments if segment.number == number), None)

    def holding(self, key: int) -> Segment | None:
        """The segment in whose range this key is."""
        place = bisect_right(self._firsts, key) - 1
        if place < 0 or key >= self.segments[place].next:
            return None
        return self.segments[place]


to_json = msgspec.json.Encoder().encode
from_json = msgspec.json.Decoder(Segment).decode


def widen(bounds: Bounds, least: float, most: float) -> Bounds:
    return (least, most) if bounds is None else (min(bounds[0], least), max(bounds[1], most))
