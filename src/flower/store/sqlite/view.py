"""A reader's view of meta.db: the catalogue as it is now. Without a readable meta.db, what the segments say
of themselves."""

import os
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import apsw
import msgspec

from flower.store.sqlite import catalogue as catalogues
from flower.store.sqlite import meta
from flower.store.sqlite.catalogue import Catalogue, Segment
from flower.store.sqlite.connection import DAMAGED, number, open_for_reading, rows
from flower.store.sqlite.folder import Folder
from flower.store.sqlite.pool import Pool

T = TypeVar("T")


class Follower(Protocol):
    def keep_only(self, numbers: set[int]) -> None:
        """These are the segments that the store has now."""


class View:
    def __init__(self, folder: Folder, pool: Pool, *followers: Follower) -> None:
        self._folder = folder
        self._pool = pool
        self._followers = (pool, *followers)
        self._lock = threading.Lock()
        self._db: apsw.Connection | None = None
        #: which file is open, and what it held when the catalogue was read
        self._file: tuple[int, int] | None = None
        self._version = -1
        self._catalogue = Catalogue()
        self._damaged: tuple[int, int] | None = None

    def catalogue(self) -> Catalogue:
        """The segments of this moment. Costs microseconds as long as nothing was written."""
        with self._lock:
            db = self._connected()
            if db is None:
                self._catalogue = self._told_by_segments()
                return self._catalogue
            try:
                version = number(db, "PRAGMA data_version")
                if version != self._version:
                    self._catalogue = Catalogue(meta.read_segments(db))
                    self._version = version
                    numbers = {entry.number for entry in self._catalogue}
                    for follower in self._followers:
                        follower.keep_only(numbers)
            except DAMAGED:
                self._give_up()
                self._catalogue = self._told_by_segments()
            return self._catalogue

    def ask(self, question: Callable[[apsw.Connection], T], nothing: T) -> T:
        """Put a short question to meta.db; `nothing` if there is none."""
        with self._lock:
            db = self._connected()
            if db is None:
                return nothing
            try:
                return question(db)
            except DAMAGED:
                self._give_up()
                return nothing

    def _connected(self) -> apsw.Connection | None:
        try:
            found = os.stat(self._folder.meta)
        except OSError:
            self._disconnect()
            return None
        file = (found.st_dev, found.st_ino)
        if file == self._damaged:
            return None
        if self._db is None or file != self._file:
            self._disconnect()
            try:
                self._db = open_for_reading(self._folder.meta)
                meta.read_segments(self._db)
            except (*DAMAGED, apsw.SQLError, msgspec.DecodeError):
                self._file = file
                self._give_up()
                return None
            except apsw.CantOpenError:
                if self._folder.meta.exists():
                    raise
                return None
            self._file = file
        return self._db

    def _give_up(self) -> None:
        """This file is damaged; the writer will make another one."""
        self._damaged = self._file
        self._disconnect()

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db, self._file, self._version = None, None, -1

    def _told_by_segments(self) -> Catalogue:
        entries: list[Segment] = []
        for which in self._folder.segment_numbers():
            if which in self._pool.damaged:
                continue
            try:
                db = open_for_reading(self._folder.segment(which))
                try:
                    (text,) = rows(db, "SELECT value FROM info WHERE key='segment'")[0]
                finally:
                    db.close()
                entries.append(catalogues.from_json(text))
            except (*DAMAGED, apsw.SQLError, apsw.CantOpenError, msgspec.DecodeError, IndexError) as error:
                self._pool.damaged[which] = str(error)
        return Catalogue(entries)

    def close(self) -> None:
        with self._lock:
            self._disconnect()
