"""Finds rows by root and by parent. The columns contain hashes of these ids; the rows decide."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from flower.store.sqlite.bloom_filter import BloomFilter
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.column_file import Columns
from flower.store.sqlite.columns.layout import hash_id
from flower.store.sqlite.connection import Row
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.row_codec import pack_id, unpack_id

#: Up to this many hashes are compared one by one; more are first looked up in a table of their low bits.
_MAX_COMPARED_VALUES: Final = 4
_TABLE_MASK: Final = 0xFFFF
_ROWS_PER_STATEMENT: Final = 500
#: bits of the Bloom filter of one column of a segment: 64 KB
_BLOOM_BITS: Final = 1 << 19


class RelationBloom:
    """For each full segment, Bloom filters of the parents and roots that its rows reference.

    A lookup skips most segments without reading their columns.
    """

    def __init__(self) -> None:
        #: by segment and column: change sequence and filter
        self._filters: dict[tuple[int, str], tuple[int, BloomFilter]] = {}

    def might_reference(self, segment: SegmentInfo, column: str, hashes: Sequence[int]) -> bool:
        sequence, bloom_filter = self._filters.get((segment.number, column), (-1, None))
        if bloom_filter is None or sequence < segment.sequence:
            return True
        return any(map(bloom_filter.might_contain, hashes))

    def add(self, view: SegmentView, column: str) -> None:
        if view.columns.order(column) is None or (view.segment.number, column) in self._filters:
            return
        bloom_filter = BloomFilter(_BLOOM_BITS, probes=1)
        bloom_filter.add(view.column(column))
        self._filters[(view.segment.number, column)] = (view.columns.sequence, bloom_filter)

    def retain(self, numbers: set[int]) -> None:
        for key in [key for key in self._filters if key[0] not in numbers]:
            del self._filters[key]


class RelationIndex:
    """Finds the rows that reference a root or a parent."""

    def __init__(self, ctx: QueryContext, segments: Sequence[SegmentInfo], bloom: RelationBloom) -> None:
        self._ctx = ctx
        self._segments = segments
        self._bloom = bloom

    def find_by_root(self, uuid: str) -> list[int]:
        """Return the keys of the rows with this root_id, without the root itself."""
        keys: list[int] = []
        packed = pack_id(uuid)
        for segment, ids in self._iter_referencing("root", [hash_id(packed)]):
            sql = f"SELECT id FROM task WHERE id IN ({ids}) AND root_id = ?"
            with suppress(SegmentUnavailable):
                keys += [row[0] for row in self._read_rows(segment, sql, (packed,))]
        return keys

    def find_children(self, uuids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the children of each of the ids, in the order in which they were first written."""
        wanted = {pack_id(uuid): uuid for uuid in uuids}
        children_by_parent: dict[str, list[str]] = {}
        for segment, ids in self._iter_referencing("parent", sorted({hash_id(packed) for packed in wanted})):
            with suppress(SegmentUnavailable):
                sql = f"SELECT parent_id, uuid FROM task WHERE id IN ({ids}) ORDER BY id"
                for parent, child in self._read_rows(segment, sql):
                    if parent in wanted:
                        children_by_parent.setdefault(wanted[parent], []).append(unpack_id(child))
        return children_by_parent

    def iter_members(
        self, roots: Collection[bytes | str]
    ) -> Iterator[tuple[SegmentView, list[tuple[int, bytes | str]]]]:
        """Yield (key, root) of the rows that reference one of these packed ids as their root, by segment, in parts."""
        hashes = sorted({hash_id(packed) for packed in roots})
        for segment, ids in self._iter_referencing("root", hashes):
            with suppress(SegmentUnavailable):
                view = self._ctx.open_view(segment)
                rows = view.read_rows(f"SELECT id, root_id FROM task WHERE id IN ({ids})")
                yield view, [(key, root) for key, root in rows if root in roots]

    def _iter_referencing(self, column: str, hashes: Sequence[int]) -> Iterator[tuple[SegmentInfo, str]]:
        """Yield segments with a comma-separated SQL list of the ids of rows that may match."""
        for segment in self._segments:
            if column == "parent" and not segment.has_parents:
                continue
            if not self._bloom.might_reference(segment, column, hashes):
                continue
            try:
                slots = self._find_slots(segment, column, hashes)
            except SegmentUnavailable:
                continue
            keys = (slots + segment.first).tolist()
            for start in range(0, len(keys), _ROWS_PER_STATEMENT):
                yield segment, ",".join(map(str, keys[start : start + _ROWS_PER_STATEMENT]))

    def _find_slots(self, segment: SegmentInfo, column: str, hashes: Sequence[int]) -> Any:
        self._ctx.deadline.raise_if_expired()
        count = segment.next - segment.first
        slots = self._ctx.resources.column_cache.find_slots(
            segment, lambda columns: _find_slots(columns, count, column, hashes)
        )
        if slots is None:
            view = self._ctx.open_view(segment)
            self._bloom.add(view, column)
            slots = _find_slots(view.columns, count, column, hashes)
        return slots

    def _read_rows(self, segment: SegmentInfo, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._ctx.resources.pool.acquire(segment, self._ctx.deadline) as connection:
            return connection.rows(sql, values)


def _find_slots(columns: Columns, count: int, column: str, hashes: Sequence[int]) -> Any:
    values = columns[column][:count]
    order = columns.order(column)
    if order is not None:
        order = order[:count]
        wanted = np.array(hashes, values.dtype)  # with another type, numpy would first convert all values
        starts = np.searchsorted(values, wanted, side="left", sorter=order)
        ends = np.searchsorted(values, wanted, side="right", sorter=order)
        ranges = [order[start:stop] for start, stop in zip(starts.tolist(), ends.tolist(), strict=True) if start < stop]
        return np.sort(np.concatenate(ranges)).astype(np.int64) if ranges else np.zeros(0, np.int64)
    if len(hashes) <= _MAX_COMPARED_VALUES:
        mask = np.zeros(count, bool)
        for number in hashes:
            mask |= values == number
    else:
        table = np.zeros(_TABLE_MASK + 1, bool)
        table[np.array(hashes) & _TABLE_MASK] = True
        mask = table[values & np.uint32(_TABLE_MASK)] & (values != 0)
        candidates = np.flatnonzero(mask)
        mask[candidates] = np.isin(values[candidates], np.array(hashes, np.uint32))
    return np.flatnonzero(mask & (columns["live"][:count] == 1))
