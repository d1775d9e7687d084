"""The columns and words of each segment, as of one moment. Any thread."""

import threading
from collections import OrderedDict
from typing import Any, Final

import numpy as np

from flower.store.sqlite.catalogue import Segment
from flower.store.sqlite.codec import Dictionary
from flower.store.sqlite.columns.file import ColumnFile, Columns, Unusable, in_memory
from flower.store.sqlite.columns.fill import NARROW, put_all
from flower.store.sqlite.folder import Folder
from flower.store.sqlite.pool import Deadline, Pool

#: Copies of columns that still change, and columns made from rows because there was no file: so many are kept.
_COPIES: Final = 2
_CHUNK: Final = 10_000
#: Words kept over all segments.
_WORDS: Final = 400_000


class Shelf:
    def __init__(self, folder: Folder, pool: Pool) -> None:
        self._folder = folder
        self._pool = pool
        self._lock = threading.Lock()
        self._files: dict[int, ColumnFile] = {}
        self._copies: OrderedDict[tuple[int, int, int, int], Columns] = OrderedDict()
        self._making = threading.Lock()
        self._words: OrderedDict[int, tuple[int, Dictionary]] = OrderedDict()

    def columns(self, entry: Segment, deadline: Deadline) -> Columns:
        """Columns as of the entry or later, that hold still. Raises SegmentGone, WaitedTooLong."""
        file = self._file(entry)
        if file is not None:
            if file.order("received") is not None:
                return file  # full, and nothing has changed for a while
            # the columns may be ahead of the entry: how many rows it knows of belongs to what is copied
            known = self._copies.get((entry.number, file.sequence, file.indexed_at, entry.next))
            if known is not None:
                return known
            try:
                return self._keep(entry, file.undisturbed(lambda: _copy(file, entry)))
            except Unusable:
                pass
        return self._made(entry, deadline)

    def _file(self, entry: Segment) -> ColumnFile | None:
        """The file, if it is as new as the entry."""
        file = self._files.get(entry.number)
        if file is None or file.sequence < entry.sequence:
            try:
                file = ColumnFile(self._folder.columns(entry.number), entry.first, entry.capacity)
            except Unusable:
                return None
            self._files[entry.number] = file
        return file if file.sequence >= entry.sequence else None

    def _made(self, entry: Segment, deadline: Deadline) -> Columns:
        """From the rows. One thread at a time: it takes a part of a second and some megabytes."""
        key = (entry.number, entry.sequence, -1, entry.next)
        with self._making:
            known = self._copies.get(key)
            if known is not None:
                return known
            columns = in_memory(entry.first, entry.capacity)
            with columns.change(entry.sequence):
                put_all(columns, self._chunks(entry, deadline))
            columns.header["indexed_at"] = -1
            return self._keep(entry, columns)

    def _chunks(self, entry: Segment, deadline: Deadline) -> Any:
        last = -1
        while True:
            with self._pool.borrow(entry, deadline) as segment:
                rows = segment.rows(f"{NARROW} WHERE id > ? AND id < ? ORDER BY id LIMIT {_CHUNK}", (last, entry.next))
            if not rows:
                return
            yield rows
            last = rows[-1][0]

    def _keep(self, entry: Segment, columns: Columns) -> Columns:
        with self._lock:
            for old in [key for key in self._copies if key[0] == entry.number]:
                del self._copies[old]
            self._copies[(entry.number, columns.sequence, columns.indexed_at, entry.next)] = columns
            while len(self._copies) > _COPIES:
                self._copies.popitem(last=False)
        return columns

    def words(self, entry: Segment, sequence: int, deadline: Deadline) -> Dictionary:
        """The dictionary of the segment, as of the sequence or later. Raises SegmentGone, WaitedTooLong."""
        with self._lock:
            known = self._words.get(entry.number)
            if known is not None and known[0] >= sequence:
                self._words.move_to_end(entry.number)
                return known[1]
        with self._pool.borrow(entry, deadline) as segment:
            dictionary = Dictionary(segment.rows("SELECT id, kind, value FROM word"))
        with self._lock:
            self._words[entry.number] = (sequence, dictionary)
            self._words.move_to_end(entry.number)
            total = sum(len(dictionary.values) for _, dictionary in self._words.values())
            while total > _WORDS and len(self._words) > 1:
                _, (_, gone) = self._words.popitem(last=False)
                total -= len(gone.values)
        return dictionary

    def keep_only(self, numbers: set[int]) -> None:
        """Let go of segments that the store does not have any more."""
        with self._lock:
            for gone in self._files.keys() - numbers:
                del self._files[gone]
            for gone in self._words.keys() - numbers:
                del self._words[gone]
            for key in [key for key in self._copies if key[0] not in numbers]:
                del self._copies[key]

    def let_go(self) -> None:
        """Give back the memory in which the files are seen."""
        with self._lock:
            files = list(self._files.values())
        for file in files:
            file.let_go()

    def close(self) -> None:
        self.keep_only(set())


class _Copy(Columns):
    """Columns that nobody changes."""

    def __init__(self, file: Columns, count: int) -> None:
        self.first = file.first
        self.capacity = file.capacity
        self.header = file.header.copy()
        self.arrays = {name: np.array(array[:count]) for name, array in file.arrays.items()}
        self.orders = {}

    def order(self, key: str) -> Any | None:
        return None


def _copy(file: Columns, entry: Segment) -> Columns:
    return _Copy(file, entry.next - entry.first)
