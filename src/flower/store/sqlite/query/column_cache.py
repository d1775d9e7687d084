"""How much of the files is seen as our memory. Mapped pages belong to the system, which takes them back when it needs
them; but until then they count as ours, and who watches the process cannot tell the difference.

The columns and words of each segment, as of one moment. Any thread."""

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

#: Bytes of files that may be mapped before columns are let go, which costs little ...
MAX_MAPPED_COLUMNS: Final = 96 << 20

#: ... and before the text index is closed, which must be opened again for the next search.
MAX_MAPPED_TEXT: Final = 160 << 20

_CHECK_INTERVAL: Final = 0.1

_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")


def read_mapped_bytes() -> int:
    """Of this process, what it shares with files; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(200).split()[2]) * _PAGE_SIZE
    except (OSError, ValueError, IndexError):
        return 0


class MappedMemoryLimiter:
    """Lets go when much is mapped; looks now and then."""

    def __init__(self, columns: Callable[[], None], text: Callable[[], None]) -> None:
        self._steps = ((MAX_MAPPED_COLUMNS, columns), (MAX_MAPPED_TEXT, text))
        self._next = 0.0
        self._lock = threading.Lock()

    def trim(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if (now < self._next and not at_once) or not self._lock.acquire(blocking=False):
            return
        try:
            self._next = now + _CHECK_INTERVAL
            for most, let_go in self._steps:
                if read_mapped_bytes() <= most:
                    return
                let_go()
        finally:
            self._lock.release()


#: Copies of columns that still change, and columns made from rows because there was no file: so many are kept.
_MAX_COPIES: Final = 2

_ROWS_PER_CHUNK: Final = 10_000

#: Words kept over all segments.
_MAX_CACHED_WORDS: Final = 400_000


class ColumnCache:
    def __init__(self, folder: StoreDirectory, pool: SegmentPool) -> None:
        self._folder = folder
        self._pool = pool
        self._lock = threading.Lock()
        self._files: dict[int, ColumnFile] = {}
        self._copies: OrderedDict[tuple[int, int, int, int], Columns] = OrderedDict()
        self._build_lock = threading.Lock()
        self._dictionaries: OrderedDict[int, tuple[int, WordDictionary]] = OrderedDict()

    def get_columns(self, entry: SegmentInfo, deadline: Deadline) -> Columns:
        """Columns as of the entry or later, that hold still. Raises SegmentGone, WaitedTooLong."""
        file = self._open_file(entry)
        if file is not None:
            if file.order("received") is not None:
                return file  # full, and nothing has changed for a while
            # the columns may be ahead of the entry: how many rows it knows of belongs to what is copied
            known = self._copies.get((entry.number, file.sequence, file.indexed_at, entry.next))
            if known is not None:
                return known
            try:
                return self._store_copy(entry, file.read_consistent(lambda: _copy_columns(file, entry)))
            except ColumnFileInvalid:
                pass
        return self._build_from_rows(entry, deadline)

    def _open_file(self, entry: SegmentInfo) -> ColumnFile | None:
        """The file, if it is as new as the entry."""
        file = self._files.get(entry.number)
        if file is None or file.sequence < entry.sequence:
            try:
                file = ColumnFile(self._folder.columns_path(entry.number), entry.first, entry.capacity)
            except ColumnFileInvalid:
                return None
            self._files[entry.number] = file
        return file if file.sequence >= entry.sequence else None

    def _build_from_rows(self, entry: SegmentInfo, deadline: Deadline) -> Columns:
        """From the rows. One thread at a time: it takes a part of a second and some megabytes."""
        key = (entry.number, entry.sequence, -1, entry.next)
        with self._build_lock:
            known = self._copies.get(key)
            if known is not None:
                return known
            columns = create_in_memory(entry.first, entry.capacity)
            with columns.change(entry.sequence):
                write_chunks(columns, self._iter_rows(entry, deadline))
            columns.header["indexed_at"] = -1
            return self._store_copy(entry, columns)

    def _iter_rows(self, entry: SegmentInfo, deadline: Deadline) -> Any:
        last = -1
        while True:
            with self._pool.acquire(entry, deadline) as segment:
                rows = segment.rows(
                    f"{NARROW_SELECT} WHERE id > ? AND id < ? ORDER BY id LIMIT {_ROWS_PER_CHUNK}", (last, entry.next)
                )
            if not rows:
                return
            yield rows
            last = rows[-1][0]

    def _store_copy(self, entry: SegmentInfo, columns: Columns) -> Columns:
        with self._lock:
            for old in [key for key in self._copies if key[0] == entry.number]:
                del self._copies[old]
            self._copies[(entry.number, columns.sequence, columns.indexed_at, entry.next)] = columns
            while len(self._copies) > _MAX_COPIES:
                self._copies.popitem(last=False)
        return columns

    def get_dictionary(self, entry: SegmentInfo, sequence: int, deadline: Deadline) -> WordDictionary:
        """The dictionary of the segment, as of the sequence or later. Raises SegmentGone, WaitedTooLong."""
        with self._lock:
            known = self._dictionaries.get(entry.number)
            if known is not None and known[0] >= sequence:
                self._dictionaries.move_to_end(entry.number)
                return known[1]
        with self._pool.acquire(entry, deadline) as segment:
            dictionary = WordDictionary(segment.rows("SELECT id, kind, value FROM word"))
        with self._lock:
            self._dictionaries[entry.number] = (sequence, dictionary)
            self._dictionaries.move_to_end(entry.number)
            total = sum(len(dictionary.values) for _, dictionary in self._dictionaries.values())
            while total > _MAX_CACHED_WORDS and len(self._dictionaries) > 1:
                _, (_, gone) = self._dictionaries.popitem(last=False)
                total -= len(gone.values)
        return dictionary

    def retain(self, numbers: set[int]) -> None:
        """Let go of segments that the store does not have any more."""
        with self._lock:
            for gone in self._files.keys() - numbers:
                del self._files[gone]
            for gone in self._dictionaries.keys() - numbers:
                del self._dictionaries[gone]
            for key in [key for key in self._copies if key[0] not in numbers]:
                del self._copies[key]

    def release(self) -> None:
        """Give back the memory in which the files are seen."""
        with self._lock:
            files = list(self._files.values())
        for file in files:
            file.release()

    def close(self) -> None:
        self.retain(set())


class _ColumnCopy(Columns):
    """Columns that nobody changes."""

    def __init__(self, file: Columns, count: int) -> None:
        self.first = file.first
        self.capacity = file.capacity
        self.header = file.header.copy()
        self.arrays = {name: np.array(array[:count]) for name, array in file.arrays.items()}
        self.orders = {}

    def order(self, key: str) -> Any | None:
        return None


def _copy_columns(file: Columns, entry: SegmentInfo) -> Columns:
    return _ColumnCopy(file, entry.next - entry.first)
