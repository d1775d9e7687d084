"""One moment of all files of a store, while a writer runs: read transactions that begin in the same state.

A write commits its segments first and meta.db last. The transactions are of one moment if meta.db did not change while
they were opened, and no segment is newer than it. The writer never waits for them: SQLite keeps what they read in the
write-ahead logs, which grow until the transactions end.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import apsw
import msgspec

from flower.descriptor_limit import raise_descriptor_limit
from flower.errors import StoreError
from flower.store.sqlite.catalog import SegmentInfo, decode_segment_info
from flower.store.sqlite.connection import DAMAGE_ERRORS, execute_statements, fetch_rows, open_for_reading
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.file_header import read_file_state
from flower.store.sqlite.meta_db import read_segments, read_sequence

#: Seconds in which a moment between two writes must be found: a write takes some milliseconds, a few times per second.
_SNAPSHOT_TIMEOUT: Final = 30.0
#: Seconds after which a write that is interrupted between its files is accepted: its process was killed, or has no disk
#: space. It is completed when the store is opened for writing.
_INTERRUPTED_TIMEOUT: Final = 3.0
_RETRY_DELAY: Final = 0.01

#: Why a file of the store cannot be read.
READ_ERRORS: Final = (*DAMAGE_ERRORS, apsw.SQLError, apsw.IOError, apsw.CantOpenError, msgspec.DecodeError, IndexError)


class Snapshot:
    """Open read transactions. Each can be ended as soon as its file has been read."""

    def __init__(self, directory: StoreDirectory) -> None:
        self.directory = directory
        #: change sequence of this moment; 0 without a readable meta.db
        self.sequence = 0
        #: None: the file is missing or damaged
        self.meta: apsw.Connection | None = None
        self.ledger: apsw.Connection | None = None
        self.segments: dict[int, apsw.Connection] = {}
        self.infos: dict[int, SegmentInfo] = {}
        #: by file name, why it cannot be read
        self.damaged: dict[str, str] = {}
        #: by file name, which file its transaction reads
        self._inodes: dict[str, int] = {}

    def begin(self) -> None:
        """Raises StoreError if no moment between two writes was found."""
        raise_descriptor_limit()  # each segment needs three
        started_at = time.monotonic()
        first_sequence: int | None = None
        while not self._try_begin():
            waited = time.monotonic() - started_at
            first_sequence = self.sequence if first_sequence is None else first_sequence
            if waited > _INTERRUPTED_TIMEOUT and first_sequence == self.sequence:
                return
            if waited > _SNAPSHOT_TIMEOUT:
                raise StoreError(
                    f"No moment between two writes of {self.directory.path} was found within {waited:.0f} s",
                    hint="try again when fewer events arrive",
                )
            time.sleep(_RETRY_DELAY)

    def _try_begin(self) -> bool:
        """Whether all transactions are of the same moment."""
        self.damaged = {}
        self.meta = self._begin_file(self.directory.meta_path.name, self.meta)
        self.sequence, catalog = self._read_meta()
        numbers = set(self.directory.segment_numbers())
        for number in self.segments.keys() - numbers:
            self.segments.pop(number).close()
        self.infos = {}
        for number in sorted(numbers):
            self._begin_segment(number)
            info = self.infos.get(number)
            if info is not None and info.rows == 0 and number not in catalog and self.meta is not None:
                # created by a write that has not ended
                del self.infos[number]
                self.end_segment(number)
        is_one_moment = self._is_unchanged() and all(info.sequence <= self.sequence for info in self.infos.values())
        if is_one_moment or self.meta is None:
            self.ledger = self._begin_file(self.directory.ledger_path.name, self.ledger)
        return is_one_moment

    def _begin_segment(self, number: int) -> None:
        name = self.directory.segment_path(number).name
        connection = self._begin_file(name, self.segments.pop(number, None))
        if connection is None:
            return
        try:
            self.infos[number] = decode_segment_info(
                fetch_rows(connection, "SELECT value FROM info WHERE key='segment'")[0][0]
            )
        except READ_ERRORS as error:
            self.damaged[name] = str(error)
        self.segments[number] = connection

    def _begin_file(self, name: str, connection: apsw.Connection | None) -> apsw.Connection | None:
        """Begin a transaction, in place of the previous one; None if the file does not exist or cannot be read."""
        try:
            path = self.directory.path / name
            if connection is not None and self._inodes.get(name) != read_file_state(path).inode:
                # the writer has compressed or replaced the file
                connection.close()
                connection = None
            if connection is None:
                self._inodes[name] = read_file_state(path).inode
                connection = open_for_reading(path)
            elif connection.in_transaction:
                execute_statements(connection, "COMMIT")
            # the transaction begins with the first statement that reads
            execute_statements(connection, "BEGIN", "SELECT count(*) FROM sqlite_schema")
        except READ_ERRORS as error:
            if connection is not None:
                connection.close()
            if (self.directory.path / name).exists():
                self.damaged[name] = str(error)
            return None
        return connection

    def _read_meta(self) -> tuple[int, set[int]]:
        """The change sequence, and the numbers of the segments that meta.db lists."""
        if self.meta is None:
            return 0, set()
        try:
            return read_sequence(self.meta), {entry.number for entry in read_segments(self.meta)}
        except READ_ERRORS as error:
            self.damaged[self.directory.meta_path.name] = str(error)
            return 0, set()

    def _is_unchanged(self) -> bool:
        """Whether no write has ended since the transaction of meta.db began."""
        if self.meta is None or self.directory.meta_path.name in self.damaged:
            return True
        try:
            now = open_for_reading(self.directory.meta_path)
        except READ_ERRORS:
            return False
        try:
            return read_sequence(now) == self.sequence
        finally:
            now.close()

    def end_segment(self, number: int) -> None:
        """End the transaction of a segment."""
        self.segments.pop(number).close()

    def close(self) -> None:
        for connection in (self.meta, self.ledger, *self.segments.values()):
            if connection is not None:
                connection.close()
        self.meta = self.ledger = None
        self.segments = {}


@contextmanager
def open_snapshot(directory: StoreDirectory) -> Iterator[Snapshot]:
    """Raises StoreError."""
    snapshot = Snapshot(directory)
    try:
        snapshot.begin()
        yield snapshot
    finally:
        snapshot.close()
