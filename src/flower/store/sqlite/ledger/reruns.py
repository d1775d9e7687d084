"""Links between tasks and their re-runs in the ledger."""

from typing import Final

import apsw

from flower.store.ledger.reruns import Rerun
from flower.store.sqlite.connection import Row, fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS rerun (
        seq INTEGER PRIMARY KEY, task TEXT NOT NULL UNIQUE, origin TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL,
        edited INTEGER NOT NULL, sent INTEGER NOT NULL, job TEXT, priority INTEGER
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS rerun_origin ON rerun (origin, seq)",
)

_COLUMNS: Final = "task, origin, at, who, edited, sent, job, priority"
_SELECT: Final = f"SELECT {_COLUMNS} FROM rerun"


class SqliteReruns:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def add(self, rerun: Rerun) -> bool:
        values = (
            escape_surrogates(rerun.task), escape_surrogates(rerun.origin), rerun.created_at,
            escape_surrogates(rerun.created_by), rerun.edited, rerun.sent,
            rerun.job, rerun.priority,
        )  # fmt: skip

        def change(db: apsw.Connection) -> bool:
            fetch_rows(db, f"INSERT OR IGNORE INTO rerun ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            return db.changes() > 0

        return self._database.write(change)

    def mark_sent(self, task: str) -> None:
        self._execute("UPDATE rerun SET sent = 1 WHERE task = ?", task)

    def delete(self, task: str) -> None:
        self._execute("DELETE FROM rerun WHERE task = ?", task)

    def find_origin(self, task: str) -> Rerun | None:
        rows = self._database.query(f"{_SELECT} WHERE task = ?", (escape_surrogates(task),))
        return _rerun(rows[0]) if rows else None

    def list_reruns(self, origin: str, *, limit: int = 100) -> list[Rerun]:
        rows = self._database.query(
            f"{_SELECT} WHERE origin = ? ORDER BY seq DESC LIMIT ?", (escape_surrogates(origin), limit)
        )
        return [_rerun(row) for row in rows]

    def prune(self, before: float) -> int:
        return self._database.prune("DELETE FROM rerun WHERE at < ?", before)

    def _execute(self, sql: str, task: str) -> None:
        def change(db: apsw.Connection) -> None:
            fetch_rows(db, sql, (escape_surrogates(task),))

        self._database.write(change)


def _rerun(row: Row) -> Rerun:
    task, origin, at, who, edited, sent, job, priority = row
    return Rerun(
        task=task,
        origin=origin,
        created_at=at,
        created_by=who,
        edited=bool(edited),
        sent=bool(sent),
        job=job,
        priority=priority,
    )
