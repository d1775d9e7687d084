"""Sort keys: as numbers within one segment, and as values that compare between segments."""

from bisect import bisect_left
from collections.abc import Sequence
from math import isnan
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

    def __init__(self, view: SegmentView, sort: Sort) -> None:
        self.view = view
        self.descending = sort.descending
        self.name = SORT_COLUMNS.get(sort.key, sort.key)

    def arrays(self, slots: Any) -> list[Any]:
        """Return arrays of numbers that order these slots, most significant first; NaN for a missing value."""
        return [self.view.columns[self.name][slots]]

    def locate(self, value: Any) -> list[Any]:
        """Return the numbers that a value of another segment has in the order of this segment."""
        return [value]

    def values(self, slots: Any) -> list[Any]:
        """Return values that order the slots between segments; None for a missing value."""
        values: list[Any] = self.view.columns[self.name][slots].tolist()
        return [None if value != value else value for value in values]  # noqa: PLR0124 (NaN)


class _RankedSortKey(SortKey):
    """Orders texts by their rank among `_texts`.

    Ranks are even numbers, so that a text that is not in the segment gets an odd number between two ranks.
    """

    _texts: list[str]

    def locate(self, value: Any) -> list[Any]:
        index = bisect_left(self._texts, value)
        is_present = index < len(self._texts) and self._texts[index] == value
        return [2.0 * index if is_present else 2.0 * index - 1]

    def values(self, slots: Any) -> list[Any]:
        (ranks,) = self.arrays(slots)
        return [None if isnan(rank) else self._texts[int(rank) // 2] for rank in ranks.tolist()]


class WordSortKey(_RankedSortKey):
    """Orders words by their casefolded text."""

    def __init__(self, view: SegmentView, sort: Sort) -> None:
        super().__init__(view, sort)
        words = {
            word_id: word.casefold()
            for word_id, word in view.ctx.deadline.check_during(list(view.dictionary.words(WORD_KINDS[self.name])))
        }
        self._texts = sorted(set(words.values()))
        ranks = {word: 2.0 * index for index, word in enumerate(self._texts)}
        self._ranks_by_word_id = np.full(view.dictionary.last_id + 1, np.nan)
        for word_id, word in words.items():
            self._ranks_by_word_id[word_id] = ranks[word]

    def arrays(self, slots: Any) -> list[Any]:
        return [self._ranks_by_word_id[self.view.columns[self.name][slots]]]


class UuidSortKey(SortKey):
    """Orders canonical UUIDs only."""

    def arrays(self, slots: Any) -> list[Any]:
        return [self.view.columns["uuid_high"][slots], self.view.columns["uuid_low"][slots]]

    def locate(self, value: Any) -> list[Any]:
        packed = pack_id(value)
        if not isinstance(packed, bytes):
            raise InvalidRequest("Invalid cursor", hint="omit the cursor to get the first page")
        return [np.uint64(int.from_bytes(packed[:8], "big")), np.uint64(int.from_bytes(packed[8:], "big"))]

    def values(self, slots: Any) -> list[Any]:
        high, low = self.arrays(slots)
        packed = zip(high.tolist(), low.tolist(), strict=True)
        return [unpack_id(upper.to_bytes(8, "big") + lower.to_bytes(8, "big")) for upper, lower in packed]


class NonUuidSortKey(_RankedSortKey):
    """Orders ids of any form as texts. Reads the ids of all rows of the segment."""

    def __init__(self, view: SegmentView, sort: Sort) -> None:
        super().__init__(view, sort)
        rows = view.read_rows("SELECT casefold(uuid), id FROM task")
        self._texts = sorted({text for text, _ in rows})
        ranks = {text: 2.0 * index for index, text in enumerate(self._texts)}
        self._ranks = np.full(view.count, np.nan)
        for text, key in rows:
            if key < view.segment.next:
                self._ranks[key - view.segment.first] = ranks[text]

    def arrays(self, slots: Any) -> list[Any]:
        return [self._ranks[slots]]


def build_sort_keys(view: SegmentView, sorts: Sequence[Sort], *, has_non_uuid_ids: bool) -> list[SortKey]:
    """Return the sort keys. `has_non_uuid_ids`: some segment of the store has ids that are not canonical UUIDs."""
    return [_build_sort_key(view, sort, has_non_uuid_ids=has_non_uuid_ids) for sort in sorts]


def _build_sort_key(view: SegmentView, sort: Sort, *, has_non_uuid_ids: bool) -> SortKey:
    if sort.key == "uuid":
        return NonUuidSortKey(view, sort) if has_non_uuid_ids else UuidSortKey(view, sort)
    return WordSortKey(view, sort) if SORT_COLUMNS.get(sort.key, sort.key) in WORD_COLUMNS else SortKey(view, sort)
