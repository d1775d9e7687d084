"""A reader's view of meta.db with the current catalog. Without a readable meta.db the catalog is built from the
segments."""

import os
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import apsw
import msgspec

from flower.store.sqlite import catalog as catalogues
from flower.store.sqlite import meta_db
from flower.store.sqlite.catalog import Catalog, SegmentInfo
from flower.store.sqlite.connection import DAMAGE_ERRORS, fetch_number, fetch_rows, open_for_reading
from flower.store.sqlite.connection_pool import SegmentPool
from flower.store.sqlite.directory import StoreDirectory

T = TypeVar("T")


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
        #: the open file (device, inode), and its data version when the catalog was read
        self._file: tuple[int, int] | None = None
        self._version = -1
        self._catalog = Catalog()
        self._damaged: tuple[int, int] | None = None

    def catalog(self) -> Catalog:
        """The current catalog. Costs microseconds if nothing was written."""
        with self._lock:
            db = self._connection()
            if db is None:
                self._catalog = self._rebuild_from_segments()
                return self._catalog
            try:
                version = fetch_number(db, "PRAGMA data_version")
                if version != self._version:
                    self._catalog = Catalog(meta_db.read_segments(db))
                    self._version = version
                    numbers = {entry.number for entry in self._catalog}
                    for listener in self._listeners:
                        listener.retain(numbers)
            except DAMAGE_ERRORS:
                self._discard_damaged()
                self._catalog = self._rebuild_from_segments()
            return self._catalog

    def query(self, read: Callable[[apsw.Connection], T], default: T) -> T:
        """Run a short query on meta.db; return `default` if there is none."""
        with self._lock:
            db = self._connection()
            if db is None:
                return default
            try:
                return read(db)
            except DAMAGE_ERRORS:
                self._discard_damaged()
                return default

    def _connection(self) -> apsw.Connection | None:
        try:
            stat = os.stat(self._directory.meta_path)
        except OSError:
            self._disconnect()
            return None
        file = (stat.st_dev, stat.st_ino)
        if file == self._damaged:
            return None
        if self._db is None or file != self._file:
            self._disconnect()
            try:
                self._db = open_for_reading(self._directory.meta_path)
                meta_db.read_segments(self._db)
            except (*DAMAGE_ERRORS, apsw.SQLError, msgspec.DecodeError):
                self._file = file
                self._discard_damaged()
                return None
            except apsw.CantOpenError:
                if self._directory.meta_path.exists():
                    raise
                return None
            self._file = file
        return self._db

    def _discard_damaged(self) -> None:
        """Ignore this damaged file; the writer creates another one."""
        self._damaged = self._file
        self._disconnect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db, self._file, self._version = None, None, -1

    def _rebuild_from_segments(self) -> Catalog:
        """The catalog from the metadata in the segments."""
        entries: list[SegmentInfo] = []
        for segment_number in self._directory.segment_numbers():
            if segment_number in self._pool.damaged:
                continue
            try:
                db = open_for_reading(self._directory.segment_path(segment_number))
                try:
                    (text,) = fetch_rows(db, "SELECT value FROM info WHERE key='segment'")[0]
                finally:
                    db.close()
                entries.append(catalogues.decode_segment_info(text))
            except (*DAMAGE_ERRORS, apsw.SQLError, apsw.CantOpenError, msgspec.DecodeError, IndexError) as error:
                self._pool.damaged[segment_number] = str(error)
        return Catalog(entries)

    def close(self) -> None:
        with self._lock:
            self._disconnect()
