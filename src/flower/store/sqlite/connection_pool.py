"""Open segments of a reader: acquired by any thread for one statement, and closed when unused, so that a slow query
does not block other threads."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

import apsw
import msgspec

from flower.errors import DeadlineExceeded
from flower.records import Task
from flower.store.sqlite.bloom_filter import bloom_bits
from flower.store.sqlite.catalog import SegmentInfo, decode_segment_info
from flower.store.sqlite.connection import READ_DAMAGE_ERRORS, Row, fetch_rows, open_for_reading
from flower.store.sqlite.damage import DamageReports
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.file_header import read_file_state
from flower.store.sqlite.migration import provide_present_format
from flower.store.sqlite.row_codec import DamagedRow, WordDictionary, decode_readable_fields, decode_row, has_id
from flower.store.sqlite.sql_where import register_functions

T = TypeVar("T")

#: Maximum number of idle connections, over all segments ...
MAX_IDLE_CONNECTIONS: Final = 100
#: ... and how many of them, the last used ones, keep their page cache
MAX_PAGE_CACHES: Final = 16
#: Steps of SQLite's virtual machine between two checks of the deadline: tens of microseconds.
_PROGRESS_STEPS: Final = 5_000
#: Items of a loop between two checks of the deadline: a millisecond.
_ITEMS_PER_CHECK: Final = 2_000

#: inode, size and time of the last change
_FileState: TypeAlias = tuple[int, int, int]


class Deadline:
    """Time limit of a result, or of the next part of it."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._at = 0.0
        self.restart()

    def restart(self) -> None:
        """Start the time limit again, after a part of the result was delivered."""
        if self._seconds is not None:
            self._at = time.monotonic() + self._seconds

    def is_expired(self) -> bool:
        return self._seconds is not None and time.monotonic() > self._at

    def timeout_error(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The query took longer than {self._seconds:g} s", hint="narrow the query by state, name or time"
        )

    def raise_if_expired(self) -> None:
        if self.is_expired():
            raise self.timeout_error()

    def check_during(self, items: Iterable[T]) -> Iterator[T]:
        """The items. Raises DeadlineExceeded when the time limit is reached between them."""
        iterator = iter(items)
        while part := list(islice(iterator, _ITEMS_PER_CHECK)):
            self.raise_if_expired()
            yield from part


class SegmentUnavailable(Exception):
    """The segment, or the part of it that a query needs, cannot be read: removed by retention, or damaged."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class OpenSegment:
    """A connection to a segment, and the dictionary of the segment."""

    def __init__(self, directory: StoreDirectory, entry: SegmentInfo, reports: DamageReports) -> None:
        self.number = entry.number
        self.entry = entry
        self.deadline = Deadline(None)
        self._reports = reports
        path = directory.segment_path(entry.number)
        self._file_name = path.name
        self._db = open_for_reading(path)
        try:
            register_functions(self._db)
            self._db.set_progress_handler(self._is_deadline_expired, _PROGRESS_STEPS)
            provide_present_format(self._db)
            # fails if a table is missing
            self.rows("SELECT 1 FROM word, task LIMIT 0")
            self.file_state = read_file_state(path)
            #: the entry that the file contains
            self.own_entry = _read_own_entry(self.rows("SELECT value FROM info WHERE key='segment'"), entry)
            # loaded when a row contains an unknown word
            self.dictionary = WordDictionary()
        except BaseException:
            self._db.close()
            raise

    def _is_deadline_expired(self) -> bool:
        return self.deadline.is_expired()

    def reload_dictionary(self) -> None:
        """Read the words that were added since the last call."""
        self.dictionary.load(self.rows("SELECT id, kind, value FROM word WHERE id > ?", (self._max_word_id(),)))

    def _max_word_id(self) -> int:
        return self.dictionary.last_id if len(self.dictionary.values) > 1 else 0

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        return fetch_rows(self._db, sql, values)

    def rows_by_id(self, sql: str, ids: Sequence[int], condition: str = "", values: Sequence[Any] = ()) -> list[Row]:
        """The rows with these ids (`sql` ends before WHERE) that can be read. Unreadable ones are left out and reported
        as damage, so that a damaged page affects only its own rows."""
        if not ids:
            return []
        first, last = min(ids), max(ids)
        if first == last:
            id_condition = f"id = {first}"  # a range also reads the page of the next row
        elif last - first + 1 == len(ids):
            id_condition = f"id BETWEEN {first} AND {last}"
        else:
            id_condition = f"id IN ({','.join(map(str, ids))})"
        try:
            return self.rows(f"{sql} WHERE {id_condition}{condition}", values)
        except (*READ_DAMAGE_ERRORS, UnicodeDecodeError) as error:
            self._reports.add(self._file_name, error, self.entry)
        self.deadline.raise_if_expired()
        if len(ids) == 1:
            return []
        ordered, middle = sorted(ids), len(ids) // 2
        halves = (ordered[:middle], ordered[middle:])
        return [row for half in halves for row in self.rows_by_id(sql, half, condition, values)]

    def decode_task(self, row: Row) -> Task | None:
        """The task of a row, without the fields that cannot be decoded; None if it has no id, which is reported."""
        try:
            return decode_row(row, self.dictionary.values)
        except KeyError:
            self.reload_dictionary()
        except DamagedRow:
            pass
        try:
            return decode_row(row, self.dictionary.values)
        except (KeyError, DamagedRow):
            if not has_id(row):
                self._reports.add(self._file_name, f"row {row[0]} has no id", self.entry)
                return None
            task, fields = decode_readable_fields(row, self.dictionary.values)
            self._reports.log_row(self._file_name, task.uuid, fields)
            return task

    def read_bloom_filter(self, capacity: int) -> bytes | None:
        """The stored Bloom filter; None if there is none of this size."""
        rows = self.rows("SELECT value FROM info WHERE key='bloom'")
        if rows and isinstance(rows[0][0], bytes) and len(rows[0][0]) * 8 == bloom_bits(capacity):
            return rows[0][0]
        return None

    def release_page_cache(self) -> None:
        self._db.release_memory()

    def close(self) -> None:
        self._db.close()


def _read_own_entry(rows: Sequence[Row], entry: SegmentInfo) -> SegmentInfo:
    """The entry in the file; `entry` if it is damaged."""
    try:
        return decode_segment_info(rows[0][0])
    except (IndexError, TypeError, msgspec.MsgspecError):
        return entry


class SegmentPool:
    """Pool of open segments."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        #: idle connections, least recently used first
        self._idle: OrderedDict[int, list[OpenSegment]] = OrderedDict()
        self._count = 0
        self._closed = False
        self.reports = DamageReports(directory)
        #: segments that cannot be opened, with the state of their file
        self._unreadable: dict[int, _FileState] = {}
        #: entries of segments that lost their last writes, as the files contain them
        self.older_entries: dict[int, SegmentInfo] = {}
        self._has_missing_files = False

    def is_unreadable(self, number: int) -> bool:
        """Whether the segment could not be opened, and its file has not changed since."""
        state = self._unreadable.get(number)
        if state is None:
            return False
        if state == self._file_state(number):
            return True
        self._unreadable.pop(number, None)
        return False

    def unreadable_numbers(self) -> set[int]:
        return {number for number in list(self._unreadable) if self.is_unreadable(number)}

    @contextmanager
    def acquire(self, entry: SegmentInfo, deadline: Deadline) -> Iterator[OpenSegment]:
        """Raises SegmentUnavailable, DeadlineExceeded."""
        deadline.raise_if_expired()
        if self.is_unreadable(entry.number):
            raise SegmentUnavailable(entry.number)
        segment = self._take_current(entry.number) or self._open(entry)
        segment.deadline = deadline
        is_damaged = False
        try:
            yield segment
        except apsw.InterruptError:
            raise deadline.timeout_error() from None
        except READ_DAMAGE_ERRORS as error:
            is_damaged = True
            self.report_damage(entry, error)
            raise SegmentUnavailable(entry.number) from error
        finally:
            if is_damaged:
                segment.close()
            else:
                self._release(segment)

    def _open(self, entry: SegmentInfo) -> OpenSegment:
        try:
            segment = OpenSegment(self._directory, entry, self.reports)
            if segment.own_entry.sequence < entry.sequence:
                self.report_damage(entry, "the last writes are missing")
                self.older_entries[entry.number] = segment.own_entry
            else:
                self.older_entries.pop(entry.number, None)
            return segment
        except apsw.InterruptError:
            raise
        except (*READ_DAMAGE_ERRORS, apsw.CantOpenError, apsw.ReadOnlyError, apsw.SQLError, KeyError) as error:
            self.mark_unreadable(entry, error)
            raise SegmentUnavailable(entry.number) from error

    def mark_unreadable(self, entry: SegmentInfo, error: Exception) -> None:
        """Leave out a segment that cannot be opened. A missing file is not reported here: retention may have removed it
        (`MetaReader` decides)."""
        state = self._file_state(entry.number)
        if state is None:
            self._has_missing_files = True
            return
        if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError):  # no permission, or too many open files
            raise error
        self._unreadable[entry.number] = state
        self.report_damage(entry, error)

    def take_missing_files(self) -> bool:
        """Whether a file was missing since the last call."""
        has_missing_files, self._has_missing_files = self._has_missing_files, False
        return has_missing_files

    def report_damage(self, entry: SegmentInfo, reason: object) -> None:
        self.reports.add(self._directory.segment_path(entry.number).name, reason, entry)

    def _file_state(self, number: int) -> _FileState | None:
        try:
            status = os.stat(self._directory.segment_path(number))
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _take_current(self, number: int) -> OpenSegment | None:
        """An idle connection to the file and log that have this name now: the writer replaces damaged files, and a log
        may have been deleted, or the file cut off, while it was in use."""
        segment = self._take_idle(number)
        if segment is None:
            return None
        state = read_file_state(self._directory.segment_path(number))
        if not segment.file_state.is_replaced_by(state):
            segment.file_state = state
            return segment
        segment.close()
        return None

    def _take_idle(self, number: int) -> OpenSegment | None:
        with self._lock:
            idle = self._idle.get(number)
            if not idle:
                return None
            self._count -= 1
            segment = idle.pop()
            if not idle:
                del self._idle[number]
            return segment

    def _release(self, segment: OpenSegment) -> None:
        too_many: list[OpenSegment] = []
        with self._lock:
            if self._closed:
                too_many.append(segment)
            else:
                self._idle.setdefault(segment.number, []).append(segment)
                self._idle.move_to_end(segment.number)
                self._count += 1
                self._release_page_cache()
            while self._count > MAX_IDLE_CONNECTIONS:
                number, idle = next(iter(self._idle.items()))
                too_many.append(idle.pop())
                self._count -= 1
                if not idle:
                    del self._idle[number]
        for surplus in too_many:
            surplus.close()

    def _release_page_cache(self) -> None:
        """Free the page cache of the idle connection that is not one of the last used anymore."""
        for index, idle in enumerate(reversed(self._idle.values())):
            if index == MAX_PAGE_CACHES:
                idle[-1].release_page_cache()
                return

    def retain(self, numbers: set[int]) -> None:
        """Close the connections of segments that are not in the store anymore."""
        with self._lock:
            removed = [number for number in self._idle if number not in numbers]
            closing = [segment for number in removed for segment in self._idle.pop(number)]
            self._count -= len(closing)
        for segment in closing:
            segment.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            closing = [segment for idle in self._idle.values() for segment in idle]
            self._idle.clear()
            self._count = 0
        for segment in closing:
            segment.close()
