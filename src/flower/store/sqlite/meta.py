"""meta.db: the change sequence, workers and their history, gaps, what was counted, and the copies of the catalogue.
Written last in every write: what it tells of is on disk already."""

import json
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw
import msgspec

from flower.records import Gap, Task, Worker
from flower.store.answers import WorkerMoment
from flower.store.history import MAX_MOMENTS, WorkerLog
from flower.store.port import Batch, Changes
from flower.store.sqlite.catalogue import Segment, from_json, to_json
from flower.store.sqlite.codec import pack_id, unpack_id
from flower.store.sqlite.connection import Row, number, rows
from flower.store.sqlite.tallies import TallyRows, put_marks

#: How far back `changes` can tell: so many writes, and so many tasks in them all together.
LOG_BATCHES: Final = 1_000
LOG_TASKS: Final = 250_000
#: More gaps than anyone reads; the oldest go.
MAX_GAPS: Final = 10_000

#: Stores made before there was a history get it when they are next written to. The order of rows is that of writing.
_WORKER_LOG: Final = (
    "CREATE TABLE IF NOT EXISTS worker_log(at REAL, hostname TEXT, event TEXT, data TEXT)",
    "CREATE INDEX IF NOT EXISTS worker_log_hostname ON worker_log(hostname, at)",
    "CREATE INDEX IF NOT EXISTS worker_log_at ON worker_log(at)",
)

_tasks_to_bytes = msgspec.msgpack.Encoder().encode
_tasks_from_bytes = msgspec.msgpack.Decoder(tuple[Task, ...]).decode
_worker_to_json = msgspec.json.Encoder().encode
_worker_from_json = msgspec.json.Decoder(Worker).decode


class _HowItWas(msgspec.Struct, frozen=True, omit_defaults=True):
    """The column `data` of a worker's history."""

    pid: int | None = None
    active: int | None = None
    processed: int | None = None
    loadavg: tuple[float, ...] | None = None


_how_to_json = msgspec.json.Encoder().encode
_how_from_json = msgspec.json.Decoder(_HowItWas).decode


class MetaWriter:
    """The writer's side; every method runs inside the writer's transaction on meta.db."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.sequence = 0
        self._logged = self._oldest = 0
        for statement in _WORKER_LOG:
            connection.execute(statement)
        self.identity = self._identity()
        self.reload()

    def _identity(self) -> str:
        """Given when the store is made, kept for its life."""
        db = self.connection
        db.execute("INSERT OR IGNORE INTO info VALUES ('identity', ?)", (secrets.token_hex(8),))
        return str(rows(db, "SELECT value FROM info WHERE key='identity'")[0][0])

    def reload(self) -> None:
        """Read what is kept of the log: at the start, and after a rollback."""
        db = self.connection
        self.sequence = read_sequence(db)
        self._logged = number(db, "SELECT sum(touched) FROM batch")
        self._oldest = number(db, "SELECT min(sequence) FROM batch")
        last = rows(db, "SELECT hostname, max(at) FROM worker_log GROUP BY hostname")
        self._worker_log = WorkerLog(read_workers(db), dict(last))
        self.tallies = TallyRows(db)

    def announce(self, sequence: int, uuids: Sequence[str], *, complete: bool = True) -> None:
        """The entry of a write in the log, which is kept bounded."""
        if not complete or len(uuids) > LOG_TASKS:
            row: Row = (sequence, time.time(), 0, b"", None, 0)
        else:
            packed = [pack_id(uuid) for uuid in uuids]
            ids = b"".join(value for value in packed if isinstance(value, bytes))
            odd = [value for value in packed if isinstance(value, str)]
            row = (sequence, time.time(), len(uuids), ids, json.dumps(odd) if odd else None, 1)
        self.connection.execute("INSERT INTO batch VALUES (?,?,?,?,?,?)", row)
        self._forget(sequence, row[2])
        self.sequence = sequence

    def _forget(self, sequence: int, touched: int) -> None:
        self._logged += touched
        self._oldest = self._oldest or sequence
        if sequence - self._oldest < LOG_BATCHES and self._logged <= LOG_TASKS:
            return
        cut, gone = self._oldest, 0
        for entry, count in rows(
            self.connection,
            "SELECT sequence, touched FROM batch WHERE sequence < ? ORDER BY sequence",
            (sequence,),
        ):
            if sequence - entry < LOG_BATCHES and self._logged - gone <= LOG_TASKS:
                break
            cut, gone = entry + 1, gone + count
        self.connection.execute("DELETE FROM batch WHERE sequence < ?", (cut,))
        self._logged -= gone
        self._oldest = cut

    def hold(self, tasks: Sequence[Task]) -> None:
        """Keep these, and no others, for whoever opens the store next."""
        try:
            content = _tasks_to_bytes(tasks)
        except (OverflowError, UnicodeEncodeError, TypeError, ValueError, RecursionError):
            # custom data that has no place in the format; it is still in the memory of who holds it
            content = _tasks_to_bytes([msgspec.structs.replace(task, data=None) for task in tasks])
        self.connection.execute("INSERT OR REPLACE INTO info VALUES ('held', ?)", (content,))

    def held(self) -> Sequence[Task]:
        kept = rows(self.connection, "SELECT value FROM info WHERE key='held'")
        return _tasks_from_bytes(kept[0][0]) if kept else ()

    def put_workers(self, workers: Sequence[Worker]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO worker VALUES (?,?)",
            [(worker.hostname, _worker_to_json(worker).decode()) for worker in workers],
        )
        moments = self._worker_log.take(workers)
        if moments:
            self.connection.executemany("INSERT INTO worker_log VALUES (?,?,?,?)", map(_line, moments))
            self.connection.execute(
                "DELETE FROM worker_log WHERE rowid <= (SELECT max(rowid) FROM worker_log) - ?", (MAX_MOMENTS,)
            )

    def put_gaps(self, gaps: Sequence[Gap]) -> None:
        if gaps:
            self.connection.executemany(
                "INSERT OR REPLACE INTO gap VALUES (?,?,?)", [(gap.start, gap.reason, gap.end) for gap in gaps]
            )
            self.connection.execute(
                "DELETE FROM gap WHERE start < (SELECT start FROM gap ORDER BY start DESC LIMIT 1 OFFSET ?)",
                (MAX_GAPS - 1,),
            )

    def put_counted(self, sequence: int, batch: Batch) -> None:
        self.tallies.put(sequence, batch.forgotten, batch.tallies)
        if batch.marks is not None:
            put_marks(self.connection, batch.marks)

    def put_segments(self, segments: Iterable[Segment]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO segment VALUES (?,?)", [(s.number, to_json(s).decode()) for s in segments]
        )

    def drop_segment(self, which: int) -> None:
        self.connection.execute("DELETE FROM segment WHERE number=?", (which,))


def read_segments(connection: apsw.Connection) -> list[Segment]:
    return [from_json(data) for (data,) in rows(connection, "SELECT data FROM segment")]


def read_workers(connection: apsw.Connection) -> dict[str, Worker]:
    found = rows(connection, "SELECT hostname, data FROM worker ORDER BY hostname")
    return {hostname: _worker_from_json(data) for hostname, data in found}


def read_worker_history(connection: apsw.Connection, hostname: str | None, limit: int) -> list[WorkerMoment]:
    """Newest first, of equal times the one written last; of all workers if none is named."""
    if not rows(connection, "SELECT 1 FROM sqlite_schema WHERE name='worker_log'"):
        return []  # written by an older version
    condition, values = ("TRUE", ()) if hostname is None else ("hostname = ?", (hostname,))
    found = rows(
        connection,
        f"SELECT hostname, at, event, data FROM worker_log WHERE {condition} ORDER BY at DESC, rowid DESC LIMIT ?",
        (*values, max(0, limit)),
    )
    return [
        WorkerMoment(name, at, event, *msgspec.structs.astuple(_how_from_json(data))) for name, at, event, data in found
    ]


def _line(moment: WorkerMoment) -> Row:
    how = _HowItWas(moment.pid, moment.active, moment.processed, moment.loadavg)
    return (moment.at, moment.hostname, moment.event, _how_to_json(how).decode())


def read_gaps(connection: apsw.Connection) -> tuple[Gap, ...]:
    found = rows(connection, "SELECT start, end, reason FROM gap ORDER BY start, reason")
    return tuple(Gap(start, end, reason) for start, end, reason in found)


def read_sequence(connection: apsw.Connection) -> int:
    return number(connection, "SELECT max(sequence) FROM batch")


def read_changes(connection: apsw.Connection, after: int) -> Changes:
    """One statement, hence one moment."""
    log = rows(
        connection,
        "SELECT sequence, ids, odd, complete FROM batch"
        " WHERE sequence > ?1 OR sequence = (SELECT max(sequence) FROM batch) ORDER BY sequence",
        (after,),
    )
    newest = log[-1][0] if log else 0
    news = [row for row in log if row[0] > after]
    # numbers have no holes: if the first one after `after` is not there, the log has forgotten it
    whole = after <= newest and (not news or news[0][0] == after + 1) and all(row[3] for row in news)
    if not whole:
        return Changes(newest, (), complete=False)
    touched: dict[Any, None] = {}
    for _, ids, odd, _ in news:
        for place in range(0, len(ids), 16):
            touched[ids[place : place + 16]] = None
        for text in json.loads(odd) if odd else ():
            touched[text] = None
    return Changes(newest, tuple(map(unpack_id, touched)))
