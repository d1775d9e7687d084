"""Bulk jobs in the ledger's file."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw

from flower.store.ledger.jobs import OUTCOMES, Ended, Item, Job, Lease, Outcome
from flower.store.sqlite.connection import Row, rows
from flower.store.sqlite.ledger.file import LedgerFile
from flower.store.sqlite.ledger.texts import storable

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS job (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, action TEXT NOT NULL, state TEXT NOT NULL,
        who TEXT NOT NULL, created REAL NOT NULL, ended REAL, query TEXT NOT NULL, signal TEXT NOT NULL,
        rate REAL NOT NULL, total INTEGER NOT NULL, aborting INTEGER NOT NULL, holder TEXT, until REAL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS job_running ON job (seq) WHERE state = 'running'",
    """CREATE TABLE IF NOT EXISTS job_item (
        job INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE, place INTEGER NOT NULL, task TEXT NOT NULL,
        new_task TEXT, outcome TEXT NOT NULL, message TEXT NOT NULL, begun REAL, ended REAL, PRIMARY KEY (job, place)
    ) STRICT, WITHOUT ROWID""",
    "CREATE UNIQUE INDEX IF NOT EXISTS job_item_task ON job_item (job, task)",
    "CREATE INDEX IF NOT EXISTS job_item_outcome ON job_item (job, outcome, place)",
)

_COLUMNS: Final = "seq, id, action, state, who, created, ended, query, signal, rate, total, aborting"
_SELECT: Final = f"SELECT {_COLUMNS} FROM job"
_INSERT: Final = (
    "INSERT INTO job (id, action, state, who, created, query, signal, rate, total, aborting) "
    "VALUES (?, ?, 'running', ?, ?, ?, ?, ?, 0, 0)"
)
_ITEM: Final = "place, task, outcome, message, new_task, begun, ended"
#: nothing is begun for who is not, or no longer, the holder, and nothing of a job that is to stop
_MINE: Final = "SELECT seq FROM job WHERE id = ? AND holder = ? AND state = 'running'"
#: What was in doubt may be known later; what is known stays.
_END: Final = (
    "UPDATE job_item SET outcome = ?, message = ?, ended = ? "
    "WHERE job = (SELECT seq FROM job WHERE id = ?) AND place = ? AND outcome IN ('begun', 'unknown')"
)


class SqliteJobs:
    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def create(self, job: Job, tasks: Iterable[tuple[str, str | None]], *, limit: int) -> Job | None:
        # read before the transaction: it may take long, and others write
        wanted = {storable(task): new for task, new in tasks}
        if len(wanted) > limit:
            return None

        def change(db: apsw.Connection) -> Job:
            texts = [storable(text) for text in (job.by, job.query, job.signal)]
            rows(db, _INSERT, (job.id, job.action, texts[0], job.created, *texts[1:], job.rate))
            seq = db.last_insert_rowid()
            items = ((seq, place, task, new) for place, (task, new) in enumerate(wanted.items()))
            db.executemany("INSERT INTO job_item VALUES (?, ?, ?, ?, 'waiting', '', NULL, NULL)", items)
            rows(db, "UPDATE job SET total = ? WHERE seq = ?", (len(wanted), seq))
            return _job(db, rows(db, f"{_SELECT} WHERE seq = ?", (seq,))[0])

        return self._file.write(change)

    def job(self, job_id: str) -> Job | None:
        found = self._jobs("id = ?", (job_id,), 1)
        return found[0] if found else None

    def jobs(self, *, limit: int, before: str | None = None) -> list[Job]:
        if before is None:
            return self._jobs("1", (), limit)
        return self._jobs("seq < (SELECT seq FROM job WHERE id = ?)", (before,), limit)

    def _jobs(self, where: str, values: Sequence[Any], limit: int) -> list[Job]:
        found = self._file.rows(f"{_SELECT} WHERE {where} ORDER BY seq DESC LIMIT ?", (*values, limit))
        counts: dict[int, dict[str, int]] = {}
        sql = "SELECT job, outcome, count(*) FROM job_item WHERE job IN (SELECT value FROM json_each(?)) GROUP BY 1, 2"
        for seq, outcome, count in self._file.rows(sql, (json.dumps([row[0] for row in found]),)):
            counts.setdefault(seq, {})[outcome] = count
        return [_made(row, counts.get(row[0], {})) for row in found]

    def items(
        self, job_id: str, *, outcomes: Sequence[Outcome] = (), after: int = -1, limit: int | None = None
    ) -> list[Item]:
        sql = (
            f"SELECT {_ITEM} FROM job_item WHERE job = (SELECT seq FROM job WHERE id = ?) AND place > ? "
            "AND outcome IN (SELECT value FROM json_each(?)) ORDER BY place LIMIT ?"
        )
        values = (job_id, after, json.dumps(outcomes or OUTCOMES), -1 if limit is None else limit)
        return [_item(row) for row in self._file.rows(sql, values)]

    def holders(self) -> list[str]:
        if not self._file.exists:
            return []
        sql = "SELECT DISTINCT holder FROM job WHERE state = 'running' AND holder IS NOT NULL"
        return [str(row[0]) for row in self._file.rows(sql)]

    def claim(
        self, holder: str, *, now: float, until: float, gone: Iterable[str] = (), only: str | None = None
    ) -> Job | None:
        if not self._file.exists:
            return None  # nobody has done anything yet: looking shall not make a file
        free = (
            "state = 'running' AND (? IS NULL OR id = ?) "
            "AND (holder IS NULL OR until < ? OR holder IN (SELECT value FROM json_each(?))) "
            "ORDER BY seq LIMIT 1"
        )
        values = (only, only, now, json.dumps(list(gone)))
        if not self._file.rows(f"SELECT 1 FROM job WHERE {free}", values):
            return None

        def change(db: apsw.Connection) -> Job | None:
            found = rows(db, f"{_SELECT} WHERE {free}", values)
            if not found:
                return None
            rows(db, "UPDATE job SET holder = ?, until = ? WHERE seq = ?", (holder, until, found[0][0]))
            return _job(db, found[0])

        return self._file.write(change)

    def step(self, lease: Lease, ended: Sequence[Ended], *, take: int, now: float) -> list[Item] | None:
        def change(db: apsw.Connection) -> list[Item] | None:
            _note(db, lease.job, ended, now)
            mine = rows(db, f"{_MINE} AND NOT aborting", (lease.job, lease.holder))
            if not mine:
                return None
            seq = mine[0][0]
            rows(db, "UPDATE job SET until = ? WHERE seq = ?", (lease.until, seq))
            sql = f"SELECT {_ITEM} FROM job_item WHERE job = ? AND outcome = 'waiting' ORDER BY place LIMIT ?"
            items = [_item(row) for row in rows(db, sql, (seq, take))]
            begin = "UPDATE job_item SET outcome = 'begun', begun = ? WHERE job = ? AND place = ?"
            for item in items:
                rows(db, begin, (now, seq, item.place))
            return items

        return self._file.write(change)

    def release(self, lease: Lease) -> None:
        sql = "UPDATE job SET holder = NULL, until = NULL WHERE id = ? AND holder = ?"
        self._file.write(lambda db: rows(db, sql, (lease.job, lease.holder)))

    def close(self, lease: Lease, *, now: float) -> Job | None:
        def change(db: apsw.Connection) -> Job | None:
            mine = rows(db, _MINE, (lease.job, lease.holder))
            if not mine:
                return None
            seq = mine[0][0]
            left = "UPDATE job_item SET outcome = 'aborted', ended = ? WHERE job = ? AND outcome = 'waiting'"
            rows(db, left, (now, seq))
            state = "aborted" if db.changes() else "ended"
            rows(db, "UPDATE job SET state = ?, ended = ?, holder = NULL WHERE seq = ?", (state, now, seq))
            return _job(db, rows(db, f"{_SELECT} WHERE seq = ?", (seq,))[0])

        return self._file.write(change)

    def abort(self, job_id: str) -> Job | None:
        sql = "UPDATE job SET aborting = 1 WHERE id = ? AND state = 'running'"
        self._file.write(lambda db: rows(db, sql, (job_id,)))
        return self.job(job_id)

    def prune(self, before: float) -> int:
        return self._file.prune("DELETE FROM job WHERE state <> 'running' AND ended < ?", before)


def _note(db: apsw.Connection, job_id: str, ended: Sequence[Ended], now: float) -> None:
    for one in ended:
        rows(db, _END, (one.outcome, storable(one.message), now, job_id, one.place))


def _job(db: apsw.Connection, row: Row) -> Job:
    counts = rows(db, "SELECT outcome, count(*) FROM job_item WHERE job = ? GROUP BY outcome", (row[0],))
    return _made(row, {str(outcome): count for outcome, count in counts})


def _made(row: Row, outcomes: dict[str, int]) -> Job:
    _, job_id, action, state, who, created, ended, query, signal, rate, total, aborting = row
    return Job(
        id=job_id,
        action=action,
        state=state,
        by=who,
        created=created,
        ended=ended,
        query=query,
        signal=signal,
        rate=rate,
        total=total,
        outcomes={name: outcomes[name] for name in OUTCOMES if name in outcomes},
        aborting=bool(aborting),
    )


def _item(row: Row) -> Item:
    place, task, outcome, message, new_task, begun, ended = row
    return Item(place=place, task=task, outcome=outcome, message=message, new_task=new_task, begun=begun, ended=ended)
