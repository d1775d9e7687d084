"""Bulk jobs in the ledger."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import apsw

from flower.store.ledger.jobs import ITEM_OUTCOMES, ItemOutcome, ItemResult, Job, JobItem, Lease
from flower.store.sqlite.connection import Row, fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

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
#: States and outcomes as they are stored, where that differs.
_STATES: Final[Mapping[str, Any]] = {"ended": "finished", "aborted": "stopped"}
_STORED_OUTCOMES: Final[Mapping[str, str]] = {"in_progress": "begun", "not_run": "aborted"}
_OUTCOMES: Final[Mapping[str, Any]] = {stored: outcome for outcome, stored in _STORED_OUTCOMES.items()}
_ITEM_COLUMNS: Final = "place, task, outcome, message, new_task, begun, ended"
#: only the holder of the lease may change a job
_OWN_JOB: Final = "SELECT seq FROM job WHERE id = ? AND holder = ? AND state = 'running'"
#: An unknown outcome may be determined later; a known outcome does not change.
_SET_OUTCOME: Final = (
    "UPDATE job_item SET outcome = ?, message = ?, ended = ? "
    "WHERE job = (SELECT seq FROM job WHERE id = ?) AND place = ? AND outcome IN ('begun', 'unknown')"
)


class SqliteJobs:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def create(self, job: Job, tasks: Iterable[tuple[str, str | None]], *, limit: int) -> Job | None:
        # read before the transaction, because it may take long and other processes write
        new_tasks = {escape_surrogates(task): new for task, new in tasks}
        if len(new_tasks) > limit:
            return None

        def change(db: apsw.Connection) -> Job:
            texts = [escape_surrogates(text) for text in (job.created_by, job.query, job.signal)]
            fetch_rows(db, _INSERT, (job.id, job.action, texts[0], job.created_at, *texts[1:], job.rate))
            seq = db.last_insert_rowid()
            items = ((seq, place, task, new) for place, (task, new) in enumerate(new_tasks.items()))
            db.executemany("INSERT INTO job_item VALUES (?, ?, ?, ?, 'waiting', '', NULL, NULL)", items)
            fetch_rows(db, "UPDATE job SET total = ? WHERE seq = ?", (len(new_tasks), seq))
            return _job(db, fetch_rows(db, f"{_SELECT} WHERE seq = ?", (seq,))[0])

        return self._database.write(change)

    def job(self, job_id: str) -> Job | None:
        jobs = self._jobs("id = ?", (job_id,), 1)
        return jobs[0] if jobs else None

    def jobs(self, *, limit: int, before: str | None = None) -> list[Job]:
        if before is None:
            return self._jobs("1", (), limit)
        return self._jobs("seq < (SELECT seq FROM job WHERE id = ?)", (before,), limit)

    def _jobs(self, where: str, values: Sequence[Any], limit: int) -> list[Job]:
        rows = self._database.query(f"{_SELECT} WHERE {where} ORDER BY seq DESC LIMIT ?", (*values, limit))
        counts: dict[int, dict[str, int]] = {}
        sql = "SELECT job, outcome, count(*) FROM job_item WHERE job IN (SELECT value FROM json_each(?)) GROUP BY 1, 2"
        for seq, outcome, count in self._database.query(sql, (json.dumps([row[0] for row in rows]),)):
            counts.setdefault(seq, {})[outcome] = count
        return [_build_job(row, counts.get(row[0], {})) for row in rows]

    def items(
        self, job_id: str, *, outcomes: Sequence[ItemOutcome] = (), after: int = -1, limit: int | None = None
    ) -> list[JobItem]:
        sql = (
            f"SELECT {_ITEM_COLUMNS} FROM job_item WHERE job = (SELECT seq FROM job WHERE id = ?) AND place > ? "
            "AND outcome IN (SELECT value FROM json_each(?)) ORDER BY place LIMIT ?"
        )
        values = (
            job_id,
            after,
            json.dumps([_STORED_OUTCOMES.get(outcome, outcome) for outcome in outcomes or ITEM_OUTCOMES]),
            -1 if limit is None else limit,
        )
        return [_item(row) for row in self._database.query(sql, values)]

    def lease_holders(self) -> list[str]:
        if not self._database.exists:
            return []
        sql = "SELECT DISTINCT holder FROM job WHERE state = 'running' AND holder IS NOT NULL"
        return [str(row[0]) for row in self._database.query(sql)]

    def claim(
        self, holder: str, *, now: float, until: float, dead_holders: Iterable[str] = (), job_id: str | None = None
    ) -> Job | None:
        if not self._database.exists:
            return None  # there are no jobs: a query must not create the file
        claimable = (
            "state = 'running' AND (? IS NULL OR id = ?) "
            "AND (holder IS NULL OR until < ? OR holder IN (SELECT value FROM json_each(?))) "
            "ORDER BY seq LIMIT 1"
        )
        values = (job_id, job_id, now, json.dumps(list(dead_holders)))
        if not self._database.query(f"SELECT 1 FROM job WHERE {claimable}", values):
            return None

        def change(db: apsw.Connection) -> Job | None:
            rows = fetch_rows(db, f"{_SELECT} WHERE {claimable}", values)
            if not rows:
                return None
            fetch_rows(db, "UPDATE job SET holder = ?, until = ? WHERE seq = ?", (holder, until, rows[0][0]))
            return _job(db, rows[0])

        return self._database.write(change)

    def advance(
        self, lease: Lease, results: Sequence[ItemResult], *, batch_size: int, now: float
    ) -> list[JobItem] | None:
        def change(db: apsw.Connection) -> list[JobItem] | None:
            _record_results(db, lease.job, results, now)
            own = fetch_rows(db, f"{_OWN_JOB} AND NOT aborting", (lease.job, lease.holder))
            if not own:
                return None
            seq = own[0][0]
            fetch_rows(db, "UPDATE job SET until = ? WHERE seq = ?", (lease.expires_at, seq))
            sql = f"SELECT {_ITEM_COLUMNS} FROM job_item WHERE job = ? AND outcome = 'waiting' ORDER BY place LIMIT ?"
            items = [_item(row) for row in fetch_rows(db, sql, (seq, batch_size))]
            begin = "UPDATE job_item SET outcome = 'begun', begun = ? WHERE job = ? AND place = ?"
            for item in items:
                fetch_rows(db, begin, (now, seq, item.index))
            return items

        return self._database.write(change)

    def release(self, lease: Lease) -> None:
        sql = "UPDATE job SET holder = NULL, until = NULL WHERE id = ? AND holder = ?"
        self._database.write(lambda db: fetch_rows(db, sql, (lease.job, lease.holder)))

    def finish(self, lease: Lease, *, now: float) -> Job | None:
        def change(db: apsw.Connection) -> Job | None:
            own = fetch_rows(db, _OWN_JOB, (lease.job, lease.holder))
            if not own:
                return None
            seq = own[0][0]
            skip_waiting = "UPDATE job_item SET outcome = 'aborted', ended = ? WHERE job = ? AND outcome = 'waiting'"
            fetch_rows(db, skip_waiting, (now, seq))
            state = "aborted" if db.changes() else "ended"
            fetch_rows(db, "UPDATE job SET state = ?, ended = ?, holder = NULL WHERE seq = ?", (state, now, seq))
            return _job(db, fetch_rows(db, f"{_SELECT} WHERE seq = ?", (seq,))[0])

        return self._database.write(change)

    def request_stop(self, job_id: str) -> Job | None:
        sql = "UPDATE job SET aborting = 1 WHERE id = ? AND state = 'running'"
        self._database.write(lambda db: fetch_rows(db, sql, (job_id,)))
        return self.job(job_id)

    def prune(self, before: float) -> int:
        return self._database.prune("DELETE FROM job WHERE state <> 'running' AND ended < ?", before)


def _record_results(db: apsw.Connection, job_id: str, results: Sequence[ItemResult], now: float) -> None:
    for result in results:
        outcome = _STORED_OUTCOMES.get(result.outcome, result.outcome)
        fetch_rows(db, _SET_OUTCOME, (outcome, escape_surrogates(result.message), now, job_id, result.index))


def _job(db: apsw.Connection, row: Row) -> Job:
    counts = fetch_rows(db, "SELECT outcome, count(*) FROM job_item WHERE job = ? GROUP BY outcome", (row[0],))
    return _build_job(row, {str(outcome): count for outcome, count in counts})


def _build_job(row: Row, stored_counts: dict[str, int]) -> Job:
    counts = {_OUTCOMES.get(outcome, outcome): count for outcome, count in stored_counts.items()}
    _, job_id, action, state, who, created, ended, query, signal, rate, total, aborting = row
    return Job(
        id=job_id,
        action=action,
        state=_STATES.get(state, state),
        created_by=who,
        created_at=created,
        finished_at=ended,
        query=query,
        signal=signal,
        rate=rate,
        total=total,
        outcomes={name: counts[name] for name in ITEM_OUTCOMES if name in counts},
        stopping=bool(aborting),
    )


def _item(row: Row) -> JobItem:
    place, task, outcome, message, new_task, begun, ended = row
    return JobItem(
        index=place,
        task=task,
        outcome=_OUTCOMES.get(outcome, outcome),
        message=message,
        new_task=new_task,
        started_at=begun,
        finished_at=ended,
    )
