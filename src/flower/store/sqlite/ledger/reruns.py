"""Links between origins and re-runs in the ledger's file."""

from typing import Final

import apsw

from flower.store.ledger.reruns import Rerun
from flower.store.sqlite.connection import Row, rows
from flower.store.sqlite.ledger.file import LedgerFile
from flower.store.sqlite.ledger.texts import storable

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
    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add(self, rerun: Rerun) -> bool:
        values = (
            storable(rerun.task), storable(rerun.origin), rerun.at, storable(rerun.by), rerun.edited, rerun.sent,
            rerun.job, rerun.priority,
        )  # fmt: skip

        def change(db: apsw.Connection) -> bool:
            rows(db, f"INSERT OR IGNORE INTO rerun ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            return db.changes() > 0

        return self._file.write(change)

    def sent(self, task: str) -> None:
        self._change("UPDATE rerun SET sent = 1 WHERE task = ?", task)

    def drop(self, task: str) -> None:
        self._change("DELETE FROM rerun WHERE task = ?", task)

    def origin(self, task: str) -> Rerun | None:
        found = self._file.rows(f"{_SELECT} WHERE task = ?", (storable(task),))
        return _rerun(found[0]) if found else None

    def of(self, origin: str, *, limit: int = 100) -> list[Rerun]:
        found = self._file.rows(f"{_SELECT} WHERE origin = ? ORDER BY seq DESC LIMIT ?", (storable(origin), limit))
        return [_rerun(row) for row in found]

    def prune(self, before: float) -> int:
        return self._file.prune("DELETE FROM rerun WHERE at < ?", before)

    def _change(self, sql: str, task: str) -> None:
        def change(db: apsw.Connection) -> None:
            rows(db, sql, (storable(task),))

        self._file.write(change)


def _rerun(row: Row) -> Rerun:
    task, origin, at, who, edited, sent, job, priority = row
    return Rerun(
        task=task, origin=origin, at=at, by=who, edited=bool(edited), sent=bool(sent), job=job, priority=priority
    )
