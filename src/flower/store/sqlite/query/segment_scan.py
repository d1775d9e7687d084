"""The rows of one segment that a query finds, in the order asked for, a chunk at a time."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from flower.search.tree import Node
from flower.store.cursor import Position
from flower.store.protocols import Sort
from flower.store.sqlite.query.bitmasks import Masks, evaluate_masks, is_decided_by_columns
from flower.store.sqlite.query.context import SegmentView
from flower.store.sqlite.query.evaluate import MATCHES_NOTHING, simplify_for_segment, verify_rows
from flower.store.sqlite.query.sort_keys import SortKey, UuidSortKey, build_sort_keys

#: Slots looked at in a kept order before it is seen whether that is worth while ...
_MIN_TRIED: Final = 1_024
#: ... which it is if one of so many fits.
_MIN_YIELD_RATIO: Final = 32
_BLOCK_SIZE: Final = 512
#: Rows taken together at most.
_MAX_CHUNK: Final = 4_000
#: Texts that one row of so many may hold are looked for in a kept order.
_BROAD_RATIO: Final = 8


class RowBatch(NamedTuple):
    """In order. `sure`: which of them fulfil the query without a doubt. `last`: there are no more."""

    slots: Any
    definite: Any
    is_last: bool


class SegmentScan:
    def __init__(
        self,
        look: SegmentView,
        node: Node,
        sorts: Sequence[Sort],
        *,
        after: Position | None = None,
        odd_ids: bool = False,
    ) -> None:
        self._view = look
        self._node = simplify_for_segment(look, node)
        self._keys = build_sort_keys(look, sorts, odd_ids=odd_ids)
        self._backwards = bool(sorts) and sorts[0].descending
        self._is_finished = self._node == MATCHES_NOTHING
        self._verified_count = self._matched_count = 0
        begin = None if after is None else _OrderPosition.from_position(self._keys, after, look.segment.first)
        self._source = self._choose_strategy(begin)

    def _choose_strategy(self, after: "_OrderPosition | None") -> "_PresortedRows | _SortedRows":
        if len(self._keys) == 1 and type(self._keys[0]) in (SortKey, UuidSortKey):
            order = self._view.columns.order(self._keys[0].name)
            few = self._view.ctx.has_few_matches
            if order is not None and not few and (is_decided_by_columns(self._node) or self._is_broad()):
                return _PresortedRows(self._view, self._node, self._keys[0], order, after)
        return self._sort_matches(after)

    def _sort_matches(self, after: "_OrderPosition | None") -> "_SortedRows":
        return _SortedRows(self._masks, self._keys, after, backwards=self._backwards)

    @cached_property
    def _masks(self) -> Masks:
        return evaluate_masks(self._view, self._node)

    def _is_broad(self) -> bool:
        """Whether many rows may fulfil a query that asks for texts."""
        return bool(np.count_nonzero(self._masks.candidates) * _BROAD_RATIO > self._view.count)

    def read_chunk(self, want: int) -> tuple[list[tuple[Any, ...]], list[int]]:
        """The next rows, as many as wanted or more if there are: what they order by between segments, and their ids."""
        found: list[Any] = []
        size = want
        while not self._is_finished and want > 0:
            slots, sure, last = self._source.next_batch(size)
            if isinstance(self._source, _PresortedRows) and self._source.has_low_yield and not last:
                self._view.ctx.has_few_matches = True
                place = _OrderPosition.from_slot(self._keys, self._source.last_slot)
                self._source = self._sort_matches(place)
            self._is_finished = last
            doubtful = np.flatnonzero(~sure)
            if len(doubtful):
                reached = int(slots[-1])
                keep = sure.copy()
                keep[doubtful] = verify_rows(self._view, self._node, slots[doubtful])
                slots = slots[keep]
                self._verified_count += len(doubtful)
                self._matched_count += int(np.count_nonzero(keep[doubtful]))
                if not last and self._is_wasteful():
                    self._switch_to_index(reached)
            found.append(slots)
            want -= len(slots)
            # where few of those in doubt hold, more are looked at together
            size = min(2 * size, _MAX_CHUNK)
        slots = np.concatenate(found) if found else np.zeros(0, np.int64)
        columns = [_merge_values(key, slots) for key in self._keys]
        ids = (slots + self._view.segment.first).tolist()
        signed = [-number for number in ids] if self._backwards else ids
        return list(zip(*columns, signed, strict=True)), ids

    def _is_wasteful(self) -> bool:
        return (
            not self._view.ctx.text_candidates.always_use_index
            and self._verified_count >= _MIN_TRIED
            and self._matched_count * _MIN_YIELD_RATIO < self._verified_count
        )

    def _switch_to_index(self, reached: int) -> None:
        """What seemed to be in many rows is in few: let the index name them."""
        self._view.ctx.text_candidates.always_use_index = True
        self.__dict__.pop("_masks", None)
        self._source = self._choose_strategy(_OrderPosition.from_slot(self._keys, reached))


class _OrderPosition(NamedTuple):
    """A place in the order, as numbers of this segment."""

    numbers: list[list[Any]]
    slot: int

    @classmethod
    def from_position(cls, keys: Sequence[SortKey], position: Position, first: int) -> "_OrderPosition":
        return cls(
            [
                [None] * len(key.arrays(slice(0, 0))) if value is None else key.locate(value)
                for key, value in zip(keys, position.values, strict=True)
            ],
            position.key - first,
        )

    @classmethod
    def from_slot(cls, keys: Sequence[SortKey], slot: int) -> "_OrderPosition":
        def number(array: Any) -> Any:
            return None if array.dtype.kind == "f" and np.isnan(array[0]) else array[0]

        return cls([[number(array) for array in key.arrays(np.array([slot]))] for key in keys], slot)


class _SortedRows:
    """Sorted when it is asked for: as much of it as is wanted."""

    def __init__(self, found: Masks, keys: Sequence[SortKey], after: _OrderPosition | None, *, backwards: bool) -> None:
        self._keys = keys
        self._after = after
        self._backwards = backwards
        self._slots = np.flatnonzero(found.candidates)
        self._definite = found.definite

    def next_batch(self, size: int) -> RowBatch:
        slots = self._slots if self._after is None else self._slots[self._after_mask(self._after)]
        #: what has been given need not be looked at again
        self._slots = slots
        arrays = [
            _ascending_values(array, descending=key.descending) for key in self._keys for array in key.arrays(slots)
        ]
        if arrays and len(slots) > 4 * size:
            first = arrays[0]
            least = np.partition(first, size - 1)[size - 1]
            if least == least:  # noqa: PLR0124 (not NaN)
                chosen = np.flatnonzero(first <= least)
                arrays = [array[chosen] for array in arrays]
                slots = slots[chosen]
        ties = -slots if self._backwards else slots
        order = np.lexsort((ties, *reversed(arrays)))[:size] if arrays or self._backwards else slice(0, size)
        last = size >= len(self._slots)
        slots = slots[order]
        if len(slots):
            self._after = _OrderPosition.from_slot(self._keys, int(slots[-1]))
        return RowBatch(slots, self._definite[slots], last)

    def _after_mask(self, place: _OrderPosition) -> Any:
        """Which of the slots come after the place."""
        slots = self._slots
        later = np.zeros(len(slots), bool)
        same = np.ones(len(slots), bool)
        for key, numbers in zip(self._keys, place.numbers, strict=True):
            for array, number in zip(key.arrays(slots), numbers, strict=True):
                missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(len(slots), bool)
                if number is None:
                    same &= missing
                    continue
                later |= same & ((array < number if key.descending else array > number) | missing)
                same &= array == number
        return later | (same & (slots < place.slot if self._backwards else slots > place.slot))


class _PresortedRows:
    """By an order that is kept with the columns: the filter is held against the slots in that order."""

    def __init__(self, look: SegmentView, node: Node, key: SortKey, order: Any, after: _OrderPosition | None) -> None:
        self._view, self._node = look, node
        self._order = order[: look.count]
        self._descending = key.descending
        arrays = key.arrays(slice(0, look.count))
        #: slots without a value come last, those without a row among them
        self._valued_count = count_with_value(look, arrays[0], self._order)
        self._tried_count = self._matched_count = 0
        self.last_slot = 0
        self._next_index = 0 if after is None else self._find_start(arrays, after)

    def _find_start(self, arrays: list[Any], after: _OrderPosition) -> int:
        """How many come first."""
        (numbers,) = after.numbers
        if numbers[0] is None:
            rest = np.sort(self._order[self._valued_count :])
            passed = int(np.searchsorted(rest, after.slot, side="left" if self._descending else "right"))
            return self._valued_count + (len(rest) - passed if self._descending else passed)
        low = int(np.searchsorted(arrays[0], numbers[0], side="left", sorter=self._order))
        high = int(np.searchsorted(arrays[0], numbers[0], side="right", sorter=self._order))
        ties = self._order[low : min(high, self._valued_count)]
        for array, number in zip(arrays[1:], numbers[1:], strict=True):
            begin, end = np.searchsorted(array[ties], [number, number + np.uint64(1)], side="left")
            low, ties = low + int(begin), ties[begin:end]
        if self._descending:
            return self._valued_count - (low + int(np.searchsorted(ties, after.slot, side="left")))
        return low + int(np.searchsorted(ties, after.slot, side="right"))

    @property
    def has_low_yield(self) -> bool:
        return self._tried_count >= _MIN_TRIED and self._matched_count * _MIN_YIELD_RATIO < self._tried_count

    def next_batch(self, size: int) -> RowBatch:
        found: list[Any] = []
        sure: list[Any] = []
        wanted = size
        while wanted > 0 and self._next_index < len(self._order) and not self.has_low_yield:
            block = self._read_block(max(2 * wanted, _BLOCK_SIZE))
            hits = evaluate_masks(self._view, self._node, block)
            here = np.flatnonzero(hits.candidates)[:wanted]
            # what is not given now comes first the next time
            examined = len(block) if len(here) < wanted else int(here[-1]) + 1
            self._next_index += examined
            self._tried_count += examined
            self._matched_count += len(here)
            wanted -= len(here)
            self.last_slot = int(block[examined - 1])
            found.append(block[here])
            sure.append(hits.definite[here])
        nothing = np.zeros(0, np.int64)
        slots = np.concatenate(found) if found else nothing
        return RowBatch(
            slots, np.concatenate(sure) if sure else np.zeros(0, bool), is_last=self._next_index >= len(self._order)
        )

    def _read_block(self, size: int) -> Any:
        start, end = self._next_index, self._next_index + size
        if not self._descending:
            if start < self._valued_count:
                return self._order[start : min(end, self._valued_count)].astype(np.int64)
            return np.sort(self._order[self._valued_count :])[
                start - self._valued_count : end - self._valued_count
            ].astype(np.int64)
        if start < self._valued_count:
            end = min(end, self._valued_count)
            return self._order[self._valued_count - end : self._valued_count - start][::-1].astype(np.int64)
        rest = np.sort(self._order[self._valued_count :])[::-1]
        return rest[start - self._valued_count : end - self._valued_count].astype(np.int64)


def count_with_value(look: SegmentView, column: Any, order: Any) -> int:
    """How many slots at the beginning of the order have a value."""
    if column.dtype.kind == "u":
        return int(np.count_nonzero(look.column("live")))
    return int(np.searchsorted(column, np.inf, side="right", sorter=order))


def _ascending_values(array: Any, *, descending: bool) -> Any:
    """Numbers of which less comes first."""
    if not descending:
        return array
    return ~array if array.dtype.kind == "u" else -array


class _Reversed:
    """Any value, compared the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Reversed") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash(self.value)


def _merge_values(key: SortKey, slots: Any) -> list[Any]:
    """Values that compare between segments, missing ones last."""
    found: list[tuple[Any, ...]] = []
    for value in key.values(slots):
        if value is None:
            found.append((True, 0))
        elif not key.descending:
            found.append((False, value))
        else:
            found.append((False, -value if isinstance(value, int | float) else _Reversed(value)))
    return found
