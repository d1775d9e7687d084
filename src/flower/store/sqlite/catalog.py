"""Segment metadata that is available without opening the segment. Each segment stores its own entry; meta.db stores
copies, so that a reader opens only the segments that a query needs."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

#: Sort keys with bounds per segment, in the order of `SegmentInfo.bounds`.
BOUNDED_KEYS: Final = ("received", "started", "timestamp", "runtime", "time")
#: The largest value of a bound; larger values are clamped.
MAX_BOUND: Final = sys.float_info.max
SortKeyBounds = tuple[float, float] | None
#: Bounds that are not known: `time` in segments of versions up to 1.0, until their columns have been rebuilt.
UNKNOWN_BOUNDS: Final = (-MAX_BOUND, MAX_BOUND)


class SegmentInfo(
    msgspec.Struct,
    frozen=True,
    # the keys that stores of format 1 hold on disk
    rename={"has_non_uuid_ids": "odd_ids", "has_parents": "parented", "moved_from": "emptied"},
):
    """A segment contains the keys first to next-1, except removed ones. `bounds` are outer bounds of BOUNDED_KEYS: they
    only widen; None if no row has a value. `sequence` is the last change of the segment: results that were computed
    under it remain valid while it is unchanged."""

    number: int
    first: int
    next: int
    capacity: int
    rows: int = 0
    sequence: int = 0
    #: some id is not a canonical UUID
    has_non_uuid_ids: bool = False
    #: some task has a parent
    has_parents: bool = False
    bounds: tuple[SortKeyBounds, ...] = (None,) * len(BOUNDED_KEYS)
    #: the segment whose remaining rows were moved into this one; its file may be deleted
    moved_from: int | None = None

    def __post_init__(self) -> None:
        missing = len(BOUNDED_KEYS) - len(self.bounds)
        if missing > 0:
            unknown = (UNKNOWN_BOUNDS if self.rows else None,) * missing
            msgspec.structs.force_setattr(self, "bounds", (*self.bounds, *unknown))

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
        """The segment whose key range includes this key."""
        index = bisect_right(self._firsts, key) - 1
        if index < 0 or key >= self.segments[index].next:
            return None
        return self.segments[index]


encode_segment_info = msgspec.json.Encoder().encode
decode_segment_info = msgspec.json.Decoder(SegmentInfo).decode


def extend_bounds(bounds: SortKeyBounds, low: float, high: float) -> SortKeyBounds:
    return (low, high) if bounds is None else (min(bounds[0], low), max(bounds[1], high))
