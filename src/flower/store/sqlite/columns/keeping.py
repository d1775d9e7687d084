"""A segment's columns as the writer holds them: in step with the rows, or known not to be."""

import errno
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from flower.store.sqlite.columns.file import ColumnFile, Unusable, make
from flower.store.sqlite.columns.fill import order_all, put, put_all, remove, values_of
from flower.store.sqlite.connection import Row

log = logging.getLogger(__name__)


class Keeper:
    """Gathers what a transaction does to the rows and does it to the columns once it is committed."""

    def __init__(self, path: Path, first: int, capacity: int, sequence: int) -> None:
        """`sequence` is what the rows are as of."""
        self._path = path
        self._first, self._capacity = first, capacity
        self._put: list[Row] = []
        self._removed: list[int] = []
        self._file: ColumnFile | None = None
        try:
            file = ColumnFile(path, first, capacity, writable=True)
            self._file = file if file.sequence == sequence else None
        except Unusable:
            pass

    @property
    def kept(self) -> bool:
        """Whether the columns are in step; else `rebuild` makes them so."""
        return self._file is not None

    @property
    def ordered(self) -> bool:
        return self._file is not None and int(self._file.header["ordered"]) == self._file.sequence

    def make(self) -> None:
        """Columns of a segment without rows, as of no write yet. Without room on the disk there are none."""
        try:
            self._file = make(self._path, self._first, self._capacity)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._file = None
        why = "there is no room for them" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        log.warning("No columns for %s now: %s. Searching it is slower until there are.", self._path.stem, why)

    def put(self, rows: Iterable[Row]) -> None:
        if self._file is not None:
            self._put.extend(rows)

    def remove(self, ids: Iterable[int]) -> None:
        if self._file is not None:
            self._removed.extend(ids)

    def forget(self) -> None:
        """The transaction came to nothing."""
        self._put, self._removed = [], []

    def commit(self, sequence: int) -> None:
        """The rows are on the disk, as of this number."""
        rows, removed = self._put, self._removed
        self.forget()
        file = self._file
        if file is None:
            return
        # what takes long comes before readers are made to wait
        values = values_of(rows) if rows else None
        with file.change(sequence):
            if removed:
                remove(file, removed)
            if values is not None:
                put(file, [row[0] for row in rows], values)

    def rebuild(self, chunks: Iterable[Sequence[Row]], sequence: int) -> bool:
        """Make the columns anew from the rows, as of that number. False if there is no room."""
        self.forget()
        self.make()
        if self._file is None:
            return False
        with self._file.change(sequence):
            put_all(self._file, chunks)
        return True

    def order(self, count: int) -> None:
        """Sort the keys of the first `count` slots, for a segment that hardly changes any more; then all of it goes
        to the disk."""
        file = self._file
        if file is None:
            return
        with file.change(file.sequence):
            order_all(file, count)
            file.header["ordered"] = file.sequence
        file.sync()

    def sync(self) -> None:
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        self.forget()
        self._file = None
