"""Sort keys as numbers within a segment and as values that compare between segments."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flower.errors import InvalidRequest
from flower.store.protocols import Sort
from flower.store.sqlite.columns.layout import WORD_COLUMNS
from flower.store.sqlite.query.context import SegmentView
from flower.store.sqlite.row_codec import pack_id, unpack_id
from flower.store.sqlite.schema import WORD_KINDS

SORT_COLUMNS: Final = {"worker": "hostname"}


class SortKey:
    """One sort key in one segment."""

    def __init__(self, look: SegmentView, sort: Sort) -> None:
        self.view = look
        self.descending = sort.descending
        self.name = SORT_COLUMNS.get(sort.key, sort.key)

    def arrays(self, slots: Any) -> list[Any]:
        """Numbers by which these slots order, the first array deciding; NaN for a missing value."""
        return [self.view.columns[self.name][slots]]

    def locate(self, value: Any) -> list[Any]:
        """Where a value of another segment is among these numbers, as numbers."""
        return [value]

    def values(self, slots: Any) -> list[Any]:
        """What orders the slots between segments; None for a missing value."""
        found: list[Any] = self.view.columns[self.name][slots].tolist()
        return [None if value != value else value for value in found]  # noqa: PLR0124 (NaN)


class WordSortKey(SortKey):
    """Words order by their folded text. Their ranks are even numbers, so that a word that is not here has a place."""

    def __init__(self, look: SegmentView, sort: Sort) -> None:
        super().__init__(look, sort)
        words = {number: word.casefold() for number, word in list(look.dictionary.words(WORD_KINDS[self.name]))}
        self._folded = sorted(set(words.values()))
        ranks = {word: 2 * rank for rank, word in enumerate(self._folded)}
        self._ranks = np.full(look.dictionary.last_id + 1, np.nan)
        for number, word in words.items():
            self._ranks[number] = ranks[word]

    def arrays(self, slots: Any) -> list[Any]:
        return [self._ranks[self.view.columns[self.name][slots]]]

    def locate(self, value: Any) -> list[Any]:
        rank = int(np.searchsorted(np.array(self._folded, object), value)) if self._folded else 0
        here = rank < len(self._folded) and self._folded[rank] == value
        return [2.0 * rank if here else 2.0 * rank - 1]

    def values(self, slots: Any) -> list[Any]:
        (ranks,) = self.arrays(slots)
        return [None if rank != rank else self._folded[int(rank) // 2] for rank in ranks.tolist()]  # noqa: PLR0124


class UuidSortKey(SortKey):
    """Canonical ids only."""

    def arrays(self, slots: Any) -> list[Any]:
        return [self.view.columns["uuid_high"][slots], self.view.columns["uuid_low"][slots]]

    def locate(self, value: Any) -> list[Any]:
        packed = pack_id(value)
        if not isinstance(packed, bytes):
            raise InvalidRequest("This is not a cursor", hint="leave it out to get the first page")
        return [np.uint64(int.from_bytes(packed[:8], "big")), np.uint64(int.from_bytes(packed[8:], "big"))]

    def values(self, slots: Any) -> list[Any]:
        high, low = self.arrays(slots)
        packed = zip(high.tolist(), low.tolist(), strict=True)
        return [unpack_id(one.to_bytes(8, "big") + other.to_bytes(8, "big")) for one, other in packed]


class NonUuidSortKey(SortKey):
    """Any ids, as texts: all of the segment are read. The price of ids that are no UUIDs."""

    def __init__(self, look: SegmentView, sort: Sort) -> None:
        super().__init__(look, sort)
        rows = look.read_rows("SELECT casefold(uuid), id FROM task")
        self._texts = sorted({text for text, _ in rows})
        ranks = {text: 2.0 * rank for rank, text in enumerate(self._texts)}
        self._ranks = np.full(look.count, np.nan)
        for text, key in rows:
            if key < look.segment.next:
                self._ranks[key - look.segment.first] = ranks[text]

    def arrays(self, slots: Any) -> list[Any]:
        return [self._ranks[slots]]

    def locate(self, value: Any) -> list[Any]:
        rank = int(np.searchsorted(np.array(self._texts, object), value)) if self._texts else 0
        here = rank < len(self._texts) and self._texts[rank] == value
        return [2.0 * rank if here else 2.0 * rank - 1]

    def values(self, slots: Any) -> list[Any]:
        return [None if rank != rank else self._texts[int(rank) // 2] for rank in self._ranks[slots].tolist()]  # noqa: PLR0124


def build_sort_keys(look: SegmentView, sorts: Sequence[Sort], *, odd_ids: bool) -> list[SortKey]:
    """`odd_ids`: some segment of the store has ids that are no UUIDs."""
    return [_build_sort_key(look, sort, odd_ids=odd_ids) for sort in sorts]


def _build_sort_key(look: SegmentView, sort: Sort, *, odd_ids: bool) -> SortKey:
    if sort.key == "uuid":
        return NonUuidSortKey(look, sort) if odd_ids else UuidSortKey(look, sort)
    return WordSortKey(look, sort) if SORT_COLUMNS.get(sort.key, sort.key) in WORD_COLUMNS else SortKey(look, sort)
