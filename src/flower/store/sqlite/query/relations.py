"""Which rows belong to which: by root and by parent. The columns hold a few bits of these ids; the rows decide."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.layout import hash_id
from flower.store.sqlite.connection_pool import SegmentUnavailable
from flower.store.sqlite.query.context import QueryContext, SegmentView
from flower.store.sqlite.row_codec import pack_id, unpack_id

#: Ids compared one after the other; more are looked up in a table of their last bits first.
_MAX_COMPARED_VALUES: Final = 4
_TABLE_MASK: Final = 0xFFFF
_ROWS_PER_STATEMENT: Final = 500
#: Last bits of an id that `Kin` tells apart: 64 KB a segment.
_BLOOM_MASK: Final = (1 << 19) - 1


class RelationBloom:
    """For each segment, which parents and roots its rows may name: a bit for each value of the last bits of an id. So
    the few segments that a family is spread over are told from all others without a look at their columns."""

    def __init__(self) -> None:
        self._bits: dict[tuple[int, str], tuple[int, Any]] = {}

    def might_reference(self, entry: SegmentInfo, column: str, hashes: Sequence[int]) -> bool:
        known = self._bits.get((entry.number, column))
        if known is None or known[0] < entry.sequence:
            return True
        bits = known[1]
        return any(bits[(number & _BLOOM_MASK) >> 3] >> (number & 7) & 1 for number in hashes)

    def add(self, look: SegmentView, column: str) -> None:
        if look.columns.order(column) is None or (look.segment.number, column) in self._bits:
            return
        bits = np.zeros(_BLOOM_MASK + 1, bool)
        bits[look.column(column) & np.uint32(_BLOOM_MASK)] = True
        packed = np.packbits(bits, bitorder="little").tobytes()
        self._bits[(look.segment.number, column)] = (look.columns.sequence, packed)

    def retain(self, numbers: set[int]) -> None:
        for key in [key for key in self._bits if key[0] not in numbers]:
            del self._bits[key]


class RelationIndex:
    def __init__(self, question: QueryContext, entries: Sequence[SegmentInfo], kin: RelationBloom) -> None:
        self._ctx = question
        self._segments = entries
        self._bloom = kin

    def find_by_root(self, uuid: str) -> list[int]:
        """Ids of the rows with this root_id, but for the root itself."""
        found: list[int] = []
        packed = pack_id(uuid)
        for look, ids in self._iter_referencing("root", [hash_id(packed)]):
            sql = f"SELECT id FROM task WHERE id IN ({ids}) AND root_id = ?"
            with suppress(SegmentUnavailable):
                found += [row[0] for row in look.read_rows(sql, (packed,))]
        return found

    def find_children(self, uuids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """In the order in which they were first written."""
        wanted = {pack_id(uuid): uuid for uuid in uuids}
        found: dict[str, list[str]] = {}
        for look, ids in self._iter_referencing("parent", sorted({hash_id(packed) for packed in wanted})):
            with suppress(SegmentUnavailable):
                for parent, child in look.read_rows(
                    f"SELECT parent_id, uuid FROM task WHERE id IN ({ids}) ORDER BY id"
                ):
                    if parent in wanted:
                        found.setdefault(wanted[parent], []).append(unpack_id(child))
        return found

    def iter_members(
        self, roots: Collection[bytes | str]
    ) -> Iterator[tuple[SegmentView, list[tuple[int, bytes | str]]]]:
        """Rows that name one of these packed ids as their root, as key and root, segment by segment, in parts."""
        hashes = sorted({hash_id(packed) for packed in roots})
        for look, ids in self._iter_referencing("root", hashes):
            with suppress(SegmentUnavailable):
                rows = look.read_rows(f"SELECT id, root_id FROM task WHERE id IN ({ids})")
                yield look, [(key, root) for key, root in rows if root in roots]

    def _iter_referencing(self, column: str, hashes: Sequence[int]) -> Iterator[tuple[SegmentView, str]]:
        """Segments with the ids of rows that may be meant, as SQL lists them."""
        for entry in self._segments:
            if (column == "parent" and not entry.has_parents) or not self._bloom.might_reference(entry, column, hashes):
                continue
            try:
                look = self._ctx.open_view(entry)
            except SegmentUnavailable:
                continue
            self._bloom.add(look, column)
            keys = (_find_slots(look, column, hashes) + entry.first).tolist()
            for place in range(0, len(keys), _ROWS_PER_STATEMENT):
                yield look, ",".join(map(str, keys[place : place + _ROWS_PER_STATEMENT]))


def _find_slots(look: SegmentView, column: str, hashes: Sequence[int]) -> Any:
    values = look.column(column)
    order = look.columns.order(column)
    if order is not None:
        order = order[: look.count]
        wanted = np.array(hashes, values.dtype)  # of another type, numpy would first convert all the values
        begin = np.searchsorted(values, wanted, side="left", sorter=order)
        end = np.searchsorted(values, wanted, side="right", sorter=order)
        found = [order[one:other] for one, other in zip(begin.tolist(), end.tolist(), strict=True) if one < other]
        return np.sort(np.concatenate(found)).astype(np.int64) if found else np.zeros(0, np.int64)
    if len(hashes) <= _MAX_COMPARED_VALUES:
        mask = np.zeros(look.count, bool)
        for number in hashes:
            mask |= values == number
    else:
        table = np.zeros(_TABLE_MASK + 1, bool)
        table[np.array(hashes) & _TABLE_MASK] = True
        mask = table[values & np.uint32(_TABLE_MASK)] & (values != 0)
        near = np.flatnonzero(mask)
        mask[near] = np.isin(values[near], np.array(hashes, np.uint32))
    return np.flatnonzero(mask & (look.column("live") == 1))
