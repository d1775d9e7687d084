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
from flower.store.sqlite.catalog import BOUNDED_KEYS, MAX_BOUND, SegmentInfo, extend_bounds
from flower.store.sqlite.columns.builder import NARROW_SELECT
from flower.store.sqlite.columns.column_writer import ColumnWriter
from flower.store.sqlite.connection import (
    ACTIVE_CACHE_KB,
    ACTIVE_CHECKPOINT,
    CLOSED_CHECKPOINT,
    DAMAGE_ERRORS,
    SEALED_CACHE_KB,
    Row,
    create_database,
    execute_statements,
    fetch_number,
    fetch_rows,
    open_for_writing,
)
from flower.store.sqlite.row_codec import (
    RowEncoder,
    WordDictionary,
    build_update_statement,
    changed_fields_mask,
    decode_row,
)
from flower.store.sqlite.schema import (
    APPLICATION_ID,
    FORMAT_VERSION,
    INSERT_TASK,
    SEGMENT_SCHEMA,
    SELECT_TASKS,
    TASK_COLUMNS,
    TASK_FIELDS,
)

_BOUNDED_AT = tuple(TASK_COLUMNS.index(key) for key in BOUNDED_KEYS)
_BOUNDED_MASK = sum(1 << TASK_FIELDS.index(key) for key in BOUNDED_KEYS)
_SELECT_BY_UUID = f"{SELECT_TASKS} WHERE uuid=?"
_WRITE_INFO = "INSERT OR REPLACE INTO info VALUES (?,?)"
_MAX_STATEMENTS = 512
#: Rows per chunk when columns are built.
_CHUNK = 10_000


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
        with self._guard(opening=True):
            if not path.exists():
                raise DamagedFile(segment_number, "the file is missing")
            self._db = open_for_writing(
                path,
                cache_kb=ACTIVE_CACHE_KB if active else SEALED_CACHE_KB,
                checkpoint=ACTIVE_CHECKPOINT if active else CLOSED_CHECKPOINT,
            )
            try:
                if path.stat().st_size < _used_pages(self._db) * fetch_number(
                    self._db, "PRAGMA page_size"
                ) and not _wal_path(path):
                    raise DamagedFile(segment_number, "the file is shorter than its header states")
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
            path, (*SEGMENT_SCHEMA, f"INSERT INTO info VALUES ('segment', '{text}')"), APPLICATION_ID, FORMAT_VERSION
        )
        segment = cls(path, columns, segment_number, active=True)
        segment.columns.create()
        return segment

    @contextmanager
    def _guard(self, *, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except DAMAGE_ERRORS as error:
            raise DamagedFile(self.number, error) from error
        except (apsw.SQLError, msgspec.DecodeError, KeyError) as error:
            if not opening:
                raise
            # a table, an entry or a kind of word is missing
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

    # --- reading

    def find(self, packed: bytes | str) -> StoredTask | None:
        with self._guard():
            row = self._db.execute(_SELECT_BY_UUID, (packed,)).fetchone()
            return None if row is None else self._decode_stored(row)

    def select(self, condition: str, values: Sequence[Any] = ()) -> list[StoredTask]:
        with self._guard():
            return [
                self._decode_stored(row)
                for row in self._db.execute(f"{SELECT_TASKS} WHERE {condition}", values).fetchall()
            ]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._guard():
            return fetch_rows(self._db, sql, values)

    def _decode_stored(self, row: Row) -> StoredTask:
        return StoredTask(row[0], decode_row(row, self._dictionary.values))

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

    def used_bytes(self) -> int:
        """Size of the rows, without free pages."""
        with self._guard():
            free = fetch_number(self._db, "PRAGMA freelist_count")
            return (_used_pages(self._db) - free) * fetch_number(self._db, "PRAGMA page_size")

    # --- writing, inside a transaction

    def begin(self) -> None:
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            _ = self._encoder

    @property
    def free_rows(self) -> int:
        return self.info.capacity - (self._next - self.info.first)

    def insert(self, first: int, tasks: Sequence[Task]) -> None:
        """Insert rows with the keys from `first` on."""
        encode = self._encoder.encode_row
        new = [encode(key, task) for key, task in enumerate(tasks, first)]
        with self._guard():
            self._db.executemany(INSERT_TASK, new)
        self.columns.put(new)
        self._extend_bounds(new)
        self._rows += len(new)
        self._next = first + len(new)

    def update(self, changes: Sequence[TaskChange]) -> list[TaskChange]:
        """Set only the fields that differ: naming an indexed column rewrites its index. Return the changes whose rows
        do not exist."""
        groups: dict[int, list[tuple[Row, TaskChange]]] = {}
        encode = self._encoder.encode_row
        bounded_rows: list[Row] = []
        for change in changes:
            mask = changed_fields_mask(change.before, change.after)
            row = encode(change.key, change.after)
            groups.setdefault(mask, []).append((row, change))
            if mask & _BOUNDED_MASK:
                bounded_rows.append(row)
        missing: list[TaskChange] = []
        with self._guard():
            for mask, group in groups.items():
                missing += self._update_same_fields(mask, group)
        missing_keys = {change.key for change in missing}
        self.columns.put(row for group in groups.values() for row, _ in group if row[0] not in missing_keys)
        self._extend_bounds(bounded_rows)
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

    def _extend_bounds(self, written: Sequence[Row]) -> None:
        for key_index, index in enumerate(_BOUNDED_AT):
            # infinity is stored as the largest number: JSON has no infinity
            values = [min(max(row[index], -MAX_BOUND), MAX_BOUND) for row in written if row[index] is not None]
            if values:
                self._bounds[key_index] = extend_bounds(self._bounds[key_index], min(values), max(values))

    def write_info(self, sequence: int, *, moved_from: int | None = None) -> None:
        """The last step of a transaction: write the new words and the metadata of the segment."""
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
        self._described = entry

    def commit(self) -> None:
        with self._guard():
            self._db.execute("COMMIT")
        self.info = self._described
        self.columns.commit(self.info.sequence)

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
        with self._guard():
            self._db.execute(_WRITE_INFO, ("bloom", content))
            self.sealed = True
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            execute_statements(
                self._db, f"PRAGMA cache_size=-{SEALED_CACHE_KB}", f"PRAGMA wal_autocheckpoint={CLOSED_CHECKPOINT}",
                "PRAGMA shrink_memory",
            )  # fmt: skip

    def rebuild_columns(self) -> bool:
        """Build the columns from the rows. Return False if there is no disk space."""
        return self.columns.rebuild(self._chunks(), self.info.sequence)

    def _chunks(self) -> Iterator[list[Row]]:
        last = -1
        while rows := self.rows(f"{NARROW_SELECT} WHERE id > ? ORDER BY id LIMIT {_CHUNK}", (last,)):
            yield rows
            last = rows[-1][0]

    def sort_columns(self) -> None:
        self.columns.sort(self.info.next - self.info.first)

    def close(self) -> None:
        self.columns.close()
        self._db.close()


def _change_key(item: tuple[Row, TaskChange]) -> int:
    return item[1].key


def _used_pages(connection: apsw.Connection) -> int:
    return fetch_number(connection, "PRAGMA page_count")


def _wal_path(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0
