"""meta.db: change sequence, workers and their history, gaps, counters, and copies of the catalog. Written last in every
write: it refers only to data that is on disk already."""

import json
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from flower.records import Gap, Task, Worker
from flower.store.protocols import Batch, Changes
from flower.store.query_results import WorkerSnapshot
from flower.store.sqlite.catalog import SegmentInfo, decode_segment_info, encode_segment_info
from flower.store.sqlite.connection import Row, close_after_checkpoint, fetch_number, fetch_rows
from flower.store.sqlite.counters import CounterRows
from flower.store.sqlite.file_header import SizeGuard
from flower.store.sqlite.migration import add_gap_columns, read_gap_rows
from flower.store.sqlite.row_codec import unpack_id
from flower.store.sqlite.schema import INSERT_GAP
from flower.store.worker_history import MAX_WORKER_SNAPSHOTS, WorkerHistorySampler

#: Limits of the change log: number of writes, and number of changed tasks in all of them.
MAX_LOG_BATCHES: Final = 1_000
MAX_LOG_TASKS: Final = 250_000
#: Maximum number of gaps; the oldest are removed.
MAX_GAPS: Final = 10_000

#: Stores of earlier versions get the table when they are next written to. Rows are in the order of writing.
_WORKER_LOG_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS worker_log(at REAL, hostname TEXT, event TEXT, data TEXT)",
    "CREATE INDEX IF NOT EXISTS worker_log_hostname ON worker_log(hostname, at)",
    "CREATE INDEX IF NOT EXISTS worker_log_at ON worker_log(at)",
)

_tasks_to_bytes = msgspec.msgpack.Encoder().encode
_tasks_from_bytes = msgspec.msgpack.Decoder(tuple[Task, ...]).decode
_worker_to_json = msgspec.json.Encoder().encode
_worker_from_json = msgspec.json.Decoder(Worker).decode


class _WorkerSnapshotData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The column `data` of the worker history."""

    pid: int | None = None
    active: int | None = None
    processed: int | None = None
    loadavg: tuple[float, ...] | None = None


_snapshot_to_json = msgspec.json.Encoder().encode
_snapshot_from_json = msgspec.json.Decoder(_WorkerSnapshotData).decode


class MetaWriter:
    """Writer side; every method runs inside the transaction of the writer on meta.db."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self.connection = connection
        self.size_guard = SizeGuard(path)
        self.sequence = 0
        self._logged_tasks = self._oldest_sequence = 0
        add_gap_columns(connection)
        for statement in _WORKER_LOG_SCHEMA:
            connection.execute(statement)
        self.identity = self._identity()
        self.reload()

    def _identity(self) -> str:
        """Random name, created with the store."""
        db = self.connection
        db.execute("INSERT OR IGNORE INTO info VALUES ('identity', ?)", (secrets.token_hex(8),))
        return str(fetch_rows(db, "SELECT value FROM info WHERE key='identity'")[0][0])

    def reload(self) -> None:
        """Read the state of the log: when the store is opened, and after a rollback."""
        db = self.connection
        self.sequence = read_sequence(db)
        self._logged_tasks = fetch_number(db, "SELECT sum(touched) FROM batch")
        self._oldest_sequence = fetch_number(db, "SELECT min(sequence) FROM batch")
        last = fetch_rows(db, "SELECT hostname, max(at) FROM worker_log GROUP BY hostname")
        self._worker_sampler = WorkerHistorySampler(read_workers(db), dict(last))
        self.counter_rows = CounterRows(db)

    def log_batch(self, sequence: int, packed: Sequence[bytes | str], *, complete: bool = True) -> None:
        """Append the entry of a write to the change log, whose size is limited."""
        if not complete or len(packed) > MAX_LOG_TASKS:
            row: Row = (sequence, time.time(), 0, b"", None, 0)
        else:
            ids = b"".join(value for value in packed if isinstance(value, bytes))
            non_uuid_ids = [value for value in packed if isinstance(value, str)]
            row = (sequence, time.time(), len(packed), ids, json.dumps(non_uuid_ids) if non_uuid_ids else None, 1)
        self.connection.execute("INSERT INTO batch VALUES (?,?,?,?,?,?)", row)
        self._trim_log(sequence, row[2])
        self.sequence = sequence

    def _trim_log(self, sequence: int, touched: int) -> None:
        self._logged_tasks += touched
        self._oldest_sequence = self._oldest_sequence or sequence
        if sequence - self._oldest_sequence < MAX_LOG_BATCHES and self._logged_tasks <= MAX_LOG_TASKS:
            return
        first_kept, removed_tasks = self._oldest_sequence, 0
        for entry, count in fetch_rows(
            self.connection,
            "SELECT sequence, touched FROM batch WHERE sequence < ? ORDER BY sequence",
            (sequence,),
        ):
            if sequence - entry < MAX_LOG_BATCHES and self._logged_tasks - removed_tasks <= MAX_LOG_TASKS:
                break
            first_kept, removed_tasks = entry + 1, removed_tasks + count
        self.connection.execute("DELETE FROM batch WHERE sequence < ?", (first_kept,))
        self._logged_tasks -= removed_tasks
        self._oldest_sequence = first_kept

    def park_tasks(self, tasks: Sequence[Task]) -> None:
        """Store these tasks, in place of the previous ones, for the next process that opens the store."""
        try:
            content = _tasks_to_bytes(tasks)
        except (OverflowError, UnicodeEncodeError, TypeError, ValueError, RecursionError):
            # custom data that cannot be encoded; the recorder still has it in memory
            content = _tasks_to_bytes([msgspec.structs.replace(task, data=None) for task in tasks])
        self.connection.execute("INSERT OR REPLACE INTO info VALUES ('held', ?)", (content,))

    def parked_tasks(self) -> Sequence[Task]:
        rows = fetch_rows(self.connection, "SELECT value FROM info WHERE key='held'")
        return _tasks_from_bytes(rows[0][0]) if rows else ()

    def put_workers(self, workers: Sequence[Worker]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO worker VALUES (?,?)",
            [(worker.hostname, _worker_to_json(worker).decode()) for worker in workers],
        )
        snapshots = self._worker_sampler.sample(workers)
        if snapshots:
            self.connection.executemany("INSERT INTO worker_log VALUES (?,?,?,?)", map(_history_row, snapshots))
            self.connection.execute(
                "DELETE FROM worker_log WHERE rowid <= (SELECT max(rowid) FROM worker_log) - ?", (MAX_WORKER_SNAPSHOTS,)
            )

    def remove_workers(self, hostnames: Collection[str]) -> None:
        with self.connection:
            self.connection.executemany("DELETE FROM worker WHERE hostname=?", [(name,) for name in hostnames])
        self._worker_sampler.remove(hostnames)

    def put_gaps(self, gaps: Sequence[Gap]) -> None:
        if gaps:
            self.connection.executemany(
                INSERT_GAP,
                [(gap.id, gap.start, gap.end, gap.reason, gap.cause, gap.worker) for gap in gaps],
            )
            self.connection.execute(
                "DELETE FROM gap WHERE start < (SELECT start FROM gap ORDER BY start DESC LIMIT 1 OFFSET ?)",
                (MAX_GAPS - 1,),
            )

    def put_counters(self, sequence: int, batch: Batch) -> None:
        self.counter_rows.put(sequence, batch.dropped_counters, batch.counters)
        if batch.capture_progress is not None:
            self.connection.execute(
                "INSERT OR REPLACE INTO info VALUES ('capture_progress', ?)", (batch.capture_progress,)
            )

    def capture_progress(self) -> bytes:
        rows = fetch_rows(self.connection, "SELECT value FROM info WHERE key='capture_progress'")
        return bytes(rows[0][0]) if rows else b""

    def put_segments(self, segments: Iterable[SegmentInfo]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO segment VALUES (?,?)",
            [(s.number, encode_segment_info(s).decode()) for s in segments],
        )

    def drop_segment(self, segment_number: int) -> None:
        self.connection.execute("DELETE FROM segment WHERE number=?", (segment_number,))

    def close(self) -> None:
        close_after_checkpoint(self.connection, self.size_guard)


def read_segments(connection: apsw.Connection) -> list[SegmentInfo]:
    return [decode_segment_info(data) for (data,) in fetch_rows(connection, "SELECT data FROM segment")]


def read_workers(connection: apsw.Connection) -> dict[str, Worker]:
    rows = fetch_rows(connection, "SELECT hostname, data FROM worker ORDER BY hostname")
    return {hostname: _worker_from_json(data) for hostname, data in rows}


def read_worker_history(connection: apsw.Connection, hostname: str | None, limit: int) -> list[WorkerSnapshot]:
    """Newest first, with equal times the last written first; of all workers if no hostname is given."""
    if not fetch_rows(connection, "SELECT 1 FROM sqlite_schema WHERE name='worker_log'"):
        return []  # written by an older version
    condition, values = ("TRUE", ()) if hostname is None else ("hostname = ?", (hostname,))
    rows = fetch_rows(
        connection,
        f"SELECT hostname, at, event, data FROM worker_log WHERE {condition} ORDER BY at DESC, rowid DESC LIMIT ?",
        (*values, max(0, limit)),
    )
    return [
        WorkerSnapshot(name, at, event, *msgspec.structs.astuple(_snapshot_from_json(data)))
        for name, at, event, data in rows
    ]


def _history_row(moment: WorkerSnapshot) -> Row:
    state = _WorkerSnapshotData(moment.pid, moment.active, moment.processed, moment.loadavg)
    return (moment.recorded_at, moment.worker, moment.event, _snapshot_to_json(state).decode())


def read_gaps(connection: apsw.Connection) -> tuple[Gap, ...]:
    """In order of their start."""
    return tuple(read_gap_rows(connection))


def read_sequence(connection: apsw.Connection) -> int:
    return fetch_number(connection, "SELECT max(sequence) FROM batch")


def read_changes(connection: apsw.Connection, after: int) -> Changes:
    """Reads with one statement, hence in one snapshot."""
    log = fetch_rows(
        connection,
        "SELECT sequence, ids, odd, complete FROM batch"
        " WHERE sequence > ?1 OR sequence = (SELECT max(sequence) FROM batch) ORDER BY sequence",
        (after,),
    )
    newest = log[-1][0] if log else 0
    entries = [row for row in log if row[0] > after]
    # the sequence has no holes: if the first entry after `after` is missing, it was removed from the log
    is_complete = after <= newest and (not entries or entries[0][0] == after + 1) and all(row[3] for row in entries)
    if not is_complete:
        return Changes(newest, (), complete=False)
    changed_ids: dict[Any, None] = {}
    for _, ids, non_uuid_ids, _ in entries:
        for offset in range(0, len(ids), 16):
            changed_ids[ids[offset : offset + 16]] = None
        for text in json.loads(non_uuid_ids) if non_uuid_ids else ():
            changed_ids[text] = None
    return Changes(newest, tuple(map(unpack_id, changed_ids)))
