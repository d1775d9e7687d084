"""Which rows belong to which: by root and by parent. The columns hold a few bits of these ids; the rows decide."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.codec import pack_id, unpack_id
from flower.store.sqlite.columns.layout import hashed
from flower.store.sqlite.pool import SegmentGone
from flower.store.sqlite.query.question import Look, Question

#: Ids compared one after the other; more are looked up in a table of their last bits first.
_FEW: Final = 4
_BITS: Final = 0xFFFF
_ROWS: Final = 500
#: Last bits of an id that `Kin` tells apart: 64 KB a segment.
_KIN: Final = (1 << 19) - 1


class Kin:
    """For each segment, which parents and roots its rows may name: a bit for each value of the last bits of an id. So
    the few segments that a family is spread over are told from all others without a look at their columns."""

    def __init__(self) -> None:
        self._bits: dict[tuple[int, str], tuple[int, Any]] = {}

    def may_name(self, entry: Segment, column: str, hashes: Sequence[int]) -> bool:
        known = self._bits.get((entry.number, column))
        if known is None or known[0] < entry.sequence:
            return True
        bits = known[1]
        return any(bits[(number & _KIN) >> 3] >> (number & 7) & 1 for number in hashes)

    def learn(self, look: Look, column: str) -> None:
        if look.columns.order(column) is None or (look.entry.number, column) in self._bits:
            return
        bits = np.zeros(_KIN + 1, bool)
        bits[look.column(column) & np.uint32(_KIN)] = True
        packed = np.packbits(bits, bitorder="little").tobytes()
        self._bits[(look.entry.number, column)] = (look.columns.sequence, packed)

    def keep_only(self, numbers: set[int]) -> None:
        for key in [key for key in self._bits if key[0] not in numbers]:
            del self._bits[key]


class Relations:
    def __init__(self, question: Question, entries: Sequence[Segment], kin: Kin) -> None:
        self._question = question
        self._entries = entries
        self._kin = kin

    def of_root(self, uuid: str) -> list[int]:
        """Ids of the rows with this root_id, but for the root itself."""
        found: list[int] = []
        packed = pack_id(uuid)
        for look, ids in self._bearing("root", [hashed(packed)]):
            sql = f"SELECT id FROM task WHERE id IN ({ids}) AND root_id = ?"
            with suppress(SegmentGone):
                found += [row[0] for row in look.rows(sql, (packed,))]
        return found

    def children(self, uuids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """In the order in which they were first written."""
        wanted = {pack_id(uuid): uuid for uuid in uuids}
        found: dict[str, list[str]] = {}
        for look, ids in self._bearing("parent", sorted({hashed(packed) for packed in wanted})):
            with suppress(SegmentGone):
                for parent, child in look.rows(f"SELECT parent_id, uuid FROM task WHERE id IN ({ids}) ORDER BY id"):
                    if parent in wanted:
                        found.setdefault(wanted[parent], []).append(unpack_id(child))
        return found

    def members(self, roots: Collection[bytes | str]) -> Iterator[tuple[Look, list[tuple[int, bytes | str]]]]:
        """Rows that name one of these packed ids as their root, as key and root, segment by segment, in parts."""
        hashes = sorted({hashed(packed) for packed in roots})
        for look, ids in self._bearing("root", hashes):
            with suppress(SegmentGone):
                rows = look.rows(f"SELECT id, root_id FROM task WHERE id IN ({ids})")
                yield look, [(key, root) for key, root in rows if root in roots]

    def _bearing(self, column: str, hashes: Sequence[int]) -> Iterator[tuple[Look, str]]:
        """Segments with the ids of rows that may be meant, as SQL lists them."""
        for entry in self._entries:
            if (column == "parent" and not entry.parented) or not self._kin.may_name(entry, column, hashes):
                continue
            try:
                look = self._question.look(entry)
            except SegmentGone:
                continue
            self._kin.learn(look, column)
            keys = (_slots(look, column, hashes) + entry.first).tolist()
            for place in range(0, len(keys), _ROWS):
                yield look, ",".join(map(str, keys[place : place + _ROWS]))


def _slots(look: Look, column: str, hashes: Sequence[int]) -> Any:
    values = look.column(column)
    order = look.columns.order(column)
    if order is not None:
        order = order[: look.count]
        wanted = np.array(hashes, values.dtype)  # of another type, numpy would first convert all the values
        begin = np.searchsorted(values, wanted, side="left", sorter=order)
        end = np.searchsorted(values, wanted, side="right", sorter=order)
        found = [order[one:other] for one, other in zip(begin.tolist(), end.tolist(), strict=True) if one < other]
        return np.sort(np.concatenate(found)).astype(np.int64) if found else np.zeros(0, np.int64)
    if len(hashes) <= _FEW:
        mask = np.zeros(look.count, bool)
        for number in hashes:
            mask |= values == number
    else:
        table = np.zeros(_BITS + 1, bool)
        table[np.array(hashes) & _BITS] = True
        mask = table[values & np.uint32(_BITS)] & (values != 0)
        near = np.flatnonzero(mask)
        mask[near] = np.isin(values[near], np.array(hashes, np.uint32))
    return np.flatnonzero(mask & (look.column("live") == 1))
