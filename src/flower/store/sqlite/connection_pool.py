"""Open segments of a reader: borrowed for one statement at a time, by any thread, and closed when they
have not been used lately. So a slow search in one thread keeps nobody else waiting."""

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

#: Connections that wait to be used again, over all segments; each may hold its page cache.
MAX_IDLE_CONNECTIONS: Final = 100
#: Steps of SQLite's machine between two looks at the clock: some tens of microseconds.
_PROGRESS_STEPS: Final = 5_000


class Deadline:
    """How long someone may wait for the next part of an answer."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._at = 0.0
        self.restart()

    def restart(self) -> None:
        """Something was delivered: the time counts anew."""
        if self._seconds is not None:
            self._at = time.monotonic() + self._seconds

    def is_expired(self) -> bool:
        return self._seconds is not None and time.monotonic() > self._at

    def timeout_error(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The search took longer than {self._seconds:g} s", hint="narrow it: a state, a name, a span of time"
        )

    def raise_if_expired(self) -> None:
        if self.is_expired():
            raise self.timeout_error()


class SegmentUnavailable(Exception):
    """The segment cannot be read: forgotten in the meantime, or damaged."""


class OpenSegment:
    """One connection and the words of its file."""

    def __init__(self, folder: StoreDirectory, number: int) -> None:
        self.number = number
        self.deadline = Deadline(None)
        self._db = open_for_reading(folder.segment_path(number))
        try:
            register_functions(self._db)
            self._db.set_progress_handler(self._is_deadline_expired, _PROGRESS_STEPS)
            # fails here if the file has lost its tables
            self.rows("SELECT 1 FROM word, task LIMIT 0")
            # read when a row has a word that is not in it
            self.dictionary = WordDictionary()
        except BaseException:
            self._db.close()
            raise

    def _is_deadline_expired(self) -> bool:
        return self.deadline.is_expired()

    def reload_dictionary(self) -> None:
        """Words that have come since."""
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
        """The Bloom filter, if one of the right size is kept with the rows."""
        kept = self.rows("SELECT value FROM info WHERE key='bloom'")
        if kept and isinstance(kept[0][0], bytes) and len(kept[0][0]) * 8 == bloom_bits(capacity):
            return kept[0][0]
        return None

    def close(self) -> None:
        self._db.close()


class SegmentPool:
    def __init__(self, folder: StoreDirectory) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        #: idle connections, least lately used first
        self._idle: OrderedDict[int, list[OpenSegment]] = OrderedDict()
        self._count = 0
        self._closed = False
        #: segments that turned out to be damaged, and why
        self.damaged: dict[int, str] = {}

    @contextmanager
    def acquire(self, entry: SegmentInfo, deadline: Deadline) -> Iterator[OpenSegment]:
        """Raises SegmentGone, WaitedTooLong."""
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
            return OpenSegment(self._folder, number)
        except (apsw.CantOpenError, apsw.IOError):
            if self._folder.segment_path(number).exists():
                raise
            raise SegmentUnavailable(number) from None
        except (apsw.SQLError, KeyError) as error:  # no table where there should be one
            self.damaged[number] = str(error)
            raise SegmentUnavailable(number) from error

    def _take_idle(self, number: int) -> OpenSegment | None:
        with self._lock:
            waiting = self._idle.get(number)
            if not waiting:
                return None
            self._count -= 1
            segment = waiting.pop()
            if not waiting:
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
                number, waiting = next(iter(self._idle.items()))
                too_many.append(waiting.pop())
                self._count -= 1
                if not waiting:
                    del self._idle[number]
        for surplus in too_many:
            surplus.close()

    def _discard(self, segment: OpenSegment | None) -> None:
        if segment is not None:
            segment.close()

    def retain(self, numbers: set[int]) -> None:
        """Let go of segments that the store does not have any more."""
        with self._lock:
            gone = [number for number in self._idle if number not in numbers]
            closing = [segment for number in gone for segment in self._idle.pop(number)]
            self._count -= len(closing)
        for segment in closing:
            segment.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            closing = [segment for waiting in self._idle.values() for segment in waiting]
            self._idle.clear()
            self._count = 0
        for segment in closing:
            segment.close()
