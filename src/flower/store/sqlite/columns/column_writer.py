"""A segment's columns as the writer holds them: in step with the rows, or known not to be."""

import errno
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from flower.store.sqlite.columns.builder import build_values, clear_rows, write_chunks, write_orders, write_rows
from flower.store.sqlite.columns.column_file import ColumnFile, ColumnFileInvalid, create_column_file
from flower.store.sqlite.connection import Row

log = logging.getLogger(__name__)


class ColumnWriter:
    """Gathers what a transaction does to the rows and does it to the columns once it is committed."""

    def __init__(self, path: Path, first: int, capacity: int, sequence: int) -> None:
        """`sequence` is what the rows are as of."""
        self._path = path
        self._first, self._capacity = first, capacity
        self._staged: list[Row] = []
        self._removed: list[int] = []
        self._file: ColumnFile | None = None
        try:
            file = ColumnFile(path, first, capacity, writable=True)
            self._file = file if file.sequence == sequence else None
        except ColumnFileInvalid:
            pass

    @property
    def is_valid(self) -> bool:
        """Whether the columns are in step; else `rebuild` makes them so."""
        return self._file is not None

    @property
    def is_sorted(self) -> bool:
        return self._file is not None and int(self._file.header["ordered"]) == self._file.sequence

    def create(self) -> None:
        """Columns of a segment without rows, as of no write yet. Without room on the disk there are none."""
        try:
            self._file = create_column_file(self._path, self._first, self._capacity)
        except OSError as error:
            self._invalidate(error)

    def _invalidate(self, error: OSError) -> None:
        self._file = None
        why = "there is no room for them" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        log.warning("No columns for %s now: %s. Searching it is slower until there are.", self._path.stem, why)

    def put(self, rows: Iterable[Row]) -> None:
        if self._file is not None:
            self._staged.extend(rows)

    def remove(self, ids: Iterable[int]) -> None:
        if self._file is not None:
            self._removed.extend(ids)

    def discard(self) -> None:
        """The transaction came to nothing."""
        self._staged, self._removed = [], []

    def commit(self, sequence: int) -> None:
        """The rows are on the disk, as of this number."""
        rows, removed = self._staged, self._removed
        self.discard()
        file = self._file
        if file is None:
            return
        # what takes long comes before readers are made to wait
        values = build_values(rows) if rows else None
        with file.change(sequence):
            if removed:
                clear_rows(file, removed)
            if values is not None:
                write_rows(file, [row[0] for row in rows], values)

    def rebuild(self, chunks: Iterable[Sequence[Row]], sequence: int) -> bool:
        """Make the columns anew from the rows, as of that number. False if there is no room."""
        self.discard()
        self.create()
        if self._file is None:
            return False
        with self._file.change(sequence):
            write_chunks(self._file, chunks)
        return True

    def sort(self, count: int) -> None:
        """Sort the keys of the first `count` slots, for a segment that hardly changes any more; then all of it goes
        to the disk."""
        file = self._file
        if file is None:
            return
        with file.change(file.sequence):
            write_orders(file, count)
            file.header["ordered"] = file.sequence
        file.sync()

    def sync(self) -> None:
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        self.discard()
        self._file = None
