"""The ledger's file: made when it is first needed, one connection for reading and writing, short transactions."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import apsw

from flower.errors import StoreError
from flower.store.sqlite.connection import DAMAGED, Row, create, open_for_writing, room, rows, run
from flower.store.sqlite.folder import Folder
from flower.store.sqlite.schema import APPLICATION_ID, FORMAT

T = TypeVar("T")

_CACHE_KB: Final = 512
_CHECKPOINT: Final = 1_000


class LedgerFile:
    """`tables`: statements that make what is not there yet; those of a newer version run on an older file, too."""

    def __init__(self, folder: Folder, tables: Sequence[str]) -> None:
        self._folder = folder
        self._tables = tables
        self._lock = threading.RLock()
        self._db: apsw.Connection | None = None

    @property
    def exists(self) -> bool:
        return self._db is not None or self._folder.ledger.exists()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Raises StoreError."""
        with self._opened() as db:
            return rows(db, sql, values)

    def write(self, change: Callable[[apsw.Connection], T]) -> T:
        """One transaction: all of it is on the disk, or nothing. Raises StoreFull, StoreError."""
        with self._opened() as db:
            run(db, "BEGIN IMMEDIATE")
            try:
                done = change(db)
                run(db, "COMMIT")
            except BaseException:
                if db.in_transaction:
                    run(db, "ROLLBACK")
                raise
            return done

    def prune(self, delete: str, before: float) -> int:
        """Of a ledger that is there; gives how many rows the statement took away."""
        if not self.exists:
            return 0

        def change(db: apsw.Connection) -> int:
            rows(db, delete, (before,))
            return db.changes()

        return self.write(change)

    @contextmanager
    def _opened(self) -> Iterator[apsw.Connection]:
        with self._lock, room(self._folder.path):
            try:
                if self._db is None:
                    self._db = self._open()
                yield self._db
            except DAMAGED as error:
                raise StoreError(
                    f"{self._folder.ledger} is damaged: {error}",
                    hint="move it away: audit, tokens and jobs begin anew, tasks are not concerned",
                ) from error
            except apsw.BusyError as error:
                raise StoreError("The ledger is being written by somebody else", hint="try again") from error

    def _open(self) -> apsw.Connection:
        """One at a time, by a lock on the folder: servers that start together make the file once, and SQLite does not
        wait when two turn its log on."""
        self._folder.make()
        lock = os.open(self._folder.path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._folder.ledger.exists():
                create(self._folder.ledger, (), APPLICATION_ID, FORMAT)
                # it holds what signs sessions; SQLite gives the log beside it the same mode
                self._folder.ledger.chmod(0o600)
            return self._connected()
        finally:
            os.close(lock)

    def _connected(self) -> apsw.Connection:
        db = open_for_writing(self._folder.ledger, cache_kb=_CACHE_KB, checkpoint=_CHECKPOINT)
        try:
            run(db, "PRAGMA foreign_keys=ON", *self._tables)
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
