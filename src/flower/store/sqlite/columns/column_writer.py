"""The writer's columns of one segment: synchronized with the rows, or known to be invalid."""

import errno
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flower.store.sqlite.columns.builder import (
    Values,
    build_values,
    clear_rows,
    find_value_range,
    write_chunks,
    write_orders,
    write_rows,
)
from flower.store.sqlite.columns.column_file import ColumnFile, ColumnFileInvalid, create_column_file
from flower.store.sqlite.connection import Row

log = logging.getLogger(__name__)


class ColumnWriter:
    """Collects the row changes of a transaction and applies them to the columns after the commit."""

    def __init__(self, path: Path, first: int, capacity: int, sequence: int) -> None:
        """`sequence`: change sequence of the rows."""
        self._path = path
        self._first, self._capacity = first, capacity
        self._staged: list[tuple[Sequence[int], Values]] = []
        self._removed: list[int] = []
        self._file: ColumnFile | None = None
        try:
            file = ColumnFile(path, first, capacity, writable=True)
            self._file = file if file.sequence == sequence else None
        except ColumnFileInvalid:
            pass

    @property
    def is_valid(self) -> bool:
        """Whether the columns are synchronized with the rows; otherwise `rebuild` is needed."""
        return self._file is not None

    @property
    def is_sorted(self) -> bool:
        return self._file is not None and int(self._file.header["ordered"]) == self._file.sequence

    def _verify_size(self) -> bool:
        """Discard the columns if the file was truncated; `rebuild` creates another one."""
        if self._file is not None and not self._file.is_complete:
            log.warning("Column file %s was truncated while it was in use; it is rebuilt from the rows", self._path)
            self._file = None
        return self._file is not None

    def verify_present(self) -> bool:
        """Whether the columns are valid and the file still exists, with its size."""
        if self._verify_size() and not self._path.exists():
            self._file = None
        return self._file is not None

    def create(self) -> None:
        """Create the columns of a segment without rows. If the disk is full, the segment has no columns."""
        try:
            self._file = create_column_file(self._path, self._first, self._capacity)
        except OSError as error:
            self._invalidate(error)

    def _invalidate(self, error: OSError) -> None:
        self._file = None
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        log.warning(
            "Cannot create the column file of %s: %s. Searching it is slower until the file is created.",
            self._path.stem,
            reason,
        )

    def put(self, columns: Sequence[Sequence[Any]]) -> Values:
        """Return the values of rows; `commit` writes them. `columns`: all values of each of TASK_COLUMNS."""
        values = build_values(columns)
        if self._file is not None:
            self._staged.append((columns[0], values))
        return values

    def remove(self, ids: Iterable[int]) -> None:
        if self._file is not None:
            self._removed.extend(ids)

    def discard(self) -> None:
        """Drop the changes of a transaction that was rolled back."""
        self._staged, self._removed = [], []

    def commit(self, sequence: int) -> None:
        """Apply the changes of a transaction that is on disk, as of this change sequence."""
        staged, removed = self._staged, self._removed
        self.discard()
        file = self._file
        if file is None or not self._verify_size():
            return
        with file.change(sequence):
            if removed:
                clear_rows(file, removed)
            for ids, values in staged:
                write_rows(file, ids, values)

    def rebuild(self, chunks: Iterable[Sequence[Row]], sequence: int) -> bool:
        """Rebuild the columns from the rows, as of this change sequence. Return False if the disk is full."""
        self.discard()
        self.create()
        if self._file is None:
            return False
        with self._file.change(sequence):
            write_chunks(self._file, chunks)
        return True

    def value_range(self, name: str, count: int) -> list[float]:
        """Return the lowest and the highest value of a column of reals in the first `count` slots; [] without any."""
        if self._file is None:
            return []
        return find_value_range(self._file[name][:count][self._file["live"][:count] == 1])

    def sort(self, count: int) -> None:
        """Store the orders of the first `count` slots, for a segment that rarely changes, then sync the file."""
        file = self._file
        if file is None or not self._verify_size():
            return
        with file.change(file.sequence):
            write_orders(file, count)
            file.header["ordered"] = file.sequence
        file.sync()
        file.release()  # sorting has read all of it

    def release(self) -> None:
        """Give the memory of the mapped file back to the system, which reads it again when it is needed."""
        if self._file is not None:
            self._file.release()

    def close(self) -> None:
        self.discard()
        self._file = None
