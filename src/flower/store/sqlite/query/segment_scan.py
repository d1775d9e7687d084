"""Ordered scan of one segment: the rows that match a query, in chunks."""

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

#: maximum slots of a batch
_MAX_BATCH: Final = 4_000
#: A text that more than one in this many rows may contain is searched with a presorted scan.
_BROAD_RATIO: Final = 8


class RowBatch(NamedTuple):
    """Slots in sort order. `definite`: the ones that match for certain. `is_last`: no rows follow."""

    slots: Any
    definite: Any
    is_last: bool


class SegmentScan:
    """The matching rows of a segment in sort order, read in chunks."""

    def __init__(
        self,
        view: SegmentView,
        node: Node,
        sorts: Sequence[Sort],
        *,
        after: Position | None = None,
        has_non_uuid_ids: bool = False,
    ) -> None:
        self._view = view
        self._node = simplify_for_segment(view, node)
        self._keys = build_sort_keys(view, sorts, has_non_uuid_ids=has_non_uuid_ids)
        self._descending = bool(sorts) and sorts[0].descending
        self._is_finished = self._node == MATCHES_NOTHING
        self._verified_count = self._matched_count = 0
        start = None if after is None else _OrderPosition.from_position(self._keys, after, view.segment.first)
        self._source = self._choose_strategy(start)

    def _choose_strategy(self, after: "_OrderPosition | None") -> "_PresortedRows | _SortedRows":
        if len(self._keys) == 1 and type(self._keys[0]) in (SortKey, UuidSortKey):
            order = self._view.columns.order(self._keys[0].name)
            few_matches = self._view.ctx.has_few_matches
            if order is not None and not few_matches and (is_decided_by_columns(self._node) or self._is_broad()):
                return _PresortedRows(self._view, self._node, self._keys[0], order, after)
        return self._sort_matches(after)

    def _sort_matches(self, after: "_OrderPosition | None") -> "_SortedRows":
        return _SortedRows(self._masks, self._keys, after, descending=self._descending)

    @cached_property
    def _masks(self) -> Masks:
        return evaluate_masks(self._view, self._node)

    def _is_broad(self) -> bool:
        """Return whether a query that needs row texts has many candidates."""
        return bool(np.count_nonzero(self._masks.candidates) * _BROAD_RATIO > self._view.count)

    def read_chunk(self, count: int) -> tuple[list[tuple[Any, ...]], list[int]]:
        """Return the next rows, at least `count` if there are as many.

        The first list has the values that order the rows between segments, the second list their keys.
        """
        batches: list[Any] = []
        size = count
        while not self._is_finished and count > 0:
            slots, definite, is_last = self._source.next_batch(size)
            if isinstance(self._source, _PresortedRows) and self._source.has_low_yield and not is_last:
                self._view.ctx.has_few_matches = True
                position = _OrderPosition.from_slot(self._keys, self._source.last_slot)
                self._source = self._sort_matches(position)
            self._is_finished = is_last
            matching = self._keep_matches(slots, definite)
            if len(slots) and not is_last and self._is_wasteful():
                self._switch_to_index(int(slots[-1]))
            batches.append(matching)
            count -= len(matching)
            # if few of the candidates match, larger batches are evaluated
            size = min(2 * size, _MAX_BATCH)
        slots = np.concatenate(batches) if batches else np.zeros(0, np.int64)
        columns = [_comparable_values(key, slots) for key in self._keys]
        ids = (slots + self._view.segment.first).tolist()
        tie_breakers = [-key for key in ids] if self._descending else ids
        return list(zip(*columns, tie_breakers, strict=True)), ids

    def _keep_matches(self, slots: Any, definite: Any) -> Any:
        """Return the slots whose rows match; the rows of undecided ones are read."""
        undecided = np.flatnonzero(~definite)
        if not len(undecided):
            return slots
        matches = definite.copy()
        matches[undecided] = verify_rows(self._view, self._node, slots[undecided])
        self._verified_count += len(undecided)
        self._matched_count += int(np.count_nonzero(matches[undecided]))
        return slots[matches]

    def _is_wasteful(self) -> bool:
        """Return whether most of the rows that were read do not match."""
        limits = self._view.ctx.limits
        return (
            not self._view.ctx.text_candidates.always_use_index
            and self._verified_count >= limits.tried_slots
            and self._matched_count * limits.slots_per_match < self._verified_count
        )

    def _switch_to_index(self, slot: int) -> None:
        """Continue with the text index: the text is rarer than estimated, so the index can list its rows."""
        self._view.ctx.text_candidates.always_use_index = True
        self.__dict__.pop("_masks", None)
        self._source = self._choose_strategy(_OrderPosition.from_slot(self._keys, slot))


class _OrderPosition(NamedTuple):
    """A position in the sort order, as numbers of this segment."""

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
    """Sorts the matching rows on demand, as many as requested."""

    def __init__(
        self, masks: Masks, keys: Sequence[SortKey], after: _OrderPosition | None, *, descending: bool
    ) -> None:
        self._keys = keys
        self._after = after
        self._descending = descending
        self._slots = np.flatnonzero(masks.candidates)
        self._definite = masks.definite

    def next_batch(self, size: int) -> RowBatch:
        slots = self._slots if self._after is None else self._slots[self._after_mask(self._after)]
        # rows that were returned are not evaluated again
        self._slots = slots
        arrays = [
            _ascending_values(array, descending=key.descending) for key in self._keys for array in key.arrays(slots)
        ]
        if arrays and len(slots) > 4 * size:
            first = arrays[0]
            threshold = np.partition(first, size - 1)[size - 1]
            if not np.isnan(threshold):
                selected = np.flatnonzero(first <= threshold)
                arrays = [array[selected] for array in arrays]
                slots = slots[selected]
        ties = -slots if self._descending else slots
        order = np.lexsort((ties, *reversed(arrays)))[:size] if arrays or self._descending else slice(0, size)
        is_last = size >= len(self._slots)
        slots = slots[order]
        if len(slots):
            self._after = _OrderPosition.from_slot(self._keys, int(slots[-1]))
        return RowBatch(slots, self._definite[slots], is_last)

    def _after_mask(self, position: _OrderPosition) -> Any:
        """Return a mask of the slots that come after the position."""
        slots = self._slots
        is_after = np.zeros(len(slots), bool)
        is_equal = np.ones(len(slots), bool)
        for key, numbers in zip(self._keys, position.numbers, strict=True):
            for array, number in zip(key.arrays(slots), numbers, strict=True):
                is_missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(len(slots), bool)
                if number is None:
                    is_equal &= is_missing
                    continue
                is_after |= is_equal & ((array < number if key.descending else array > number) | is_missing)
                is_equal &= array == number
        return is_after | (is_equal & (slots < position.slot if self._descending else slots > position.slot))


class _PresortedRows:
    """Reads the rows in an order stored with the columns, and evaluates the filter on the slots in this order."""

    def __init__(self, view: SegmentView, node: Node, key: SortKey, order: Any, after: _OrderPosition | None) -> None:
        self._view, self._node = view, node
        self._limits = view.ctx.limits
        self._order = order[: view.count]
        self._descending = key.descending
        arrays = key.arrays(slice(0, view.count))
        #: slots without a value come last, among them the ones without a row
        self._valued_count = count_with_value(view, arrays[0], self._order)
        self._tried_count = self._matched_count = 0
        self.last_slot = 0
        self._next_index = 0 if after is None else self._find_start(arrays, after)

    def _find_start(self, arrays: list[Any], after: _OrderPosition) -> int:
        """Return the index of the first slot after the position."""
        (numbers,) = after.numbers
        if numbers[0] is None:
            unvalued = np.sort(self._order[self._valued_count :])
            skipped = int(np.searchsorted(unvalued, after.slot, side="left" if self._descending else "right"))
            return self._valued_count + (len(unvalued) - skipped if self._descending else skipped)
        low = int(np.searchsorted(arrays[0], numbers[0], side="left", sorter=self._order))
        high = int(np.searchsorted(arrays[0], numbers[0], side="right", sorter=self._order))
        ties = self._order[low : min(high, self._valued_count)]
        for array, number in zip(arrays[1:], numbers[1:], strict=True):
            start, end = np.searchsorted(array[ties], [number, number + np.uint64(1)], side="left")
            low, ties = low + int(start), ties[start:end]
        if self._descending:
            return self._valued_count - (low + int(np.searchsorted(ties, after.slot, side="left")))
        return low + int(np.searchsorted(ties, after.slot, side="right"))

    @property
    def has_low_yield(self) -> bool:
        return (
            self._tried_count >= self._limits.tried_slots
            and self._matched_count * self._limits.slots_per_match < self._tried_count
        )

    def next_batch(self, size: int) -> RowBatch:
        slots_by_block: list[Any] = []
        definite: list[Any] = []
        wanted = size
        while wanted > 0 and self._next_index < len(self._order) and not self.has_low_yield:
            block = self._read_block(max(2 * wanted, self._limits.scan_block))
            masks = evaluate_masks(self._view, self._node, block)
            indexes = np.flatnonzero(masks.candidates)[:wanted]
            # rows that are not returned now come first in the next batch
            examined = len(block) if len(indexes) < wanted else int(indexes[-1]) + 1
            self._next_index += examined
            self._tried_count += examined
            self._matched_count += len(indexes)
            wanted -= len(indexes)
            self.last_slot = int(block[examined - 1])
            slots_by_block.append(block[indexes])
            definite.append(masks.definite[indexes])
        empty = np.zeros(0, np.int64)
        slots = np.concatenate(slots_by_block) if slots_by_block else empty
        return RowBatch(
            slots,
            np.concatenate(definite) if definite else np.zeros(0, bool),
            is_last=self._next_index >= len(self._order),
        )

    def _read_block(self, size: int) -> Any:
        start, end, valued = self._next_index, self._next_index + size, self._valued_count
        if start < valued:
            end = min(end, valued)
            block = self._order[valued - end : valued - start][::-1] if self._descending else self._order[start:end]
            return block.astype(np.int64)
        unvalued = np.sort(self._order[valued:])
        return (unvalued[::-1] if self._descending else unvalued)[start - valued : end - valued].astype(np.int64)


def count_with_value(view: SegmentView, column: Any, order: Any) -> int:
    """Return how many slots at the beginning of the order have a value."""
    if column.dtype.kind == "u":
        return int(np.count_nonzero(view.column("live")))
    return int(np.searchsorted(column, np.inf, side="right", sorter=order))


def _ascending_values(array: Any, *, descending: bool) -> Any:
    """Return numbers whose ascending order is the order of the key."""
    if not descending:
        return array
    return ~array if array.dtype.kind == "u" else -array


class _Reversed:
    """Reverses the order of any value."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Reversed") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash(self.value)


def _comparable_values(key: SortKey, slots: Any) -> list[Any]:
    """Return values that compare between segments, missing values last."""
    values: list[tuple[Any, ...]] = []
    for value in key.values(slots):
        if value is None:
            values.append((True, 0))
        elif not key.descending:
            values.append((False, value))
        else:
            values.append((False, -value if isinstance(value, int | float) else _Reversed(value)))
    return values
