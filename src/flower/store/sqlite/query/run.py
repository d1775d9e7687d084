"""The rows of one segment that a query finds, in the order asked for, a chunk at a time."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from flower.search.tree import Node
from flower.store.cursor import Position
from flower.store.port import Sort
from flower.store.sqlite.query.exact import NOTHING, narrowed, verified
from flower.store.sqlite.query.keys import Key, UuidKey, keys_of
from flower.store.sqlite.query.masks import Masks, decided, masks
from flower.store.sqlite.query.question import Look

#: Slots looked at in a kept order before it is seen whether that is worth while ...
_TRIED: Final = 1_024
#: ... which it is if one of so many fits.
_YIELD: Final = 32
_BLOCK: Final = 512
#: Rows taken together at most.
_MOST: Final = 4_000
#: Texts that one row of so many may hold are looked for in a kept order.
_BROAD: Final = 8


class Slots(NamedTuple):
    """In order. `sure`: which of them fulfil the query without a doubt. `last`: there are no more."""

    slots: Any
    sure: Any
    last: bool


class Run:
    def __init__(
        self, look: Look, node: Node, sorts: Sequence[Sort], *, after: Position | None = None, odd_ids: bool = False
    ) -> None:
        self._look = look
        self._node = narrowed(look, node)
        self._keys = keys_of(look, sorts, odd_ids=odd_ids)
        self._backwards = bool(sorts) and sorts[0].descending
        self._over = self._node == NOTHING
        self._read = self._held = 0
        begin = None if after is None else _Place.of(self._keys, after, look.entry.first)
        self._source = self._choose(begin)

    def _choose(self, after: "_Place | None") -> "_Kept | _Sorted":
        if len(self._keys) == 1 and type(self._keys[0]) in (Key, UuidKey):
            order = self._look.columns.order(self._keys[0].name)
            few = self._look.question.few
            if order is not None and not few and (decided(self._node) or self._is_broad()):
                return _Kept(self._look, self._node, self._keys[0], order, after)
        return self._sorted(after)

    def _sorted(self, after: "_Place | None") -> "_Sorted":
        return _Sorted(self._masks, self._keys, after, backwards=self._backwards)

    @cached_property
    def _masks(self) -> Masks:
        return masks(self._look, self._node)

    def _is_broad(self) -> bool:
        """Whether many rows may fulfil a query that asks for texts."""
        return bool(np.count_nonzero(self._masks.may) * _BROAD > self._look.count)

    def chunk(self, want: int) -> tuple[list[tuple[Any, ...]], list[int]]:
        """The next rows, as many as wanted or more if there are: what they order by between segments, and their ids."""
        found: list[Any] = []
        size = want
        while not self._over and want > 0:
            slots, sure, last = self._source.next(size)
            if isinstance(self._source, _Kept) and self._source.poor and not last:
                self._look.question.few = True
                place = _Place.at(self._keys, self._source.reached)
                self._source = self._sorted(place)
            self._over = last
            doubtful = np.flatnonzero(~sure)
            if len(doubtful):
                reached = int(slots[-1])
                keep = sure.copy()
                keep[doubtful] = verified(self._look, self._node, slots[doubtful])
                slots = slots[keep]
                self._read += len(doubtful)
                self._held += int(np.count_nonzero(keep[doubtful]))
                if not last and self._in_vain():
                    self._ask_index(reached)
            found.append(slots)
            want -= len(slots)
            # where few of those in doubt hold, more are looked at together
            size = min(2 * size, _MOST)
        slots = np.concatenate(found) if found else np.zeros(0, np.int64)
        columns = [_comparable(key, slots) for key in self._keys]
        ids = (slots + self._look.entry.first).tolist()
        signed = [-number for number in ids] if self._backwards else ids
        return list(zip(*columns, signed, strict=True)), ids

    def _in_vain(self) -> bool:
        return not self._look.question.wording.certain and self._read >= _TRIED and self._held * _YIELD < self._read

    def _ask_index(self, reached: int) -> None:
        """What seemed to be in many rows is in few: let the index name them."""
        self._look.question.wording.certain = True
        self.__dict__.pop("_masks", None)
        self._source = self._choose(_Place.at(self._keys, reached))


class _Place(NamedTuple):
    """A place in the order, as numbers of this segment."""

    numbers: list[list[Any]]
    slot: int

    @classmethod
    def of(cls, keys: Sequence[Key], position: Position, first: int) -> "_Place":
        return cls(
            [
                [None] * len(key.arrays(slice(0, 0))) if value is None else key.place(value)
                for key, value in zip(keys, position.values, strict=True)
            ],
            position.key - first,
        )

    @classmethod
    def at(cls, keys: Sequence[Key], slot: int) -> "_Place":
        def number(array: Any) -> Any:
            return None if array.dtype.kind == "f" and np.isnan(array[0]) else array[0]

        return cls([[number(array) for array in key.arrays(np.array([slot]))] for key in keys], slot)


class _Sorted:
    """Sorted when it is asked for: as much of it as is wanted."""

    def __init__(self, found: Masks, keys: Sequence[Key], after: _Place | None, *, backwards: bool) -> None:
        self._keys = keys
        self._after = after
        self._backwards = backwards
        self._slots = np.flatnonzero(found.may)
        self._sure = found.must

    def next(self, size: int) -> Slots:
        slots = self._slots if self._after is None else self._slots[self._later(self._after)]
        #: what has been given need not be looked at again
        self._slots = slots
        arrays = [_signed(array, descending=key.descending) for key in self._keys for array in key.arrays(slots)]
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
            self._after = _Place.at(self._keys, int(slots[-1]))
        return Slots(slots, self._sure[slots], last)

    def _later(self, place: _Place) -> Any:
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


class _Kept:
    """By an order that is kept with the columns: the filter is held against the slots in that order."""

    def __init__(self, look: Look, node: Node, key: Key, order: Any, after: _Place | None) -> None:
        self._look, self._node = look, node
        self._order = order[: look.count]
        self._descending = key.descending
        arrays = key.arrays(slice(0, look.count))
        #: slots without a value come last, those without a row among them
        self._valued = valued(look, arrays[0], self._order)
        self._tried = self._fitted = 0
        self.reached = 0
        self._at = 0 if after is None else self._begin(arrays, after)

    def _begin(self, arrays: list[Any], after: _Place) -> int:
        """How many come first."""
        (numbers,) = after.numbers
        if numbers[0] is None:
            rest = np.sort(self._order[self._valued :])
            passed = int(np.searchsorted(rest, after.slot, side="left" if self._descending else "right"))
            return self._valued + (len(rest) - passed if self._descending else passed)
        low = int(np.searchsorted(arrays[0], numbers[0], side="left", sorter=self._order))
        high = int(np.searchsorted(arrays[0], numbers[0], side="right", sorter=self._order))
        ties = self._order[low : min(high, self._valued)]
        for array, number in zip(arrays[1:], numbers[1:], strict=True):
            begin, end = np.searchsorted(array[ties], [number, number + np.uint64(1)], side="left")
            low, ties = low + int(begin), ties[begin:end]
        if self._descending:
            return self._valued - (low + int(np.searchsorted(ties, after.slot, side="left")))
        return low + int(np.searchsorted(ties, after.slot, side="right"))

    @property
    def poor(self) -> bool:
        return self._tried >= _TRIED and self._fitted * _YIELD < self._tried

    def next(self, size: int) -> Slots:
        found: list[Any] = []
        sure: list[Any] = []
        wanted = size
        while wanted > 0 and self._at < len(self._order) and not self.poor:
            block = self._block(max(2 * wanted, _BLOCK))
            hits = masks(self._look, self._node, block)
            here = np.flatnonzero(hits.may)[:wanted]
            # what is not given now comes first the next time
            examined = len(block) if len(here) < wanted else int(here[-1]) + 1
            self._at += examined
            self._tried += examined
            self._fitted += len(here)
            wanted -= len(here)
            self.reached = int(block[examined - 1])
            found.append(block[here])
            sure.append(hits.must[here])
        nothing = np.zeros(0, np.int64)
        slots = np.concatenate(found) if found else nothing
        return Slots(slots, np.concatenate(sure) if sure else np.zeros(0, bool), last=self._at >= len(self._order))

    def _block(self, size: int) -> Any:
        start, end = self._at, self._at + size
        if not self._descending:
            if start < self._valued:
                return self._order[start : min(end, self._valued)].astype(np.int64)
            return np.sort(self._order[self._valued :])[start - self._valued : end - self._valued].astype(np.int64)
        if start < self._valued:
            end = min(end, self._valued)
            return self._order[self._valued - end : self._valued - start][::-1].astype(np.int64)
        rest = np.sort(self._order[self._valued :])[::-1]
        return rest[start - self._valued : end - self._valued].astype(np.int64)


def valued(look: Look, column: Any, order: Any) -> int:
    """How many slots at the beginning of the order have a value."""
    if column.dtype.kind == "u":
        return int(np.count_nonzero(look.column("live")))
    return int(np.searchsorted(column, np.inf, side="right", sorter=order))


def _signed(array: Any, *, descending: bool) -> Any:
    """Numbers of which less comes first."""
    if not descending:
        return array
    return ~array if array.dtype.kind == "u" else -array


class _Backwards:
    """Any value, compared the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Backwards") -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash(self.value)


def _comparable(key: Key, slots: Any) -> list[Any]:
    """Values that compare between segments, missing ones last."""
    found: list[tuple[Any, ...]] = []
    for value in key.values(slots):
        if value is None:
            found.append((True, 0))
        elif not key.descending:
            found.append((False, value))
        else:
            found.append((False, -value if isinstance(value, int | float) else _Backwards(value)))
    return found
