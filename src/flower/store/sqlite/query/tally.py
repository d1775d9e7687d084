"""Counting rows by several numbers at once, within a segment and over all of them."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flower.sketch import Sketch
from flower.store.sqlite.columns.layout import NO_BUCKET
from flower.store.sqlite.query.question import Look

#: Cells of a table that is counted into directly; beyond, the numbers that occur are sorted out first.
_CELLS: Final = 2_000_000
_HASHED: Final = frozenset({"exception", "failure"})
#: Column of a facet.
COLUMN: Final = {"worker": "hostname"}


def tally(columns: Sequence[Any], sizes: Sequence[int]) -> tuple[list[Any], Any]:
    """Each combination of numbers that occurs (an array for each column), and how often. `sizes`: one more than
    the greatest number of each column."""
    cells = 1
    for size in sizes:
        cells *= size
    if cells <= _CELLS or cells >= 2**63:
        if cells >= 2**63:
            return _unique(columns)
        joined = _joined(columns, sizes)
        counts = np.bincount(joined, minlength=1)
        found = np.flatnonzero(counts)
        return _apart(found, sizes), counts[found]
    joined, counts = np.unique(_joined(columns, sizes), return_counts=True)
    return _apart(joined, sizes), counts


def _joined(columns: Sequence[Any], sizes: Sequence[int]) -> Any:
    joined = columns[0].astype(np.int64)
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        joined *= size
        joined += column
    return joined


def _apart(joined: Any, sizes: Sequence[int]) -> list[Any]:
    found = []
    for size in reversed(sizes[1:]):
        joined, rest = np.divmod(joined, size)
        found.append(rest)
    return [joined, *reversed(found)]


def _unique(columns: Sequence[Any]) -> tuple[list[Any], Any]:
    found, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    return list(found.T), counts


class Groups:
    """The values of a facet that occur, numbered over all segments."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self.values: list[Any] = []

    def __len__(self) -> int:
        return len(self.values)

    def number(self, value: Any) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found

    def of(self, look: Look, facet: str, slots: Any) -> Any:
        """The group of each of these rows."""
        column = look.column(COLUMN.get(facet, facet))[slots]
        if facet in _HASHED:
            values, places = np.unique(column, return_inverse=True)
            numbers = [self.number(value) for value in values.tolist()]
            return np.array(numbers, np.int64)[places]
        counts = np.bincount(column, minlength=1)
        table = np.zeros(len(counts), np.int64)
        words = look.words.values
        for number in np.flatnonzero(counts).tolist():
            table[number] = self.number(words[number] if number else None)
        return table[column]


class Grid:
    """Counts by group and a second number, over all segments; it grows as groups come."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.cells = np.zeros((8, width), np.int64)

    def add(self, groups: Any, numbers: Any, count: int) -> None:
        """`count`: how many groups there are by now."""
        if len(groups):
            (which, number), counts = tally((groups, numbers), (count, self.width))
            self.put(which, number, counts, count)
        else:
            self._grow(count)

    def put(self, groups: Any, numbers: Any, counts: Any, count: int) -> None:
        """Counts of distinct cells."""
        self._grow(count)
        self.cells[groups, numbers] += counts

    def _grow(self, count: int) -> None:
        if count > len(self.cells):
            grown = np.zeros((max(count, 2 * len(self.cells)), self.width), np.int64)
            grown[: len(self.cells)] = self.cells
            self.cells = grown


class Sketches:
    """Sketches by group."""

    def __init__(self, buckets: int) -> None:
        self._grid = Grid(buckets)

    def add(self, groups: Any, buckets: Any, count: int) -> None:
        known = buckets != NO_BUCKET
        if known.all():
            self._grid.add(groups, buckets, count)
        else:
            self._grid.add(groups[known], buckets[known], count)

    def sketch(self, group: int) -> Sketch:
        return sketch_of(self._grid.cells[group]) if group < len(self._grid.cells) else Sketch()

    def total(self) -> Sketch:
        return sketch_of(self._grid.cells.sum(axis=0))


def sketch_of(counts: Any) -> Sketch:
    found = np.flatnonzero(counts)
    return Sketch(dict(zip(found.tolist(), counts[found].tolist(), strict=True)))
