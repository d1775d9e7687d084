"""Recovery of a damaged segment: the rows that can be read are copied to a new file with the same keys."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from flower.records import PENDING
from flower.store.sqlite.catalog import SegmentInfo, decode_segment_info, encode_segment_info
from flower.store.sqlite.compression.compressed_file import is_damaged_compressed_file
from flower.store.sqlite.connection import (
    READ_DAMAGE_ERRORS,
    Row,
    create_database,
    execute_statements,
    fetch_rows,
    open_damaged,
)
from flower.store.sqlite.file_header import DEFAULT_PAGE_SIZE, open_database_file, read_file_header
from flower.store.sqlite.leaf_pages import iter_leaf_rows
from flower.store.sqlite.migration import ADDED_COLUMNS, provide_task_columns
from flower.store.sqlite.row_codec import has_id
from flower.store.sqlite.schema import INSERT_TASK, LAST_STATE_ID, SEGMENT_SCHEMA, STATE_IDS, TASK_COLUMNS, WORD_KINDS
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT

#: rows read by one statement; if it fails, the halves are read separately
_CHUNK_ROWS: Final = 1_000
#: The rows of a smaller part are read from the leaf pages.
_MIN_PART_ROWS: Final = 8
#: ids of the dictionary that are tried if the highest one is unknown
_MAX_WORD_ID: Final = 100_000
_INSERT_TASK: Final = INSERT_TASK.replace("INSERT", "INSERT OR IGNORE", 1)
_INSERT_WORD: Final = "INSERT OR IGNORE INTO word VALUES (?,?,?)"
#: Columns of a row in a segment of the first version.
_MIN_TASK_COLUMNS: Final = len(TASK_COLUMNS) - len(ADDED_COLUMNS["task"])
_WORD_COLUMNS: Final = 3
#: SegmentInfo that is invalid in the damaged file
_INVALID_INFO_ERRORS: Final = (*READ_DAMAGE_ERRORS, apsw.SQLError, msgspec.MsgspecError, IndexError, TypeError)


def salvage_segment(source: Path, target: Path, entry: SegmentInfo | None, sequence: int) -> SegmentInfo | None:
    """Create `target` with the readable rows of the damaged segment `source`, as of this number of the change sequence.
    `entry`: the catalog entry of the segment. Return the entry of the new file; None if no row can be read. Raises the
    errors of writing."""
    with _whole_pages(source):
        damaged = _open(source)
        try:
            info = (_read_info(damaged) if damaged else None) or entry
            if info is None:
                return None
            if entry is not None and entry.sequence > info.sequence:
                info = entry  # the last writes are missing, but their keys were used
            salvaged = _copy_rows(source, damaged, target, info, sequence)
            if salvaged is None:
                target.unlink()
            return salvaged
        finally:
            if damaged is not None:
                damaged.close()


@contextmanager
def _whole_pages(path: Path) -> Iterator[None]:
    """Cut off the last page of the file if it is incomplete, and append it again at the end: SQLite would read the
    missing part as zeros, and return rows with values that were never written. A compressed segment has no incomplete
    pages: a block is complete or it cannot be read."""
    if is_damaged_compressed_file(path):
        yield
        return
    try:
        page_size = read_file_header(path).page_size
    except apsw.Error:
        page_size = DEFAULT_PAGE_SIZE
    file = open_database_file(path, is_writable=True)
    try:
        size = file.xFileSize()
        whole = size - size % page_size
        partial_page = file.xRead(size - whole, whole) if size > whole else b""
        if partial_page:
            os.truncate(path, whole)
        try:
            yield
        finally:
            if partial_page:
                file.xWrite(partial_page, whole)
    finally:
        file.xClose()


def _open(source: Path) -> apsw.Connection | None:
    try:
        damaged = open_damaged(source)
    except (*READ_DAMAGE_ERRORS, apsw.CantOpenError, apsw.ReadOnlyError):
        return None
    try:
        provide_task_columns(damaged)
        fetch_rows(damaged, "SELECT 1 FROM word, task LIMIT 0")
    except (*READ_DAMAGE_ERRORS, apsw.SQLError):
        damaged.close()
        return None
    return damaged


def _read_info(damaged: apsw.Connection) -> SegmentInfo | None:
    try:
        return decode_segment_info(fetch_rows(damaged, "SELECT value FROM info WHERE key='segment'")[0][0])
    except _INVALID_INFO_ERRORS:
        return None


def _copy_rows(
    source: Path, damaged: apsw.Connection | None, target: Path, info: SegmentInfo, sequence: int
) -> SegmentInfo | None:
    create_database(target, SEGMENT_SCHEMA, APPLICATION_ID, STORE_FORMAT)
    connection = apsw.Connection(str(target))
    try:
        # the file is complete or it is removed: no journal is needed
        execute_statements(connection, "PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "BEGIN")
        is_complete = damaged is not None and _copy_through_sqlite(damaged, connection, info)
        if not is_complete:
            _copy_from_leaf_pages(source, connection, info)
        _clear_missing_words(connection)
        (rows,) = fetch_rows(connection, "SELECT count(*) FROM task")[0]
        found = msgspec.structs.replace(info, rows=rows, sequence=sequence, moved_from=None)
        text = encode_segment_info(found).decode()
        connection.execute("INSERT OR REPLACE INTO info VALUES ('segment', ?)", (text,))
        execute_statements(connection, "COMMIT")
        return found if rows else None
    finally:
        connection.close()


def _copy_through_sqlite(damaged: apsw.Connection, connection: apsw.Connection, info: SegmentInfo) -> bool:
    """Return whether every row was readable."""
    words = _RangeReader(damaged, "SELECT id, kind, value FROM word")
    for word in words.read(LAST_STATE_ID + 1, _last_word_id(damaged)):
        _insert_word(connection, word)
    tasks = _RangeReader(damaged, f"SELECT {', '.join(TASK_COLUMNS)} FROM task NOT INDEXED")
    is_complete = True
    for row in tasks.read(info.first, info.next - 1):
        if has_id(row):
            connection.execute(_INSERT_TASK, row)
        else:
            is_complete = False
    return is_complete and words.is_complete and tasks.is_complete


def _copy_from_leaf_pages(source: Path, connection: apsw.Connection, info: SegmentInfo) -> None:
    """Copy the rows that SQLite does not reach."""
    copied = {row[0] for row in fetch_rows(connection, "SELECT id FROM task")}

    def is_wanted(key: int) -> bool:
        return (info.first <= key < info.next and key not in copied) or LAST_STATE_ID < key <= _MAX_WORD_ID

    for key, values in iter_leaf_rows(source, is_wanted):
        row = (key, *values[1:])
        if len(values) == _WORD_COLUMNS:
            if row[1] in WORD_KINDS.values():
                _insert_word(connection, row)
        elif _MIN_TASK_COLUMNS <= len(values) <= len(TASK_COLUMNS) and info.first <= key < info.next:
            padded = (*row, *(None,) * (len(TASK_COLUMNS) - len(row)))
            if key not in copied and has_id(padded):
                connection.execute(_INSERT_TASK, padded)


def _insert_word(connection: apsw.Connection, word: Row) -> None:
    if isinstance(word[1], str) and isinstance(word[2], str):
        connection.execute(_INSERT_WORD, word)


def _clear_missing_words(connection: apsw.Connection) -> None:
    """Remove references to words that were not recovered: their numbers are given to other words later."""
    for column in WORD_KINDS:
        replacement = STATE_IDS[PENDING] if column == "state" else "NULL"
        connection.execute(
            f"UPDATE task SET {column}={replacement} WHERE {column} NOT IN (SELECT id FROM word WHERE kind=?)",
            (WORD_KINDS[column],),
        )


def _last_word_id(damaged: apsw.Connection) -> int:
    try:
        (number,) = fetch_rows(damaged, "SELECT max(id) FROM word")[0]
        return min(number or 0, _MAX_WORD_ID)
    except (*READ_DAMAGE_ERRORS, apsw.SQLError, TypeError):
        return _MAX_WORD_ID


class _RangeReader:
    """Reads the rows of a table by ranges of ids. `is_complete`: whether all could be read."""

    def __init__(self, damaged: apsw.Connection, select: str) -> None:
        self._damaged = damaged
        self._select = select
        self.is_complete = True

    def read(self, first: int, last: int) -> Iterator[Row]:
        """The readable rows with these ids."""
        for start in range(first, last + 1, _CHUNK_ROWS):
            yield from self._read_part(start, min(start + _CHUNK_ROWS - 1, last))

    def _read_part(self, first: int, last: int) -> list[tuple[Any, ...]]:
        try:
            return fetch_rows(self._damaged, f"{self._select} WHERE id BETWEEN ? AND ?", (first, last))
        except (*READ_DAMAGE_ERRORS, apsw.SQLError):
            self.is_complete = False
            if last - first < _MIN_PART_ROWS:
                return []
        middle = (first + last) // 2
        return [*self._read_part(first, middle), *self._read_part(middle + 1, last)]
