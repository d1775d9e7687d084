"""The open segment files of the writer: a bounded number of them, and the Bloom filters of all segments."""

import contextlib
import logging
from collections import OrderedDict

import apsw

from flower.store.sqlite.bloom_filter import BloomFilters
from flower.store.sqlite.connection import DISK_FULL_ERRORS
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.segment import DamagedFile, SegmentFile

log = logging.getLogger(__name__)

#: Maximum number of open segments. The Bloom filters have false positives, and opening a file for one costs fifty times
#: as much as the lookup.
_MAX_OPEN_FILES = 64


class SegmentFiles:
    """`active` is the segment that new tasks are inserted into; it remains open and is not sealed."""

    def __init__(self, directory: StoreDirectory, capacity: int) -> None:
        self._directory = directory
        self._capacity = capacity
        self._open: OrderedDict[int, SegmentFile] = OrderedDict()
        self.bloom_filters = BloomFilters()

    def create(self, number: int, first: int) -> SegmentFile:
        """Create the file of a segment whose first key is `first`."""
        file = SegmentFile.create(
            self._directory.segment_path(number), self._directory.columns_path(number), number, first, self._capacity
        )
        self._open[number] = file
        return file

    def open(self, number: int, *, active: bool) -> SegmentFile:
        """Open a segment that is not open yet. Raises DamagedFile."""
        file = SegmentFile(
            self._directory.segment_path(number), self._directory.columns_path(number), number, active=active
        )
        self._open[number] = file
        return file

    def find(self, number: int) -> SegmentFile | None:
        """The segment; None if it is not open."""
        file = self._open.get(number)
        if file is not None:
            self._open.move_to_end(number)
        return file

    def close(self, number: int) -> None:
        file = self._open.pop(number, None)
        if file is not None:
            file.close()

    def close_idle(self, active: int | None) -> None:
        """Close the least recently used files. Only between transactions."""
        for number in list(self._open):
            if len(self._open) <= _MAX_OPEN_FILES:
                break
            if number != active:
                self.close(number)

    def close_all(self) -> None:
        for number in list(self._open):
            self.close(number)

    def delete(self, number: int) -> None:
        """Delete the files of a segment."""
        self.close(number)
        self.bloom_filters.remove_filter(number)
        self._directory.remove(self._directory.segment_path(number))
        self.delete_columns(number)

    def delete_columns(self, number: int) -> None:
        self._directory.columns_path(number).unlink(missing_ok=True)

    def delete_new(self, number: int) -> None:
        """Delete the files of a segment that was created by a write that failed."""
        self.close(number)
        with contextlib.suppress(OSError):
            self._directory.remove(self._directory.segment_path(number))
            self.delete_columns(number)

    def roll_back(self, file: SegmentFile) -> None:
        try:
            file.rollback()
        except (apsw.Error, DamagedFile) as error:
            log.warning("Segment %d was closed after a failed rollback: %s", file.number, error)
            self.close(file.number)

    def seal(self, active: int | None) -> None:
        """Seal open segments that accept no more tasks."""
        for number, file in self._open.items():
            if file.sealed or number == active:
                continue
            try:
                file.seal(self.bloom_filters.to_bytes(number))
            except (*DISK_FULL_ERRORS, apsw.BusyError) as error:
                # the filter is built from the rows when needed
                log.warning("Cannot seal segment %d: %s", number, error)
