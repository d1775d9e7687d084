"""Group-by counts over several columns, within one segment and over all segments."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flower.quantile_sketch import Sketch
from flower.store.sqlite.columns.layout import NO_BUCKET
from flower.store.sqlite.query.context import SegmentView

#: Maximum cells of a table that is counted into directly; above, only combinations that occur are counted.
_MAX_DENSE_CELLS: Final = 2_000_000
#: facets whose columns have hashes instead of word ids
_HASHED_FACETS: Final = frozenset({"exception", "failure"})
#: facet → column, where the names differ
FACET_COLUMNS: Final = {"worker": "hostname"}


def count_combinations(columns: Sequence[Any], sizes: Sequence[int]) -> tuple[list[Any], Any]:
    """Return each combination of numbers that occurs (one array for each column), and its count.

    `sizes`: for each column, one more than its greatest number.
    """
    cells = 1
    for size in sizes:
        cells *= size
    if cells >= 2**63:
        return _count_unique_rows(columns)
    if cells <= _MAX_DENSE_CELLS:
        cell_numbers = _encode_cells(columns, sizes)
        counts = np.bincount(cell_numbers, minlength=1)
        occurring = np.flatnonzero(counts)
        return _decode_cells(occurring, sizes), counts[occurring]
    cell_numbers, counts = np.unique(_encode_cells(columns, sizes), return_counts=True)
    return _decode_cells(cell_numbers, sizes), counts


def _encode_cells(columns: Sequence[Any], sizes: Sequence[int]) -> Any:
    cell_numbers = columns[0].astype(np.int64)
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        cell_numbers *= size
        cell_numbers += column
    return cell_numbers


def _decode_cells(cell_numbers: Any, sizes: Sequence[int]) -> list[Any]:
    columns = []
    for size in reversed(sizes[1:]):
        cell_numbers, remainder = np.divmod(cell_numbers, size)
        columns.append(remainder)
    return [cell_numbers, *reversed(columns)]


def _count_unique_rows(columns: Sequence[Any]) -> tuple[list[Any], Any]:
    unique, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    return list(unique.T), counts


class GroupNumbering:
    """Assigns a number to each distinct value of a facet, over all segments; or, with `values`, to these only: all
    others have the number `len(values)`."""

    def __init__(self, values: Sequence[Any] | None = None) -> None:
        self.values: list[Any] = [] if values is None else list(values)
        self._numbers: dict[Any, int] = {value: number for number, value in enumerate(self.values)}
        self._is_fixed = values is not None

    def __len__(self) -> int:
        return len(self.values)

    def assign(self, value: Any) -> int:
        number = self._numbers.get(value)
        if number is None:
            if self._is_fixed:
                return len(self.values)
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number

    def assign_rows(self, view: SegmentView, facet: str, slots: Any) -> Any:
        """Return the group number of each of these rows. Raises DeadlineExceeded."""
        column = view.column(FACET_COLUMNS.get(facet, facet))[slots]
        if facet in _HASHED_FACETS:
            values, indexes = np.unique(column, return_inverse=True)
            numbers = [self.assign(value) for value in view.ctx.deadline.check_during(values.tolist())]
            return np.array(numbers, np.int64)[indexes]
        counts = np.bincount(column, minlength=1)
        table = np.zeros(len(counts), np.int64)
        words = view.dictionary.values
        for number in view.ctx.deadline.check_during(np.flatnonzero(counts).tolist()):
            table[number] = self.assign(words[number] if number else None)
        return table[column]


class CountGrid:
    """Counts by group and a second number, over all segments; grows with the number of groups."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.cells = np.zeros((8, width), np.int64)

    def add(self, groups: Any, numbers: Any, group_count: int) -> None:
        """Count rows: the group and the second number of each. `group_count`: the present number of groups."""
        if len(groups):
            (rows, columns), counts = count_combinations((groups, numbers), (group_count, self.width))
            self.add_counts(rows, columns, counts, group_count)
        else:
            self._ensure_size(group_count)

    def add_counts(self, groups: Any, numbers: Any, counts: Any, group_count: int) -> None:
        """Add counts of distinct cells."""
        self._ensure_size(group_count)
        self.cells[groups, numbers] += counts

    def _ensure_size(self, group_count: int) -> None:
        if group_count > len(self.cells):
            grown = np.zeros((max(group_count, 2 * len(self.cells)), self.width), np.int64)
            grown[: len(self.cells)] = self.cells
            self.cells = grown


class GroupSketches:
    """A quantile sketch for each group."""

    def __init__(self, buckets: int) -> None:
        self._grid = CountGrid(buckets)

    def add(self, groups: Any, buckets: Any, group_count: int) -> None:
        has_bucket = buckets != NO_BUCKET
        if has_bucket.all():
            self._grid.add(groups, buckets, group_count)
        else:
            self._grid.add(groups[has_bucket], buckets[has_bucket], group_count)

    def sketch(self, group: int) -> Sketch:
        return sketch_from_counts(self._grid.cells[group]) if group < len(self._grid.cells) else Sketch()

    def total(self) -> Sketch:
        return sketch_from_counts(self._grid.cells.sum(axis=0))


def sketch_from_counts(counts: Any) -> Sketch:
    """Return the sketch with these counts by bucket."""
    buckets = np.flatnonzero(counts)
    return Sketch(dict(zip(buckets.tolist(), counts[buckets].tolist(), strict=True)))
