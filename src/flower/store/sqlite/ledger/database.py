"""Connection to the ledger's file: created when first needed, one connection for reading and writing, short
transactions."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final, TypeVar

import apsw

from flower.errors import StoreError
from flower.store.sqlite.connection import (
    DAMAGE_ERRORS,
    Row,
    create_database,
    execute_statements,
    fetch_rows,
    open_for_reading,
    open_for_writing,
    translate_disk_full,
)
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.migration import LEDGER_MIGRATIONS, migrate_file
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT

T = TypeVar("T")

_CACHE_KB: Final = 512

_CHECKPOINT: Final = 1_000


class LedgerDatabase:
    """`tables`: statements that create missing tables; those of a newer version are also applied to an older file.
    `added_columns`: table, name and definition of columns that tables of earlier versions lack."""

    def __init__(
        self, directory: StoreDirectory, tables: Sequence[str], added_columns: Sequence[tuple[str, str, str]] = ()
    ) -> None:
        self._directory = directory
        self._tables = tables
        self._added_columns = added_columns
        self._lock = threading.RLock()
        self._db: apsw.Connection | None = None

    @property
    def exists(self) -> bool:
        return self._db is not None or self._directory.ledger_path.exists()

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Raises StoreError."""
        with self._locked_connection() as db:
            return fetch_rows(db, sql, values)

    def query_read_only(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """As `query`, also in a directory that this process cannot write to. There, a table that an earlier version did
        not create has no rows. Raises StoreError."""
        if self._db is not None or os.access(self._directory.path, os.W_OK):
            return self.query(sql, values)
        with translate_disk_full(self._directory.path), closing(open_for_reading(self._directory.ledger_path)) as db:
            try:
                return fetch_rows(db, sql, values)
            except apsw.SQLError:
                return []

    def write(self, change: Callable[[apsw.Connection], T]) -> T:
        """Run a function in one transaction and return its result. Raises StoreFull, StoreError."""
        with self._locked_connection() as db:
            execute_statements(db, "BEGIN IMMEDIATE")
            try:
                done = change(db)
                execute_statements(db, "COMMIT")
            except BaseException:
                if db.in_transaction:
                    execute_statements(db, "ROLLBACK")
                raise
            return done

    def prune(self, delete: str, before: float) -> int:
        """Run a DELETE statement if the file exists, and return the number of deleted rows."""
        if not self.exists:
            return 0

        def change(db: apsw.Connection) -> int:
            fetch_rows(db, delete, (before,))
            return db.changes()

        return self.write(change)

    @contextmanager
    def _locked_connection(self) -> Iterator[apsw.Connection]:
        with self._lock, translate_disk_full(self._directory.path):
            try:
                if self._db is None:
                    self._db = self._open()
                yield self._db
            except DAMAGE_ERRORS as error:
                raise StoreError(
                    f"{self._directory.ledger_path} is damaged: {error}",
                    hint="move the file away: audit log, tokens and jobs start empty, tasks are not affected",
                ) from error
            except apsw.BusyError as error:
                raise StoreError("The ledger is locked by another process", hint="try again") from error

    def _open(self) -> apsw.Connection:
        """Serialised by a lock on the directory: servers that start together create the file once, and SQLite does not
        wait when two processes switch on its write-ahead log."""
        self._directory.create()
        lock = os.open(self._directory.path, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._directory.ledger_path.exists():
                create_database(self._directory.ledger_path, (), APPLICATION_ID, STORE_FORMAT)
            return self._connect()
        finally:
            os.close(lock)

    def _connect(self) -> apsw.Connection:
        db = open_for_writing(self._directory.ledger_path, cache_kb=_CACHE_KB, checkpoint=_CHECKPOINT)
        try:
            migrate_file(db, LEDGER_MIGRATIONS)
            execute_statements(db, "PRAGMA foreign_keys=ON", *self._tables)
            for table, name, definition in self._added_columns:
                if name not in {row[1] for row in fetch_rows(db, f"PRAGMA table_info({table})")}:
                    execute_statements(db, f"ALTER TABLE {table} ADD COLUMN {definition}")
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
