"""Dismissed gaps in the ledger."""

from collections.abc import Mapping
from typing import Final

import apsw

from flower.store.ledger.gap_dismissals import GapDismissal
from flower.store.sqlite.connection import fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS gap_dismissal (
        gap TEXT PRIMARY KEY, by TEXT NOT NULL, at REAL NOT NULL
    ) STRICT, WITHOUT ROWID""",
)


class SqliteGapDismissals:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def put(self, dismissal: GapDismissal) -> None:
        values = (
            escape_surrogates(dismissal.gap), escape_surrogates(dismissal.dismissed_by), dismissal.dismissed_at
        )  # fmt: skip
        sql = "INSERT OR REPLACE INTO gap_dismissal VALUES (?, ?, ?)"
        self._database.write(lambda db: fetch_rows(db, sql, values))

    def delete(self, gap: str) -> bool:
        def change(db: apsw.Connection) -> bool:
            fetch_rows(db, "DELETE FROM gap_dismissal WHERE gap = ?", (escape_surrogates(gap),))
            return db.changes() > 0

        return self._database.write(change)

    def dismissals(self) -> Mapping[str, GapDismissal]:
        rows = self._database.query("SELECT gap, by, at FROM gap_dismissal")
        return {gap: GapDismissal(gap=gap, dismissed_by=by, dismissed_at=at) for gap, by, at in rows}
