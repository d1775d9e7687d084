"""A reader's view of meta.db: the catalogue as it is now. Without a readable meta.db, what the segments say
of themselves."""

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
    def retain(self, numbers: set[int]) -> None:
        """These are the segments that the store has now."""


class MetaReader:
    def __init__(self, folder: StoreDirectory, pool: SegmentPool, *followers: CatalogListener) -> None:
        self._directory = folder
        self._pool = pool
        self._listeners = (pool, *followers)
        self._lock = threading.Lock()
        self._db: apsw.Connection | None = None
        #: which file is open, and what it held when the catalogue was read
        self._file: tuple[int, int] | None = None
        self._version = -1
        self._catalog = Catalog()
        self._damaged: tuple[int, int] | None = None

    def catalog(self) -> Catalog:
        """The segments of this moment. Costs microseconds as long as nothing was written."""
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
                    for follower in self._listeners:
                        follower.retain(numbers)
            except DAMAGE_ERRORS:
                self._discard_damaged()
                self._catalog = self._rebuild_from_segments()
            return self._catalog

    def query(self, read: Callable[[apsw.Connection], T], default: T) -> T:
        """Put a short question to meta.db; `nothing` if there is none."""
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
            found = os.stat(self._directory.meta_path)
        except OSError:
            self._disconnect()
            return None
        file = (found.st_dev, found.st_ino)
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
        """This file is damaged; the writer will make another one."""
        self._damaged = self._file
        self._disconnect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db, self._file, self._version = None, None, -1

    def _rebuild_from_segments(self) -> Catalog:
        entries: list[SegmentInfo] = []
        for which in self._directory.segment_numbers():
            if which in self._pool.damaged:
                continue
            try:
                db = open_for_reading(self._directory.segment_path(which))
                try:
                    (text,) = fetch_rows(db, "SELECT value FROM info WHERE key='segment'")[0]
                finally:
                    db.close()
                entries.append(catalogues.decode_segment_info(text))
            except (*DAMAGE_ERRORS, apsw.SQLError, apsw.CantOpenError, msgspec.DecodeError, IndexError) as error:
                self._pool.damaged[which] = str(error)
        return Catalog(entries)

    def close(self) -> None:
        with self._lock:
            self._disconnect()
