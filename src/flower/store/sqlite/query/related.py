"""Which rows belong to which: by root and by parent. The columns hold a few bits of these ids; the rows decide."""

from collections.abc import Iterator, Mapping, Sequence
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


class Relations:
    def __init__(self, question: Question, entries: Sequence[Segment]) -> None:
        self._question = question
        self._entries = entries

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

    def _bearing(self, column: str, hashes: Sequence[int]) -> Iterator[tuple[Look, str]]:
        """Segments with the ids of rows that may be meant, as SQL lists them."""
        for entry in self._entries:
            if column == "parent" and not entry.parented:
                continue
            try:
                look = self._question.look(entry)
            except SegmentGone:
                continue
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
