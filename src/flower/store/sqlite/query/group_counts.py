"""Counting rows by several numbers at once, within a segment and over all of them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flower.quantile_sketch import Sketch
from flower.store.sqlite.columns.layout import NO_BUCKET
from flower.store.sqlite.query.context import SegmentView

#: Cells of a table that is counted into directly; beyond, the numbers that occur are sorted out first.
_MAX_DENSE_CELLS: Final = 2_000_000
_HASHED_FACETS: Final = frozenset({"exception", "failure"})
#: Column of a facet.
FACET_COLUMNS: Final = {"worker": "hostname"}


def count_combinations(columns: Sequence[Any], sizes: Sequence[int]) -> tuple[list[Any], Any]:
    """Each combination of numbers that occurs (an array for each column), and how often. `sizes`: one more than
    the greatest number of each column."""
    cells = 1
    for size in sizes:
        cells *= size
    if cells <= _MAX_DENSE_CELLS or cells >= 2**63:
        if cells >= 2**63:
            return _count_unique_rows(columns)
        joined = _encode_cells(columns, sizes)
        counts = np.bincount(joined, minlength=1)
        found = np.flatnonzero(counts)
        return _decode_cells(found, sizes), counts[found]
    joined, counts = np.unique(_encode_cells(columns, sizes), return_counts=True)
    return _decode_cells(joined, sizes), counts


def _encode_cells(columns: Sequence[Any], sizes: Sequence[int]) -> Any:
    joined = columns[0].astype(np.int64)
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        joined *= size
        joined += column
    return joined


def _decode_cells(joined: Any, sizes: Sequence[int]) -> list[Any]:
    found = []
    for size in reversed(sizes[1:]):
        joined, rest = np.divmod(joined, size)
        found.append(rest)
    return [joined, *reversed(found)]


def _count_unique_rows(columns: Sequence[Any]) -> tuple[list[Any], Any]:
    found, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    return list(found.T), counts


class GroupNumbering:
    """The values of a facet that occur, numbered over all segments."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.values: list[Any] = []

    def __len__(self) -> int:
        return len(self.values)

    def assign(self, value: Any) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found

    def assign_rows(self, look: SegmentView, facet: str, slots: Any) -> Any:
        """The group of each of these rows."""
        column = look.column(FACET_COLUMNS.get(facet, facet))[slots]
        if facet in _HASHED_FACETS:
            values, places = np.unique(column, return_inverse=True)
            numbers = [self.assign(value) for value in values.tolist()]
            return np.array(numbers, np.int64)[places]
        counts = np.bincount(column, minlength=1)
        table = np.zeros(len(counts), np.int64)
        words = look.dictionary.values
        for number in np.flatnonzero(counts).tolist():
            table[number] = self.assign(words[number] if number else None)
        return table[column]


class CountGrid:
    """Counts by group and a second number, over all segments; it grows as groups come."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.cells = np.zeros((8, width), np.int64)

    def add(self, groups: Any, numbers: Any, count: int) -> None:
        """`count`: how many groups there are by now."""
        if len(groups):
            (which, number), counts = count_combinations((groups, numbers), (count, self.width))
            self.add_counts(which, number, counts, count)
        else:
            self._ensure_size(count)

    def add_counts(self, groups: Any, numbers: Any, counts: Any, count: int) -> None:
        """Counts of distinct cells."""
        self._ensure_size(count)
        self.cells[groups, numbers] += counts

    def _ensure_size(self, count: int) -> None:
        if count > len(self.cells):
            grown = np.zeros((max(count, 2 * len(self.cells)), self.width), np.int64)
            grown[: len(self.cells)] = self.cells
            self.cells = grown


class GroupSketches:
    """Sketches by group."""

    def __init__(self, buckets: int) -> None:
        self._grid = CountGrid(buckets)

    def add(self, groups: Any, buckets: Any, count: int) -> None:
        known = buckets != NO_BUCKET
        if known.all():
            self._grid.add(groups, buckets, count)
        else:
            self._grid.add(groups[known], buckets[known], count)

    def sketch(self, group: int) -> Sketch:
        return sketch_from_counts(self._grid.cells[group]) if group < len(self._grid.cells) else Sketch()

    def total(self) -> Sketch:
        return sketch_from_counts(self._grid.cells.sum(axis=0))


def sketch_from_counts(counts: Any) -> Sketch:
    found = np.flatnonzero(counts)
    return Sketch(dict(zip(found.tolist(), counts[found].tolist(), strict=True)))
