"""One file of tasks, as the writer holds it: encode, insert, update, find; one transaction at a time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import apsw
import msgspec

from flower.records import Task
from flower.store.port import Changed, Stored
from flower.store.sqlite import catalogue
from flower.store.sqlite.bloom import Filters
from flower.store.sqlite.catalogue import BOUNDED, LARGEST, Segment, widen
from flower.store.sqlite.codec import Dictionary, Encoder, decode, difference, update_statement
from flower.store.sqlite.columns.fill import NARROW
from flower.store.sqlite.columns.keeping import Keeper
from flower.store.sqlite.connection import (
    CLOSED_CHECKPOINT,
    DAMAGED,
    OPEN_CACHE_KB,
    OPEN_CHECKPOINT,
    SEALED_CACHE_KB,
    Row,
    create,
    number,
    open_for_writing,
    rows,
    run,
)
from flower.store.sqlite.probe import bits_for
from flower.store.sqlite.schema import APPLICATION_ID, COLUMNS, FIELDS, FORMAT, INSERT, SEGMENT, SELECT

_BOUNDED_AT = tuple(COLUMNS.index(key) for key in BOUNDED)
_BOUNDED_MASK = sum(1 << FIELDS.index(key) for key in BOUNDED)
_SELECT_BY_UUID = f"{SELECT} WHERE uuid=?"
_PUT_INFO = "INSERT OR REPLACE INTO info VALUES (?,?)"
_MOST_STATEMENTS = 512
#: Rows whose columns are made together.
_CHUNK = 10_000


class DamagedFile(Exception):
    """A file of the store is not what it was. `number` is the segment's; None for meta.db."""

    def __init__(self, number: int | None, reason: object) -> None:
        super().__init__(number, reason)
        self.number = number
        self.reason = reason


class SegmentFile:
    def __init__(self, path: Path, columns: Path, number_: int, *, receiving: bool) -> None:
        """`receiving`: new tasks go here, so it gets the memory. Raises DamagedFile."""
        self.number = number_
        #: it takes no new tasks, and its filter is kept with it
        self.sealed = False
        self._statements: dict[int, tuple[str, tuple[int, ...]]] = {}
        with self._guard(opening=True):
            if not path.exists():
                raise DamagedFile(number_, "the file is gone")
            self._db = open_for_writing(
                path,
                cache_kb=OPEN_CACHE_KB if receiving else SEALED_CACHE_KB,
                checkpoint=OPEN_CHECKPOINT if receiving else CLOSED_CHECKPOINT,
            )
            try:
                if path.stat().st_size < _pages(self._db) * number(self._db, "PRAGMA page_size") and not _log(path):
                    raise DamagedFile(number_, "the file is shorter than it says")
                self.entry = self._read_entry()
                self.sealed = number(self._db, "SELECT count(*) FROM info WHERE key='bloom'") > 0
                self.columns = Keeper(columns, self.entry.first, self.entry.capacity, self.entry.sequence)
                self._reset()
            except BaseException:
                self._db.close()
                raise

    @classmethod
    def make(cls, path: Path, columns: Path, number_: int, first: int, capacity: int) -> "SegmentFile":
        entry = Segment(number=number_, first=first, next=first, capacity=capacity)
        text = catalogue.to_json(entry).decode()
        create(path, (*SEGMENT, f"INSERT INTO info VALUES ('segment', '{text}')"), APPLICATION_ID, FORMAT)
        made = cls(path, columns, number_, receiving=True)
        made.columns.make()
        return made

    @contextmanager
    def _guard(self, *, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except DAMAGED as error:
            raise DamagedFile(self.number, error) from error
        except (apsw.SQLError, msgspec.DecodeError, KeyError) as error:
            if not opening:
                raise
            # a table, an entry or a kind of word that should be there is not
            raise DamagedFile(self.number, error) from error

    def _read_entry(self) -> Segment:
        row = self._db.execute("SELECT value FROM info WHERE key='segment'").fetchone()
        if row is None:
            raise DamagedFile(self.number, "it does not say what it holds")
        return catalogue.from_json(row[0])

    def _reset(self) -> None:
        """What is on disk counts, nothing else."""
        self.__dict__.pop("_dictionary", None)
        self.__dict__.pop("_encoder", None)
        self._bounds = list(self.entry.bounds)
        self._rows = self.entry.rows
        self._next = self.entry.next
        self.columns.forget()

    @cached_property
    def _dictionary(self) -> Dictionary:
        # read when it is needed: most segments are only asked for ids that they do not hold
        return Dictionary(rows(self._db, "SELECT id, kind, value FROM word"))

    @cached_property
    def _encoder(self) -> Encoder:
        encoder = Encoder(self._dictionary)
        encoder.odd_ids, encoder.parented = self.entry.odd_ids, self.entry.parented
        return encoder

    # --- finding

    def find(self, packed: bytes | str) -> Stored | None:
        with self._guard():
            row = self._db.execute(_SELECT_BY_UUID, (packed,)).fetchone()
            return None if row is None else self._stored(row)

    def select(self, condition: str, values: Sequence[Any] = ()) -> list[Stored]:
        with self._guard():
            return [self._stored(row) for row in self._db.execute(f"{SELECT} WHERE {condition}", values).fetchall()]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._guard():
            return rows(self._db, sql, values)

    def _stored(self, row: Row) -> Stored:
        return Stored(row[0], decode(row, self._dictionary.values))

    def give_filter(self, filters: Filters) -> None:
        """The Bloom filter that was sealed with the file, else one made from the rows."""
        capacity = self.entry.capacity
        if self.sealed:
            (content,) = self.rows("SELECT value FROM info WHERE key='bloom'")[0]
            if isinstance(content, bytes) and len(content) * 8 == bits_for(capacity):
                filters.put(self.number, capacity, content)
                return
            self.sealed = False
        ids = [row[0] for row in self.rows("SELECT uuid FROM task")]
        filters.put(self.number, capacity)
        if ids:
            filters.add(self.number, ids)

    def used_bytes(self) -> int:
        """What the rows take, without the room that deleted ones left."""
        with self._guard():
            free = number(self._db, "PRAGMA freelist_count")
            return (_pages(self._db) - free) * number(self._db, "PRAGMA page_size")

    # --- changing, inside a transaction

    def begin(self) -> None:
        with self._guard():
            self._db.execute("BEGIN IMMEDIATE")
            _ = self._encoder

    @property
    def vacancies(self) -> int:
        return self.entry.capacity - (self._next - self.entry.first)

    def insert(self, first: int, tasks: Sequence[Task]) -> None:
        """New rows under the keys from `first` on."""
        encode = self._encoder.row
        new = [encode(key, task) for key, task in enumerate(tasks, first)]
        with self._guard():
            self._db.executemany(INSERT, new)
        self.columns.put(new)
        self._widen(new)
        self._rows += len(new)
        self._next = first + len(new)

    def update(self, changes: Sequence[Changed]) -> list[Changed]:
        """Set the fields that differ, and only those: naming an indexed column rewrites its index.
        Gives the changes whose rows are not there."""
        groups: dict[int, list[tuple[Row, Changed]]] = {}
        encode = self._encoder.row
        widening: list[Row] = []
        for change in changes:
            mask = difference(change.before, change.after)
            row = encode(change.key, change.after)
            groups.setdefault(mask, []).append((row, change))
            if mask & _BOUNDED_MASK:
                widening.append(row)
        missing: list[Changed] = []
        with self._guard():
            for mask, group in groups.items():
                missing += self._update_alike(mask, group)
        gone = {change.key for change in missing}
        self.columns.put(row for group in groups.values() for row, _ in group if row[0] not in gone)
        self._widen(widening)
        return missing

    def _update_alike(self, mask: int, group: list[tuple[Row, Changed]]) -> list[Changed]:
        """Changes of the same fields, in the order of the file."""
        if not mask:
            return []
        if mask not in self._statements:
            if len(self._statements) >= _MOST_STATEMENTS:
                self._statements.clear()
            self._statements[mask] = update_statement(mask)
        sql, places = self._statements[mask]
        group.sort(key=_key)
        before = self._db.total_changes()
        self._db.executemany(sql, [[row[place] for place in places] for row, _ in group])
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
        gone = self._db.total_changes() - before
        self._rows -= gone
        return gone

    def _widen(self, written: Sequence[Row]) -> None:
        for which, place in enumerate(_BOUNDED_AT):
            # infinity is kept as the greatest number: JSON has none
            values = [min(max(row[place], -LARGEST), LARGEST) for row in written if row[place] is not None]
            if values:
                self._bounds[which] = widen(self._bounds[which], min(values), max(values))

    def describe(self, sequence: int, *, emptied: int | None = None) -> None:
        """The last thing in a transaction: the new words, and what the segment says of itself."""
        entry = Segment(
            number=self.number,
            first=self.entry.first,
            next=self._next,
            capacity=self.entry.capacity,
            rows=self._rows,
            sequence=sequence,
            odd_ids=self._encoder.odd_ids,
            parented=self._encoder.parented,
            bounds=tuple(self._bounds),
            emptied=emptied,
        )
        with self._guard():
            words = self._dictionary.take_fresh()
            if words:
                self._db.executemany("INSERT INTO word VALUES (?,?,?)", words)
            self._db.execute(_PUT_INFO, ("segment", catalogue.to_json(entry).decode()))
        self._described = entry

    def commit(self) -> None:
        with self._guard():
            self._db.execute("COMMIT")
        self.entry = self._described
        self.columns.commit(self.entry.sequence)

    def rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._reset()

    def restore(self, entry: Segment, changes: Iterable[Changed], sequence: int) -> None:
        """Undo a committed transaction: the rows that it brought go, those that it changed are as before."""
        self.begin()
        try:
            self.delete(self.rows("SELECT id FROM task WHERE id >= ?", (entry.next,)))
            self.update([Changed(change.key, change.after, change.before) for change in changes])
            self._next, self._bounds = entry.next, list(entry.bounds)
            self.describe(sequence, emptied=entry.emptied)
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def seal(self, content: bytes) -> None:
        """No new tasks any more: keep the filter with the rows, and bring the log into the file."""
        with self._guard():
            self._db.execute(_PUT_INFO, ("bloom", content))
            self.sealed = True
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            run(
                self._db, f"PRAGMA cache_size=-{SEALED_CACHE_KB}", f"PRAGMA wal_autocheckpoint={CLOSED_CHECKPOINT}",
                "PRAGMA shrink_memory",
            )  # fmt: skip

    def rebuild_columns(self) -> bool:
        """Make the columns anew from the rows. False if there is no room for them."""
        return self.columns.rebuild(self._chunks(), self.entry.sequence)

    def _chunks(self) -> Iterator[list[Row]]:
        last = -1
        while rows := self.rows(f"{NARROW} WHERE id > ? ORDER BY id LIMIT {_CHUNK}", (last,)):
            yield rows
            last = rows[-1][0]

    def order_columns(self) -> None:
        self.columns.order(self.entry.next - self.entry.first)

    def close(self) -> None:
        self.columns.close()
        self._db.close()


def _key(item: tuple[Row, Changed]) -> int:
    return item[1].key


def _pages(connection: apsw.Connection) -> int:
    return number(connection, "PRAGMA page_count")


def _log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0
