"""A reader's view of meta.db with the current catalog. Without a readable meta.db the catalog is built from the
segments."""

import contextlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol, TypeVar

import apsw
import msgspec

from flower.store.sqlite import catalog as catalogues
from flower.store.sqlite import meta_db
from flower.store.sqlite.catalog import Catalog, SegmentInfo
from flower.store.sqlite.connection import READ_DAMAGE_ERRORS, fetch_number, fetch_rows, open_for_reading
from flower.store.sqlite.connection_pool import SegmentPool
from flower.store.sqlite.directory import META_DB_FILE, StoreDirectory
from flower.store.sqlite.file_header import FileState, read_file_state

T = TypeVar("T")

#: Errors of a meta.db with damaged content.
_CONTENT_ERRORS: Final = (*READ_DAMAGE_ERRORS, apsw.SQLError, msgspec.MsgspecError, ValueError, TypeError)


class CatalogListener(Protocol):
    """A cache of data of segments."""

    def retain(self, numbers: set[int]) -> None:
        """Called with the segments of the store when the catalog changes."""


class MetaReader:
    """Reader of meta.db."""

    def __init__(self, directory: StoreDirectory, pool: SegmentPool, *listeners: CatalogListener) -> None:
        self._directory = directory
        self._pool = pool
        self._listeners = (pool, *listeners)
        self._lock = threading.Lock()
        self._db: apsw.Connection | None = None
        #: the open file, and the data version when the catalog was read
        self._file: FileState | None = None
        self._version = -1
        #: entries of all segments, also of those that cannot be read
        self._entries: list[SegmentInfo] = []
        self._catalog = Catalog()
        self._left_out: frozenset[int] = frozenset()
        #: segments in the catalog without a file
        self._missing: frozenset[int] = frozenset()
        #: a file that cannot be read, and its last change
        self._damaged: tuple[FileState, int] | None = None

    def catalog(self) -> Catalog:
        """The current catalog of the segments that can be read. Costs microseconds if nothing was written."""
        with self._lock:
            if not self._read_entries():
                self._entries = self._rebuild_from_segments()
                self._left_out = frozenset()
                self._catalog = Catalog(self._entries)
            left_out = frozenset(self._pool.unreadable_numbers() | self._missing)
            older = self._pool.older_entries
            if left_out != self._left_out or (older and any(older.get(e.number, e) != e for e in self._catalog)):
                self._left_out = left_out
                self._catalog = Catalog(
                    older.get(entry.number, entry) for entry in self._entries if entry.number not in left_out
                )
            return self._catalog

    def read_again(self) -> None:
        """Read the catalog again at the next call, because the file of a segment in it does not exist."""
        with self._lock:
            self._version = -1

    def _read_entries(self) -> bool:
        """Read the catalog if it has changed. Return False if meta.db cannot be read."""
        db = self._connection()
        if db is None:
            return False
        try:
            version = fetch_number(db, "PRAGMA data_version")
            if version != self._version:
                entries = self._verify_present(db, meta_db.read_segments(db))
                if self._version < 0:
                    entries = self._with_newer_entries(entries)
                self._entries, self._version = entries, version
                self._left_out = self._missing
                self._catalog = Catalog(entry for entry in entries if entry.number not in self._missing)
                numbers = {entry.number for entry in self._catalog}
                for listener in self._listeners:
                    listener.retain(numbers)
        except _CONTENT_ERRORS as error:
            self._discard_damaged(error)
            return False
        return True

    def _verify_present(self, db: apsw.Connection, entries: list[SegmentInfo]) -> list[SegmentInfo]:
        """Report segments without a file. Return the entries, which are read again if a file is missing, because
        retention may have removed it meanwhile."""
        present = set(self._directory.segment_numbers())
        if any(entry.number not in present for entry in entries):
            entries = meta_db.read_segments(db)
        missing = [entry for entry in entries if entry.number not in present]
        for entry in missing:
            self._pool.report_damage(entry, "the file is missing")
        self._missing = frozenset(entry.number for entry in missing)
        return entries

    def _with_newer_entries(self, entries: list[SegmentInfo]) -> list[SegmentInfo]:
        """The entries, with those of segments that were written after meta.db: it lost its last writes if its
        write-ahead log was removed or damaged. The writer repairs it."""
        known = {entry.number: entry for entry in entries}
        numbers = self._directory.segment_numbers()
        meta_changed = _last_change(self._directory.meta_path)
        changed = [n for n in numbers if _last_change(self._directory.segment_path(n)) > meta_changed]
        # the newest segment is part of almost every write
        if self._update_from_segments(known, {*changed, *numbers[-1:]}):
            self._update_from_segments(known, numbers)
        return list(known.values())

    def _update_from_segments(self, known: dict[int, SegmentInfo], numbers: Iterable[int]) -> bool:
        """Replace entries by newer ones in the segments. Return whether there are any."""
        has_changed = False
        for number in numbers:
            entry = self._read_own_entry(number)
            if entry is not None and (number not in known or entry.sequence > known[number].sequence):
                known[number] = entry
                has_changed = True
        return has_changed

    def query(self, read: Callable[[apsw.Connection], T], default: T) -> T:
        """Run a short query on meta.db; return `default` if there is none, or if this part of it is damaged."""
        with self._lock:
            db = self._connection()
            if db is None:
                return default
            try:
                return read(db)
            except _CONTENT_ERRORS as error:
                self._pool.reports.add(META_DB_FILE, error)
                return default

    def _connection(self) -> apsw.Connection | None:
        path = self._directory.meta_path
        file = read_file_state(path)
        if not file.inode:
            self._disconnect()
            return None
        if self._damaged == (file, _last_change(path)):
            return None
        if self._db is None or self._file is None or self._file.is_replaced_by(file):
            self._disconnect()
            try:
                self._db = open_for_reading(path)
                file = read_file_state(path)  # opening creates the log
                meta_db.read_segments(self._db)
            except _CONTENT_ERRORS as error:
                self._file = file
                self._discard_damaged(error)
                return None
            except apsw.CantOpenError:
                if self._directory.meta_path.exists():
                    raise
                return None
        self._file = file
        return self._db

    def _discard_damaged(self, reason: object) -> None:
        """Ignore this damaged file; the writer creates another one."""
        self._pool.reports.add(META_DB_FILE, reason)
        if self._file is not None:
            self._damaged = (self._file, _last_change(self._directory.meta_path))
        self._disconnect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db, self._file, self._version = None, None, -1

    def _rebuild_from_segments(self) -> list[SegmentInfo]:
        """The entries from the metadata in the segments."""
        entries = map(self._read_own_entry, self._directory.segment_numbers())
        return [entry for entry in entries if entry is not None]

    def _read_own_entry(self, number: int) -> SegmentInfo | None:
        """The catalog entry that a segment contains; None if it cannot be read, which is reported."""
        if self._pool.is_unreadable(number):
            return None
        try:
            db = open_for_reading(self._directory.segment_path(number))
            try:
                (text,) = fetch_rows(db, "SELECT value FROM info WHERE key='segment'")[0]
            finally:
                db.close()
            return catalogues.decode_segment_info(text)
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            return None  # removed meanwhile, or the writer was killed while it created the file
        except (*_CONTENT_ERRORS, IndexError) as error:
            self._pool.mark_unreadable(SegmentInfo(number, 0, 0, 0), error)
            return None

    def close(self) -> None:
        with self._lock:
            self._disconnect()


def _last_change(path: Path) -> int:
    """Time of the last change of a database and its write-ahead log in nanoseconds; 0 if it does not exist."""
    times = [0]
    for file in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            status = file.stat()
            # opening a database creates an empty log
            times.append(status.st_mtime_ns if status.st_size else 0)
    return max(times)
