"""Opens SQLite files, with the reason for each setting, and maps the errors of SQLite."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import apsw

from flower.errors import StoreError, StoreFull, StoreVersionMismatch
from flower.private_files import create_file
from flower.store.sqlite.compression.compressed_file import is_damaged_compressed_file
from flower.store.sqlite.compression.vfs import compressed_vfs
from flower.store.sqlite.file_header import SizeGuard, is_compressed_file, require_complete_file
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT, describe_mismatch

#: Errors of a damaged file: the file is quarantined, and the store continues with the others.
DAMAGE_ERRORS: Final = (apsw.CorruptError, apsw.NotADBError)
#: Errors of reading a damaged file. Damage in a row can look like a text or a number of any length.
READ_DAMAGE_ERRORS: Final = (*DAMAGE_ERRORS, apsw.IOError, apsw.TooBigError, apsw.NoMemError, apsw.MismatchError)
#: Errors of a full disk. An I/O error while writing is treated the same, because in both cases the batch is kept and
#: written again later.
DISK_FULL_ERRORS: Final = (apsw.FullError, apsw.IOError, apsw.CantOpenError)

#: I/O errors of reading, which mean that a file is damaged; the others are treated as a full disk.
_READ_RESULTS: Final = frozenset(
    {
        apsw.SQLITE_IOERR_READ,
        apsw.SQLITE_IOERR_SHORT_READ,
        apsw.SQLITE_IOERR_CORRUPTFS,
        apsw.SQLITE_IOERR_DATA,
    }
)

Row: TypeAlias = tuple[Any, ...]

BUSY_TIMEOUT_MS: Final = 10_000
#: to wait for readers when a file is closed
CLOSE_TIMEOUT_MS: Final = 500
ACTIVE_CACHE_KB: Final = 24 * 1024
CLOSED_CACHE_KB: Final = 1024
#: For each of the many segments that a reader keeps open: rows are read by id.
READING_CACHE_KB: Final = 128
#: Prepared statements that each connection of a reader caches.
_STATEMENT_CACHE_SIZE: Final = 6
#: Characters of a statement above which it is not cached: a list of ids does not occur again, and with a thousand ids
#: it needs a hundred kilobytes.
_MAX_CACHED_STATEMENT: Final = 500
#: For a segment in which the writer only looks up ids and applies late events.
SEALED_CACHE_KB: Final = 256
#: Pages in the write-ahead log before a checkpoint: fewer, larger checkpoints cost less, but the log is replayed after
#: a crash and uses disk space.
ACTIVE_CHECKPOINT: Final = 32_000
CLOSED_CHECKPOINT: Final = 1_000
#: Attempts to open a file that another process replaces meanwhile.
_MAX_OPENINGS: Final = 5


def build_uri(path: Path, **options: str) -> str:
    return f"file:{quote(str(path.absolute()))}?" + "&".join(f"{key}={value}" for key, value in options.items())


def open_for_writing(path: Path, *, cache_kb: int, checkpoint: int) -> apsw.Connection:
    connection = apsw.Connection(build_uri(path, mode="rw"), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # before any checkpoint, which would write pages after the missing ones
        require_complete_file(path)
        _reject_newer_format(path, connection)
        execute_statements(
            connection,
            # readers are never blocked, and a commit is a single append
            "PRAGMA journal_mode=WAL",
            # survives the end of the process; a power failure may lose the last commits, but never damages the file
            "PRAGMA synchronous=NORMAL",
            f"PRAGMA cache_size=-{cache_kb}",
            f"PRAGMA wal_autocheckpoint={checkpoint}",
            # some builds overwrite deleted content with zeros, which is slower
            "PRAGMA secure_delete=OFF",
            "PRAGMA temp_store=MEMORY",
        )
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> apsw.Connection:
    """Open read-only. Temporary data of large sorts is on disk, to limit memory."""
    for _ in range(_MAX_OPENINGS):
        inode = _read_inode(path)
        try:
            connection = _open_compressed(path) if is_compressed_file(path) else _open_plain(path)
        except apsw.Error:
            if _read_inode(path) == inode:
                raise
            continue
        # else the write-ahead log may be that of the file that has the name now
        if _read_inode(path) == inode:
            return connection
        connection.close()
    raise apsw.CantOpenError(f"{path.name} was replaced {_MAX_OPENINGS} times while it was being opened")


def _read_inode(path: Path) -> int:
    """0 if the file does not exist."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _open_compressed(path: Path) -> apsw.Connection:
    connection = _connect_compressed(path, compressed_vfs())
    try:
        _reject_newer_format(path, connection)
        execute_statements(
            connection, f"PRAGMA cache_size=-{READING_CACHE_KB}", "PRAGMA temp_store=FILE", "PRAGMA query_only=ON"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_compressed(path: Path, vfs: str) -> apsw.Connection:
    return apsw.Connection(
        # it never changes and has no write-ahead log
        build_uri(path, mode="ro", immutable="1"),
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        vfs=vfs,
        statementcachesize=_STATEMENT_CACHE_SIZE,
    )


def _open_plain(path: Path) -> apsw.Connection:
    """On a read-only file system SQLite cannot create the index of the write-ahead log; this is not an error if there
    is no log."""
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
                    f"{path} has a write-ahead log, and its directory is not writable",
                    hint="open the store once in a writable directory",
                ) from None
            connection.close()
            connection = apsw.Connection(
                build_uri(path, mode="ro", immutable="1"), flags=flags, statementcachesize=_STATEMENT_CACHE_SIZE
            )
        require_complete_file(path)
        _reject_newer_format(path, connection)
        execute_statements(
            connection, f"PRAGMA cache_size=-{READING_CACHE_KB}", "PRAGMA temp_store=FILE", "PRAGMA query_only=ON"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def open_damaged(path: Path) -> apsw.Connection:
    """Open a damaged file to read what is readable, also if pages are missing at its end."""
    if is_damaged_compressed_file(path):
        connection = _connect_compressed(path, compressed_vfs(is_damaged=True))
    else:
        connection = apsw.Connection(build_uri(path, mode="ro"), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # else SQLite rejects a file that is shorter than its header states
        execute_statements(connection, "PRAGMA writable_schema=ON", "PRAGMA query_only=ON")
        _reject_newer_format(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def require_readable_format(path: Path, format_number: int) -> None:
    """Raises StoreVersionMismatch."""
    mismatch = describe_mismatch(path, format_number)
    if mismatch is not None:
        message, hint = mismatch
        raise StoreVersionMismatch(message, hint=hint)


def _reject_newer_format(path: Path, connection: apsw.Connection) -> None:
    """Raises StoreVersionMismatch. `StoreDirectory.verify` reads the headers only: a migration that is still in the
    write-ahead log, or that ran after this process had opened the store, is visible here."""
    if fetch_number(connection, "PRAGMA application_id") == APPLICATION_ID:
        format_number = fetch_number(connection, "PRAGMA user_version")
        if format_number > STORE_FORMAT:
            require_readable_format(path, format_number)


def _on_read_only_disk(directory: Path) -> bool:
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


def create_database(path: Path, schema: Sequence[str], application_id: int, version: int) -> None:
    """Create a complete file or none: under another name first. There is no write-ahead log yet, so the header is in
    the file."""
    unfinished = path.with_name(path.name + ".new")
    for leftover in (unfinished, unfinished.with_name(unfinished.name + "-journal")):
        leftover.unlink(missing_ok=True)
    create_file(unfinished)  # SQLite creates the log and its index with the same mode
    connection = apsw.Connection(str(unfinished))
    try:
        execute_statements(connection, f"PRAGMA application_id={application_id}", f"PRAGMA user_version={version}")
        with connection:
            execute_statements(connection, *schema)
    finally:
        connection.close()
    unfinished.rename(path)


def is_damage(error: BaseException) -> bool:
    """Whether an error of the writer means that the file is damaged."""
    return isinstance(error, DAMAGE_ERRORS) or (
        isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) in _READ_RESULTS
    )


def move_log_into_file(connection: apsw.Connection) -> None:
    """Move the write-ahead log into the file. Closing the connection does this only if no reader in another process has
    the file open. If one reads at this moment, the log keeps its content, which does no harm."""
    with suppress(apsw.Error):
        connection.set_busy_timeout(CLOSE_TIMEOUT_MS)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def close_after_checkpoint(connection: apsw.Connection, size_guard: SizeGuard) -> None:
    """Move the write-ahead log into the file, unless the file was cut off, and close the connection."""
    if size_guard.is_cut_off():
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    else:
        move_log_into_file(connection)
    connection.close()


def execute_statements(connection: apsw.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement).fetchall()


def fetch_rows(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[Row]:
    """The rows of a SELECT. Bytes of texts that are not valid UTF-8 are replaced."""
    try:
        can_cache = len(sql) <= _MAX_CACHED_STATEMENT
        rows: list[Row] = connection.execute(sql, values, can_cache=can_cache).fetchall()
        return rows
    except UnicodeDecodeError:
        return _fetch_invalid_texts(connection, sql, values)


def _fetch_invalid_texts(connection: apsw.Connection, sql: str, values: Sequence[Any]) -> list[Row]:
    """Read the texts as bytes, because apsw rejects a row with an invalid text."""
    names: list[str] = []

    def trace(cursor: apsw.Cursor, _sql: str, _values: object) -> bool:
        names.extend(f"c{number}" for number in range(len(cursor.get_description())))
        return False

    cursor = connection.cursor()
    cursor.exec_trace = trace
    with suppress(apsw.ExecTraceAbort):
        cursor.execute(sql, values)
    template = "typeof({0}) = 'text', iif(typeof({0}) = 'text', CAST({0} AS BLOB), {0})"
    selected = ", ".join(map(template.format, names))
    wrapped = f"WITH source({', '.join(names)}) AS MATERIALIZED ({sql}) SELECT {selected} FROM source"
    return [
        tuple(
            value.decode("utf-8", "replace") if is_text else value
            for is_text, value in zip(row[::2], row[1::2], strict=True)
        )
        for row in connection.execute(wrapped, values)
    ]


def fetch_number(connection: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> int:
    """The number that a statement returns; 0 for none or NULL."""
    row = connection.execute(sql, values).fetchone()
    return int(row[0]) if row and row[0] is not None else 0


@contextmanager
def translate_disk_full(directory: Path) -> Iterator[None]:
    """Raises StoreFull for errors of a full disk."""
    try:
        yield
    except DISK_FULL_ERRORS as error:
        raise StoreFull(f"Disk full: cannot write to {directory}: {error}", hint="free disk space") from error
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreFull(f"Disk full: cannot write to {directory}: {error.strerror or error}") from error
