"""One file of tasks, writer side: encode, insert, update, find; one transaction at a time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import apsw
import msgspec

from flower.records import Task
from flower.store.protocols import StoredTask, TaskChange
from flower.store.sqlite import catalog
from flower.store.sqlite.bloom_filter import BloomFilters, bloom_bits
from flower.store.sqlite.catalog import BOUNDED_KEYS, MAX_BOUND, UNKNOWN_BOUNDS, SegmentInfo, extend_bounds
from flower.store.sqlite.columns.builder import NARROW_SELECT, find_value_range
from flower.store.sqlite.columns.column_writer import ColumnWriter
from flower.store.sqlite.compression.file_conversion import make_plain
from flower.store.sqlite.connection import (
    ACTIVE_CACHE_KB,
    ACTIVE_CHECKPOINT,
    CLOSED_CHECKPOINT,
    READ_DAMAGE_ERRORS,
    SEALED_CACHE_KB,
    Row,
    close_after_checkpoint,
    create_database,
    execute_statements,
    fetch_number,
    fetch_rows,
    is_damage,
    open_for_reading,
    open_for_writing,
)
from flower.store.sqlite.file_header import SizeGuard, is_compressed_file, read_file_state
from flower.store.sqlite.meta_update import MetaUpdate, decode_meta_update
from flower.store.sqlite.migration import add_task_columns, migrate_segment_step, read_format
from flower.store.sqlite.row_codec import (
    DamagedRow,
    WordDictionary,
    build_update_statement,
    changed_fields_mask,
    decode_readable_fields,
    decode_row,
)
from flower.store.sqlite.row_encoder import RowEncoder
from flower.store.sqlite.schema import (
    INSERT_ROW,
    INSERT_TASK,
    SEGMENT_SCHEMA,
    SELECT_TASKS,
    TASK_COLUMNS,
)
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT

_UUID_AT = TASK_COLUMNS.index("uuid")
_SELECT_BY_UUID = f"{SELECT_TASKS} WHERE uuid=?"
_WRITE_INFO = "INSERT OR REPLACE INTO info VALUES (?,?)"
_MAX_STATEMENTS = 512
#: Rows per chunk when columns are built.
_CHUNK = 10_000
#: Tasks that are encoded, inserted and added to the columns together: their rows stay in the processor's cache.
_INSERT_CHUNK = 500


class DamagedFile(Exception):
    """A file of the store is damaged. `number` is that of the segment; None for meta.db."""

    def __init__(self, number: int | None, reason: object) -> None:
        super().__init__(number, reason)
        self.number = number
        self.reason = reason


class SegmentFile:
    """A segment that is open for writing."""

    def __init__(self, path: Path, columns: Path, segment_number: int, *, active: bool) -> None:
        """`active`: new tasks are inserted here, so this segment has the large cache. Raises DamagedFile."""
        self.number = segment_number
        #: no new tasks are inserted, and the Bloom filter is stored
        self.sealed = False
        self._statements: dict[int, tuple[str, tuple[int, ...]]] = {}
        self._path = path
        self._active = active
        self._size_guard = SizeGuard(path)
        with self._guard(opening=True):
            if not path.exists():
                raise DamagedFile(segment_number, "the file is missing")
            #: the file is read-only, and is replaced by the plain one before it is changed
            self.is_compressed = is_compressed_file(path)
            self._db = open_for_reading(path) if self.is_compressed else self._open_plain()
            try:
                if not self.is_compressed:
                    add_task_columns(self._db)
                self.format_number = read_format(self._db)
                self._insert_statement = self._find_insert_statement()
                self.info = self._read_info()
                self.sealed = fetch_number(self._db, "SELECT count(*) FROM info WHERE key='bloom'") > 0
                self.columns = ColumnWriter(columns, self.info.first, self.info.capacity, self.info.sequence)
                self._reset()
            except BaseException:
                self._db.close()
                raise

    @classmethod
    def create(cls, path: Path, columns: Path, segment_number: int, first: int, capacity: int) -> "SegmentFile":
        entry = SegmentInfo(number=segment_number, first=first, next=first, capacity=capacity)
        text = catalog.encode_segment_info(entry).decode()
        create_database(
            path, (*SEGMENT_SCHEMA, f"INSERT INTO info VALUES ('segment', '{text}')"), APPLICATION_ID, STORE_FORMAT
        )
        segment = cls(path, columns, segment_number, active=True)
        segment.columns.create()
        return segment

    def _open_plain(self) -> apsw.Connection:
        return open_for_writing(
            self._path,
            cache_kb=ACTIVE_CACHE_KB if self._active else SEALED_CACHE_KB,
            checkpoint=ACTIVE_CHECKPOINT if self._active else CLOSED_CHECKPOINT,
        )

    def make_writable(self) -> None:
        """Replace a compressed file by the plain one: some tenths of a second. Raises DamagedFile, OSError and apsw
        errors; the compressed file then remains."""
        if not self.is_compressed:
            return
        with self._guard():
            self._size_guard.verify()
            if is_compressed_file(self._path):
                make_plain(self._path)
            plain = self._open_plain()
        self._db.close()
        self._db = plain
        self._size_guard = SizeGuard(self._path)
        self.is_compressed = False
        self._insert_statement = self._find_insert_statement()

    @contextmanager
    def _guard(self, *, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, msgspec.DecodeError, KeyError) as error:
            # a table, an entry or a kind of word is missing
            is_incomplete = opening and isinstance(error, apsw.SQLError | msgspec.DecodeError | KeyError)
            if not (is_incomplete or is_damage(error)):
                raise
            raise DamagedFile(self.number, error) from error

    def _read_info(self) -> SegmentInfo:
        row = self._db.execute("SELECT value FROM info WHERE key='segment'").fetchone()
        if row is None:
            raise DamagedFile(self.number, "the metadata is missing")
        return catalog.decode_segment_info(row[0])

    def _reset(self) -> None:
        """Discard everything that is not on disk."""
        self.__dict__.pop("_dictionary", None)
        self.__dict__.pop("_encoder", None)
        self._bounds = list(self.info.bounds)
        self._rows = self.info.rows
        self._next = self.info.next
        self.columns.discard()

    @cached_property
    def _dictionary(self) -> WordDictionary:
        # loaded lazily: most segments are only searched for ids that they do not contain
        return WordDictionary(fetch_rows(self._db, "SELECT id, kind, value FROM word"))

    @cached_property
    def _encoder(self) -> RowEncoder:
        encoder = RowEncoder(self._dictionary)
        encoder.has_non_uuid_ids, encoder.has_parents = self.info.has_non_uuid_ids, self.info.has_parents
        return encoder

    def _find_insert_statement(self) -> str:
        """The INSERT of a row. Without the names of the columns, unless their order differs: apsw hashes the statement
        for every row."""
        names = tuple(row[1] for row in fetch_rows(self._db, "PRAGMA table_info(task)"))
        return INSERT_ROW if names == TASK_COLUMNS else INSERT_TASK

    # --- reading

    def find(self, packed: bytes | str) -> StoredTask | None:
        with self._guard():
            rows = fetch_rows(self._db, _SELECT_BY_UUID, (packed,))
            return self._decode_stored(rows[0]) if rows else None

    def select(self, condition: str, values: Sequence[Any] = ()) -> list[StoredTask]:
        with self._guard():
            return [
                self._decode_stored(row) for row in fetch_rows(self._db, f"{SELECT_TASKS} WHERE {condition}", values)
            ]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._guard():
            return fetch_rows(self._db, sql, values)

    def _decode_stored(self, row: Row) -> StoredTask:
        try:
            return StoredTask(row[0], decode_row(row, self._dictionary.values))
        except (KeyError, DamagedRow):
            # readers log it; the fields that cannot be read are not written again
            return StoredTask(row[0], decode_readable_fields(row, self._dictionary.values)[0])

    def load_bloom_filter(self, filters: BloomFilters) -> None:
        """Add the Bloom filter to `filters`: the stored one of a sealed file, else one built from the rows."""
        capacity = self.info.capacity
        if self.sealed:
            (content,) = self.rows("SELECT value FROM info WHERE key='bloom'")[0]
            if isinstance(content, bytes) and len(content) * 8 == bloom_bits(capacity):
                filters.add_filter(self.number, capacity, content)
                return
            self.sealed = False
        ids = [row[0] for row in self.rows("SELECT uuid FROM task")]
        filters.add_filter(self.number, capacity)
        if ids:
            filters.add_ids(self.number, ids)

    def read_meta_update(self) -> MetaUpdate | None:
        """The part of the last write that belongs into meta.db, if this segment was the last one to commit."""
        rows = self.rows("SELECT value FROM info WHERE key='meta_update'")
        update = decode_meta_update(rows[0][0]) if rows else None
        return update if update is not None and update.sequence == self.info.sequence else None

    def used_bytes(self) -> int:
        """Size of the rows, without free pages; that of the file if it is compressed."""
        if self.is_compressed:
            return read_file_state(self._path).size
        with self._guard():
            free = fetch_number(self._db, "PRAGMA freelist_count")
            return (_used_pages(self._db) - free) * fetch_number(self._db, "PRAGMA page_size")

    # --- writing, inside a transaction

    def begin(self) -> None:
        self.make_writable()
        with self._guard():
            self._size_guard.verify()
            self._db.execute("BEGIN IMMEDIATE")
            _ = self._encoder

    @property
    def free_rows(self) -> int:
        return self.info.capacity - (self._next - self.info.first)

    def insert(self, first: int, tasks: Sequence[Task]) -> list[bytes | str]:
        """Insert rows with the keys from `first` on. Return their packed ids."""
        ids: list[bytes | str] = []
        for start in range(0, len(tasks), _INSERT_CHUNK):
            chunk = tasks[start : start + _INSERT_CHUNK]
            columns = self._encoder.encode(range(first + start, first + start + len(chunk)), chunk)
            with self._guard():
                self._db.executemany(self._insert_statement, zip(*columns, strict=True))
            self._put_columns(columns)
            ids += columns[_UUID_AT]
        self._rows += len(tasks)
        self._next = first + len(tasks)
        return ids

    def update(self, changes: Sequence[TaskChange]) -> list[TaskChange]:
        """Set only the fields that differ: naming an indexed column rewrites its index. Return the changes whose rows
        do not exist."""
        groups: dict[int, list[tuple[Row, TaskChange]]] = {}
        columns = self._encoder.encode([change.key for change in changes], [change.after for change in changes])
        for change, row in zip(changes, zip(*columns, strict=True), strict=True):
            mask = changed_fields_mask(change.before, change.after)
            groups.setdefault(mask, []).append((row, change))
        missing: list[TaskChange] = []
        with self._guard():
            for mask, group in groups.items():
                missing += self._update_same_fields(mask, group)
        missing_keys = {change.key for change in missing}
        updated = [row for group in groups.values() for row, _ in group if row[0] not in missing_keys]
        if updated:
            self._put_columns(tuple(zip(*updated, strict=True)))
        return missing

    def _update_same_fields(self, mask: int, group: list[tuple[Row, TaskChange]]) -> list[TaskChange]:
        """Apply changes of the same fields, in the order of the file."""
        if not mask:
            return []
        if mask not in self._statements:
            if len(self._statements) >= _MAX_STATEMENTS:
                self._statements.clear()
            self._statements[mask] = build_update_statement(mask)
        sql, indexes = self._statements[mask]
        group.sort(key=_change_key)
        before = self._db.total_changes()
        self._db.executemany(sql, [[row[index] for index in indexes] for row, _ in group])
        if self._db.total_changes() - before == len(group):
            return []
        return [
            change
            for _, change in group
            if self._db.execute("SELECT 1 FROM task WHERE id=?", (change.key,)).fetchone() is None
        ]

    def delete(self, ids: Sequence[Row]) -> int:
        before = self._db.total_changes()
        with self._guard():
            self._db.executemany("DELETE FROM task WHERE id=?", ids)
        self.columns.remove(row[0] for row in ids)
        deleted = self._db.total_changes() - before
        self._rows -= deleted
        return deleted

    def _put_columns(self, columns: Sequence[Sequence[Any]]) -> None:
        """Add rows to the columns and to the bounds. `columns`: all values of each of TASK_COLUMNS."""
        values = self.columns.put(columns)
        for key_index, key in enumerate(BOUNDED_KEYS):
            self._extend_bound(key_index, find_value_range(values[key]))

    def _extend_bound(self, key_index: int, values: Sequence[float]) -> None:
        if values:
            # infinity is stored as the largest number: JSON has no infinity
            low, high = (min(max(value, -MAX_BOUND), MAX_BOUND) for value in (min(values), max(values)))
            self._bounds[key_index] = extend_bounds(self._bounds[key_index], low, high)

    def write_info(self, sequence: int, *, moved_from: int | None = None, meta_update: bytes | None = None) -> None:
        """The last step of a transaction: write the new words, the metadata of the segment and, in the last segment to
        commit, the part of the write that belongs into meta.db."""
        entry = SegmentInfo(
            number=self.number,
            first=self.info.first,
            next=self._next,
            capacity=self.info.capacity,
            rows=self._rows,
            sequence=sequence,
            has_non_uuid_ids=self._encoder.has_non_uuid_ids,
            has_parents=self._encoder.has_parents,
            bounds=tuple(self._bounds),
            moved_from=moved_from,
        )
        with self._guard():
            words = self._dictionary.pop_new_words()
            if words:
                self._db.executemany("INSERT INTO word VALUES (?,?,?)", words)
            self._db.execute(_WRITE_INFO, ("segment", catalog.encode_segment_info(entry).decode()))
            if meta_update is None:
                self._db.execute("DELETE FROM info WHERE key='meta_update'")
            else:
                self._db.execute(_WRITE_INFO, ("meta_update", meta_update))
        self._described = entry

    def commit(self) -> None:
        with self._guard():
            self._db.execute("COMMIT")
        self.info = self._described
        self.columns.commit(self.info.sequence)
        if self.sealed:
            # Changes of old tasks in many segments would leave all their columns in memory.
            self.columns.release()

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._reset()

    def revert(self, entry: SegmentInfo, changes: Iterable[TaskChange], sequence: int) -> None:
        """Undo a committed transaction: remove the rows that it inserted, restore those that it changed."""
        self.begin()
        try:
            self.delete(self.rows("SELECT id FROM task WHERE id >= ?", (entry.next,)))
            self.update([TaskChange(change.key, change.after, change.before) for change in changes])
            self._next, self._bounds = entry.next, list(entry.bounds)
            self.write_info(sequence, moved_from=entry.moved_from)
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def seal(self, content: bytes) -> None:
        """Accept no more tasks: store the Bloom filter with the rows, and move the write-ahead log into the file."""
        self.make_writable()
        with self._guard():
            self._size_guard.verify()
            self._db.execute(_WRITE_INFO, ("bloom", content))
            self.sealed = True
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            execute_statements(
                self._db, f"PRAGMA cache_size=-{SEALED_CACHE_KB}", f"PRAGMA wal_autocheckpoint={CLOSED_CHECKPOINT}",
                "PRAGMA shrink_memory",
            )  # fmt: skip

    @property
    def is_migrated(self) -> bool:
        return self.format_number >= STORE_FORMAT

    def migrate_step(self) -> None:
        """Convert some rows to the present format."""
        self.make_writable()
        with self._guard():
            self.format_number = migrate_segment_step(self._db)

    def migrate(self) -> None:
        """Convert all rows to the present format: a second at most, in steps that are retained if this is
        interrupted."""
        while not self.is_migrated:
            self.migrate_step()

    def rebuild_columns(self) -> bool:
        """Build the columns from the rows, and determine bounds that are not known. Return False if there is no disk
        space."""
        is_rebuilt = self.columns.rebuild(self._chunks(), self.info.sequence)
        if is_rebuilt and self.info.bound("time") == UNKNOWN_BOUNDS:
            self.make_writable()
            time_index = BOUNDED_KEYS.index("time")
            self._bounds[time_index] = None
            self._extend_bound(time_index, self.columns.value_range("time", self._next - self.info.first))
            self.info = msgspec.structs.replace(self.info, bounds=tuple(self._bounds))
            with self._guard():
                self._db.execute(_WRITE_INFO, ("segment", catalog.encode_segment_info(self.info).decode()))
        return is_rebuilt

    def _chunks(self) -> Iterator[list[Row]]:
        last = -1
        while rows := self.rows(f"{NARROW_SELECT} WHERE id > ? ORDER BY id LIMIT {_CHUNK}", (last,)):
            yield rows
            last = rows[-1][0]

    def sort_columns(self) -> None:
        self.columns.sort(self.info.next - self.info.first)

    def verify_integrity(self) -> None:
        """Raises DamagedFile."""
        with self._guard():
            self._size_guard.verify()
        verify_integrity(self._db, self.number)

    def close(self) -> None:
        self.columns.close()
        if self.is_compressed:
            self._db.close()
        else:
            close_after_checkpoint(self._db, self._size_guard)


def verify_integrity(connection: apsw.Connection, number: int | None) -> None:
    """Check all pages and indexes: about a second for a full segment. Raises DamagedFile."""
    try:
        result = fetch_rows(connection, "PRAGMA integrity_check(1)")[0][0]
    except READ_DAMAGE_ERRORS as error:
        raise DamagedFile(number, error) from error
    if result != "ok":
        raise DamagedFile(number, str(result).replace("\n", " "))


def _change_key(item: tuple[Row, TaskChange]) -> int:
    return item[1].key


def _used_pages(connection: apsw.Connection) -> int:
    return fetch_number(connection, "PRAGMA page_count")
