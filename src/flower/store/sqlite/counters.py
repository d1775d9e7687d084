"""Event counters in meta.db: one row per worker and task type, with the number of the write that changed it."""

from collections.abc import Sequence
from typing import Final

import apsw
import msgspec

from flower.counters import CounterDelta, CounterKey, TaskCounters
from flower.store.sqlite.connection import Row, fetch_number, fetch_rows

#: Stores of earlier versions get the table when they are next written to.
COUNTER_TABLE: Final = "CREATE TABLE IF NOT EXISTS tally(number INTEGER PRIMARY KEY, sequence INTEGER, data BLOB)"

_SELECT_DROPPED_AT: Final = "SELECT value FROM info WHERE key = 'tallies forgotten'"  # wording: quoted

_to_bytes = msgspec.msgpack.Encoder().encode
_from_bytes = msgspec.msgpack.Decoder(TaskCounters).decode


class CounterRows:
    """Writer side. Runs inside the transaction of the writer, and is recreated after a rollback."""

    def __init__(self, connection: apsw.Connection) -> None:
        connection.execute(COUNTER_TABLE)
        self._connection = connection
        rows = fetch_rows(connection, "SELECT number, data FROM tally")
        self._numbers = {_from_bytes(data).key: number for number, data in rows}
        self._next = max(self._numbers.values(), default=0) + 1

    def put(self, sequence: int, dropped: Sequence[CounterKey], counters: Sequence[TaskCounters]) -> None:
        """Remove the counters in `dropped` and store the others, as of this write."""
        db = self._connection
        removed = [(self._numbers.pop(key),) for key in dropped if key in self._numbers]
        if removed:
            db.executemany("DELETE FROM tally WHERE number = ?", removed)
            db.execute("INSERT OR REPLACE INTO info VALUES ('tallies forgotten', ?)", (sequence,))  # wording: quoted
        if counters:
            db.executemany("INSERT OR REPLACE INTO tally VALUES (?,?,?)", self._rows(sequence, counters))

    def _rows(self, sequence: int, counters: Sequence[TaskCounters]) -> list[Row]:
        rows_to_write: list[Row] = []
        for task_counters in counters:
            number = self._numbers.get(task_counters.key)
            if number is None:
                number, self._next = self._next, self._next + 1
                self._numbers[task_counters.key] = number
            rows_to_write.append((number, sequence, _to_bytes(task_counters)))
        # in storage order, because the cache is small
        return sorted(rows_to_write)


def read_counters(connection: apsw.Connection, after: int) -> CounterDelta:
    with connection:  # one snapshot for all statements
        newest = fetch_number(connection, "SELECT max(sequence) FROM batch")
        if not fetch_rows(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'tally'"):
            return CounterDelta(newest, (), is_snapshot=True)  # written by an older version
        dropped_at = fetch_number(connection, _SELECT_DROPPED_AT)
        is_snapshot = after <= 0 or after < dropped_at or after > newest
        if not is_snapshot and after == newest:
            return CounterDelta(newest, (), is_snapshot=False)
        rows = fetch_rows(connection, "SELECT data FROM tally WHERE sequence > ?", (0 if is_snapshot else after,))
    return CounterDelta(newest, tuple(_from_bytes(data) for (data,) in rows), is_snapshot)
