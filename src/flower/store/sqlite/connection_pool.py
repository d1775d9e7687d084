"""Open segments of a reader: acquired by any thread for one statement, and closed when unused, so that a slow query
does not block other threads."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import apsw

from flower.errors import DeadlineExceeded
from flower.records import Task
from flower.store.sqlite.bloom_filter import bloom_bits
from flower.store.sqlite.catalog import SegmentInfo
from flower.store.sqlite.connection import DAMAGE_ERRORS, Row, fetch_rows, open_for_reading
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.row_codec import WordDictionary, decode_row
from flower.store.sqlite.sql_where import register_functions

#: Maximum number of idle connections, over all segments; each may hold its page cache.
MAX_IDLE_CONNECTIONS: Final = 100
#: Steps of SQLite's virtual machine between two checks of the deadline: tens of microseconds.
_PROGRESS_STEPS: Final = 5_000


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


class SegmentUnavailable(Exception):
    """The segment cannot be read: removed by retention, or damaged."""


class OpenSegment:
    """A connection to a segment, and the dictionary of the segment."""

    def __init__(self, directory: StoreDirectory, number: int) -> None:
        self.number = number
        self.deadline = Deadline(None)
        self._db = open_for_reading(directory.segment_path(number))
        try:
            register_functions(self._db)
            self._db.set_progress_handler(self._is_deadline_expired, _PROGRESS_STEPS)
            # fails if a table is missing
            self.rows("SELECT 1 FROM word, task LIMIT 0")
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

    def decode_task(self, row: Row) -> Task:
        try:
            return decode_row(row, self.dictionary.values)
        except KeyError:
            self.reload_dictionary()
            return decode_row(row, self.dictionary.values)

    def read_bloom_filter(self, capacity: int) -> bytes | None:
        """The stored Bloom filter; None if there is none of this size."""
        rows = self.rows("SELECT value FROM info WHERE key='bloom'")
        if rows and isinstance(rows[0][0], bytes) and len(rows[0][0]) * 8 == bloom_bits(capacity):
            return rows[0][0]
        return None

    def close(self) -> None:
        self._db.close()


class SegmentPool:
    """Pool of open segments."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        #: idle connections, least recently used first
        self._idle: OrderedDict[int, list[OpenSegment]] = OrderedDict()
        self._count = 0
        self._closed = False
        #: damaged segments, and the reason
        self.damaged: dict[int, str] = {}

    @contextmanager
    def acquire(self, entry: SegmentInfo, deadline: Deadline) -> Iterator[OpenSegment]:
        """Raises SegmentUnavailable, DeadlineExceeded."""
        deadline.raise_if_expired()
        if entry.number in self.damaged:
            raise SegmentUnavailable(entry.number)
        segment: OpenSegment | None = None
        try:
            segment = self._take_idle(entry.number) or self._open(entry.number)
            segment.deadline = deadline
            yield segment
        except apsw.InterruptError:
            raise deadline.timeout_error() from None
        except DAMAGE_ERRORS as error:
            self._discard(segment)
            segment = None
            self.damaged[entry.number] = str(error)
            raise SegmentUnavailable(entry.number) from error
        finally:
            if segment is not None:
                self._release(segment)

    def _open(self, number: int) -> OpenSegment:
        try:
            return OpenSegment(self._directory, number)
        except (apsw.CantOpenError, apsw.IOError):
            if self._directory.segment_path(number).exists():
                raise
            raise SegmentUnavailable(number) from None
        except (apsw.SQLError, KeyError) as error:  # a missing table
            self.damaged[number] = str(error)
            raise SegmentUnavailable(number) from error

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
            while self._count > MAX_IDLE_CONNECTIONS:
                number, idle = next(iter(self._idle.items()))
                too_many.append(idle.pop())
                self._count -= 1
                if not idle:
                    del self._idle[number]
        for surplus in too_many:
            surplus.close()

    def _discard(self, segment: OpenSegment | None) -> None:
        if segment is not None:
            segment.close()

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
