"""Cache of the columns and dictionaries of segments, and the limit of the memory in which column files are mapped."""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.columns.builder import NARROW_SELECT, write_chunks
from flower.store.sqlite.columns.column_file import ColumnFile, ColumnFileInvalid, Columns, create_in_memory
from flower.store.sqlite.connection_pool import Deadline, SegmentPool
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.row_codec import WordDictionary

log = logging.getLogger(__name__)

#: Bytes of mapped files above which the columns are released (cheap) ...
MAX_MAPPED_COLUMNS: Final = 64 << 20
#: ... and above which the text index is closed too (the next search has to open it again).
MAX_MAPPED_TEXT: Final = 128 << 20
_CHECK_INTERVAL: Final = 0.1
_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")
#: maximum copies of columns that still change, or that were built from rows because there was no file
_MAX_COPIES: Final = 2
_ROWS_PER_CHUNK: Final = 10_000
#: `Columns.indexed_at` of columns that were not read from a file
_BUILT_FROM_ROWS: Final = -1
#: maximum words in the dictionaries of all segments
_MAX_CACHED_WORDS: Final = 400_000


def read_mapped_bytes() -> int:
    """Return the resident file-backed memory of this process in bytes; 0 where the system does not report it."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(200).split()[2]) * _PAGE_SIZE
    except (OSError, ValueError, IndexError):
        return 0


class MappedMemoryLimiter:
    """Releases mapped memory above a limit; checks at most every 0.1 s.

    The system reclaims mapped pages when it needs memory, but until then monitoring tools count them as memory of the
    process.
    """

    def __init__(self, release_columns: Callable[[], None], close_text: Callable[[], None]) -> None:
        self._steps = ((MAX_MAPPED_COLUMNS, release_columns), (MAX_MAPPED_TEXT, close_text))
        self._next_check = 0.0
        self._lock = threading.Lock()

    def trim(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if (now < self._next_check and not at_once) or not self._lock.acquire(blocking=False):
            return
        try:
            self._next_check = now + _CHECK_INTERVAL
            for max_bytes, release in self._steps:
                if read_mapped_bytes() <= max_bytes:
                    return
                release()
        finally:
            self._lock.release()


class ColumnCache:
    """Columns and dictionaries of segments. Thread-safe."""

    def __init__(self, directory: StoreDirectory, pool: SegmentPool) -> None:
        self._directory = directory
        self._pool = pool
        self._lock = threading.Lock()
        self._files: dict[int, ColumnFile] = {}
        self._copies: OrderedDict[tuple[int, int, int, int], Columns] = OrderedDict()
        self._build_lock = threading.Lock()
        self._logged: set[int] = set()
        #: by segment, the column file with invalid content (`Columns.instance_id`)
        self._rejected: dict[int, int] = {}
        #: by segment, the column file (`Columns.instance_id`) and change sequence whose number of rows was checked
        self._verified: dict[int, tuple[int, int]] = {}
        self._dictionaries: OrderedDict[int, tuple[int, WordDictionary]] = OrderedDict()

    def get_columns(self, segment: SegmentInfo, deadline: Deadline) -> Columns:
        """Return columns that do not change, as of the segment's change sequence or later.

        Raises SegmentUnavailable, DeadlineExceeded.
        """
        file = self._open_file(segment)
        if file is not None:
            if file.order("received") is not None and self._verify_rows(file, segment):
                return file  # full and unchanged for some time
            # the columns may be newer than the metadata, so a copy is identified by the number of rows in the metadata
            cached = self._copies.get((segment.number, file.sequence, file.indexed_at, segment.next))
            if cached is not None:
                return cached
            try:
                copy = file.read_consistent(lambda: _copy_columns(file, segment))
                if self._verify_rows(copy, segment):
                    return self._store_copy(segment, copy)
            except ColumnFileInvalid:
                pass
        return self._build_from_rows(segment, deadline)

    def find_slots(self, segment: SegmentInfo, find: Callable[[Columns], Any]) -> Any | None:
        """Return the slots below `segment.next` that `find` returns for the columns of a segment that still changes.

        The columns are not copied, which takes a millisecond for 60,000 rows, and may be newer than the segment.
        None if the segment no longer changes, or has no usable file: `get_columns` returns its columns.
        """
        file = self._open_file(segment)
        if file is None or file.order("received") is not None:
            return None
        count = segment.next - segment.first

        def read() -> tuple[Any, int, int]:
            return find(file), file.sequence, int(np.count_nonzero(file["live"][:count] == 1))

        try:
            slots, sequence, rows = file.read_consistent(read)
        except ColumnFileInvalid:
            return None
        return None if sequence == segment.sequence and rows != segment.rows else slots[slots < count]

    def _open_file(self, segment: SegmentInfo) -> ColumnFile | None:
        """Return the column file, if it is as new as the segment's metadata."""
        file = self._files.get(segment.number)
        if file is not None and not file.is_complete:
            file = None
            del self._files[segment.number]
        if file is None or file.sequence < segment.sequence:
            try:
                file = ColumnFile(self._directory.columns_path(segment.number), segment.first, segment.capacity)
            except ColumnFileInvalid as error:
                self._log_invalid(segment.number, error)
                return None
            self._files[segment.number] = file
        is_rejected = self._rejected.get(segment.number) == file.instance_id
        return file if file.sequence >= segment.sequence and not is_rejected else None

    def _verify_rows(self, columns: Columns, segment: SegmentInfo) -> bool:
        """Whether the columns have as many rows as the segment; checked once for each state of a file."""
        if columns.sequence != segment.sequence or segment.number in self._rejected:
            return True
        state = (columns.instance_id, columns.sequence)
        if self._verified.get(segment.number) == state:
            return True
        rows = int(np.count_nonzero(columns["live"][: segment.next - segment.first] == 1))
        if rows != segment.rows and columns.sequence == segment.sequence:
            self.reject(columns, segment.number)
            return False
        self._verified[segment.number] = state
        return True

    def reject(self, columns: Columns, number: int) -> bool:
        """Do not use this column file again, because its content is invalid. The writer rebuilds a reported one. Return
        False if the columns were built from the rows: these are damaged, or the dictionary is."""
        if columns.indexed_at == _BUILT_FROM_ROWS:
            return False
        self._rejected[number] = columns.instance_id
        with self._lock:
            for key in [key for key in self._copies if key[0] == number]:
                del self._copies[key]
        self._pool.reports.add(self._directory.columns_path(number).name, "invalid content")
        return True

    def _log_invalid(self, number: int, error: Exception) -> None:
        """Log once that a column file is damaged. A missing one is being created, or the disk is full."""
        path = self._directory.columns_path(number)
        if path.exists() and number not in self._logged:
            self._logged.add(number)
            log.warning("Column file %s is not used (%s): it is rebuilt from the rows", path, error)

    def _build_from_rows(self, segment: SegmentInfo, deadline: Deadline) -> Columns:
        """Build the columns from the rows. One thread at a time: it takes some 100 ms and some megabytes."""
        key = (segment.number, segment.sequence, _BUILT_FROM_ROWS, segment.next)
        with self._build_lock:
            cached = self._copies.get(key)
            if cached is not None:
                return cached
            columns = create_in_memory(segment.first, segment.capacity)
            with columns.change(segment.sequence):
                write_chunks(columns, self._iter_rows(segment, deadline))
            columns.header["indexed_at"] = _BUILT_FROM_ROWS
            return self._store_copy(segment, columns)

    def _iter_rows(self, segment: SegmentInfo, deadline: Deadline) -> Any:
        last = -1
        while True:
            with self._pool.acquire(segment, deadline) as connection:
                sql = f"{NARROW_SELECT} WHERE id > ? AND id < ? ORDER BY id LIMIT {_ROWS_PER_CHUNK}"
                rows = connection.rows(sql, (last, segment.next))
            if not rows:
                return
            yield rows
            last = rows[-1][0]

    def _store_copy(self, segment: SegmentInfo, columns: Columns) -> Columns:
        with self._lock:
            for old in [key for key in self._copies if key[0] == segment.number]:
                del self._copies[old]
            self._copies[(segment.number, columns.sequence, columns.indexed_at, segment.next)] = columns
            while len(self._copies) > _MAX_COPIES:
                self._copies.popitem(last=False)
        return columns

    def get_dictionary(self, segment: SegmentInfo, sequence: int, deadline: Deadline) -> WordDictionary:
        """Return the dictionary of the segment, as of the sequence or later.

        Raises SegmentUnavailable, DeadlineExceeded.
        """
        with self._lock:
            cached = self._dictionaries.get(segment.number)
            if cached is not None and cached[0] >= sequence:
                self._dictionaries.move_to_end(segment.number)
                return cached[1]
        with self._pool.acquire(segment, deadline) as connection:
            rows = connection.rows("SELECT id, kind, value FROM word")
            dictionary = WordDictionary(deadline.check_during(rows))
        with self._lock:
            self._dictionaries[segment.number] = (sequence, dictionary)
            self._dictionaries.move_to_end(segment.number)
            total = sum(len(dictionary.values) for _, dictionary in self._dictionaries.values())
            while total > _MAX_CACHED_WORDS and len(self._dictionaries) > 1:
                _, (_, evicted) = self._dictionaries.popitem(last=False)
                total -= len(evicted.values)
        return dictionary

    def retain(self, numbers: set[int]) -> None:
        """Keep only these segments."""
        with self._lock:
            for number in self._files.keys() - numbers:
                del self._files[number]
            for number in self._dictionaries.keys() - numbers:
                del self._dictionaries[number]
            for key in [key for key in self._copies if key[0] not in numbers]:
                del self._copies[key]

    def release(self) -> None:
        """Release the memory in which the files are mapped."""
        with self._lock:
            files = list(self._files.values())
        for file in files:
            file.release()

    def close(self) -> None:
        self.retain(set())


class _ColumnCopy(Columns):
    """Copy of the first `count` slots, without orders."""

    def __init__(self, file: Columns, count: int) -> None:
        self.first = file.first
        self.capacity = file.capacity
        self.header = file.header.copy()
        self.arrays = {name: np.array(array[:count]) for name, array in file.arrays.items()}
        self.orders = {}

    def order(self, key: str) -> Any | None:
        return None


def _copy_columns(file: Columns, segment: SegmentInfo) -> Columns:
    return _ColumnCopy(file, segment.next - segment.first)
