"""Opening SQLite files, with the reason for each setting, and what SQLite's errors mean to us."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import apsw

from flower.errors import StoreError, StoreFull

#: The file is not what it was: set it aside and go on with the rest.
DAMAGE_ERRORS: Final = (apsw.CorruptError, apsw.NotADBError)
#: What SQLite raises when the disk takes no more; an I/O error while writing is treated the same,
#: because in both cases the right thing is to keep the batch and offer it again.
DISK_FULL_ERRORS: Final = (apsw.FullError, apsw.IOError, apsw.CantOpenError)

Row: TypeAlias = tuple[Any, ...]

BUSY_TIMEOUT_MS: Final = 10_000
ACTIVE_CACHE_KB: Final = 24 * 1024
CLOSED_CACHE_KB: Final = 1024
#: Of one of the many segments that a reader keeps open: rows are read by id, here and there.
READING_CACHE_KB: Final = 128
#: Prepared statements that it keeps: a list of a thousand ids makes one of a hundred kilobytes.
_STATEMENT_CACHE_SIZE: Final = 6
#: Of a segment that the writer only looks ids up in, and that late events change.
SEALED_CACHE_KB: Final = 256
#: Pages in the log before they are moved into the file: fewer and bigger moves cost less, but after a
#: crash the log is read again, and it is disk space.
OPEN_CHECKPOINT: Final = 32_000
CLOSED_CHECKPOINT: Final = 1_000


def build_uri(path: Path, **options: str) -> str:
    return f"file:{quote(str(path.absolute()))}?" + "&".join(f"{key}={value}" for key, value in options.items())


def open_for_writing(path: Path, *, cache_kb: int, checkpoint: int) -> apsw.Connection:
    connection = apsw.Connection(build_uri(path, mode="rw"), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        execute_statements(
            connection,
            # readers are never blocked, and a commit is one append
            "PRAGMA journal_mode=WAL",
            # durable against the death of the process; a power cut may take the last commits, never the file
            "PRAGMA synchronous=NORMAL",
            f"PRAGMA cache_size=-{cache_kb}",
            f"PRAGMA wal_autocheckpoint={checkpoint}",
            # some builds overwrite deleted content with zeros, at a price
            "PRAGMA secure_delete=OFF",
            "PRAGMA temp_store=MEMORY",
        )
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> apsw.Connection:
    """Read-only. Temporary data of big sorts goes to disk, so that memory stays small.

    On a read-only file system SQLite cannot make the index of the log; that is fine as long as there is no log."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(build_uri(path, mode="ro"), flags=flags, statementcachesize=_STATEMENT_CACHE_SIZE)
    try:
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.IOError):
            log = path.with_name(path.name + "-wal")
            if os.access(path.parent, os.W_OK) and not _on_read_only_disk(path.parent):
                raise
            if log.exists() and log.stat().st_size:
                raise StoreError(
                    f"{path} has changes that are not yet in the file, and its directory cannot be written",
                    hint="open it once where it can be written",
                ) from None
            connection.close()
            connection = apsw.Connection(
                build_uri(path, mode="ro", immutable="1"), flags=flags, statementcachesize=_STATEMENT_CACHE_SIZE
            )
        execute_statements(
            connection, f"PRAGMA cache_size=-{READING_CACHE_KB}", "PRAGMA temp_store=FILE", "PRAGMA query_only=ON"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def _on_read_only_disk(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def create_database(path: Path, schema: Sequence[str], application_id: int, version: int) -> None:
    """Make a file whole or not at all: under another name first. No log yet, so the header is in the file."""
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, unfinished.with_name(unfinished.name + "-journal")):
        leftover.unlink(missing_ok=True)
    connection = apsw.Connection(str(unfinished))
    try:
        execute_statements(connection, f"PRAGMA application_id={application_id}", f"PRAGMA user_version={version}")
        with connection:
            execute_statements(connection, *schema)
    finally:
        connection.close()
    unfinished.rename(path)


def read_file_identity(path: Path) -> tuple[int, int]:
    """application_id and format of a file, without a lock or a trace. Raises apsw errors if it is no database.

    Read through SQLite on purpose: closing a file of our own opening would drop SQLite's locks on it
    that this process holds elsewhere (a rule of POSIX locks)."""
    connection = apsw.Connection(
        build_uri(path, mode="ro", immutable="1"), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    )
    try:
        return fetch_number(connection, "PRAGMA application_id"), fetch_number(connection, "PRAGMA user_version")
    finally:
        connection.close()


def execute_statements(connection: apsw.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement).fetchall()


def fetch_rows(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[Row]:
    found: list[Row] = connection.execute(sql, values).fetchall()
    return found


def fetch_number(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> int:
    """The one number that a statement gives."""
    row = connection.execute(sql, values).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


@contextmanager
def translate_disk_full(folder: Path) -> Iterator[None]:
    """Turns a disk that takes no more into StoreFull."""
    try:
        yield
    except DISK_FULL_ERRORS as error:
        raise StoreFull(f"The disk under {folder} takes no more: {error}", hint="free some space") from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreFull(f"The disk under {folder} takes no more: {error.strerror or error}") from error
