"""What was counted, in meta.db: one row for each worker and task, with the number of the write that changed it."""

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from flower.counters import CounterDelta, CounterKey, TaskCounters
from flower.store.sqlite.connection import Row, fetch_number, fetch_rows

#: Stores made before anything was counted get it when they are next written to.
COUNTER_TABLE: Final = "CREATE TABLE IF NOT EXISTS tally(number INTEGER PRIMARY KEY, sequence INTEGER, data BLOB)"

_to_bytes = msgspec.msgpack.Encoder().encode
_from_bytes = msgspec.msgpack.Decoder(TaskCounters).decode


class CounterRows:
    """The writer's side. Runs inside its transaction; after a rollback it is made anew."""

    def __init__(self, connection: apsw.Connection) -> None:
        connection.execute(COUNTER_TABLE)
        self._connection = connection
        found = fetch_rows(connection, "SELECT number, data FROM tally")
        self._numbers = {_from_bytes(data).key: number for number, data in found}
        self._next = max(self._numbers.values(), default=0) + 1

    def put(self, sequence: int, dropped: Sequence[CounterKey], counters: Sequence[TaskCounters]) -> None:
        """Forget the ones and keep the others, as of this write."""
        db = self._connection
        gone = [(self._numbers.pop(key),) for key in dropped if key in self._numbers]
        if gone:
            db.executemany("DELETE FROM tally WHERE number = ?", gone)
            db.execute("INSERT OR REPLACE INTO info VALUES ('tallies forgotten', ?)", (sequence,))
        if counters:
            db.executemany("INSERT OR REPLACE INTO tally VALUES (?,?,?)", self._rows(sequence, counters))

    def _rows(self, sequence: int, tallies: Sequence[TaskCounters]) -> list[Row]:
        found: list[Row] = []
        for tally in tallies:
            number = self._numbers.get(tally.key)
            if number is None:
                number, self._next = self._next, self._next + 1
                self._numbers[tally.key] = number
            found.append((number, sequence, _to_bytes(tally)))
        # in the order in which they lie on the disk: the cache is small
        return sorted(found)


def write_dedup_marks(connection: apsw.Connection, marks: bytes) -> None:
    connection.execute("INSERT OR REPLACE INTO info VALUES ('marks', ?)", (marks,))


def read_dedup_marks(connection: apsw.Connection) -> bytes:
    found = fetch_rows(connection, "SELECT value FROM info WHERE key = 'marks'")
    return bytes(found[0][0]) if found else b""


def read_counters(connection: apsw.Connection, after: int) -> CounterDelta:
    with connection:  # one moment for all of them
        newest = fetch_number(connection, "SELECT max(sequence) FROM batch")
        if not fetch_rows(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'tally'"):
            return CounterDelta(newest, (), is_snapshot=True)  # written by an older version
        cut = fetch_number(connection, "SELECT value FROM info WHERE key = 'tallies forgotten'")
        whole = after <= 0 or after < cut or after > newest
        if not whole and after == newest:
            return CounterDelta(newest, (), is_snapshot=False)
        found = fetch_rows(connection, "SELECT data FROM tally WHERE sequence > ?", (0 if whole else after,))
    return CounterDelta(newest, tuple(_from_bytes(data) for (data,) in found), whole)
