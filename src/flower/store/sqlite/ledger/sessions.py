"""Ended sessions in the ledger."""

from typing import Final

import apsw

from flower.store.sqlite.connection import fetch_number, fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS ended_session (id TEXT PRIMARY KEY, expires REAL NOT NULL) STRICT, WITHOUT ROWID",
    # sessions that began until `at` are ended: of one user, or of all
    """CREATE TABLE IF NOT EXISTS session_cutoff (
        all_users INTEGER NOT NULL, user TEXT NOT NULL, at REAL NOT NULL, expires REAL NOT NULL,
        PRIMARY KEY (all_users, user)
    ) STRICT, WITHOUT ROWID""",
)

#: Tables that ledgers of earlier builds of store format 1 lack until they are opened.
ADDED_TABLES: Final = frozenset({"ended_session", "session_cutoff"})

_IS_ENDED: Final = (
    "SELECT EXISTS (SELECT 1 FROM ended_session WHERE id = ?) OR EXISTS"
    " (SELECT 1 FROM session_cutoff WHERE ((all_users = 0 AND user = ?) OR (all_users = 1 AND user = '')) AND at >= ?)"
)


class SqliteEndedSessions:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def end(self, session_id: str, *, expires_at: float) -> None:
        sql = "INSERT OR IGNORE INTO ended_session (id, expires) VALUES (?, ?)"
        self._database.write(lambda db: fetch_rows(db, sql, (session_id, expires_at)))

    def end_all(self, user: str | None, *, at: float, expires_at: float) -> None:
        sql = "INSERT OR REPLACE INTO session_cutoff (all_users, user, at, expires) VALUES (?, ?, ?, ?)"
        values = (user is None, escape_surrogates(user or ""), at, expires_at)
        self._database.write(lambda db: fetch_rows(db, sql, values))

    def is_ended(self, session_id: str, user: str, started_at: float) -> bool:
        if not self._database.exists:  # a directory that cannot be written to has none
            return False
        rows = self._database.query_read_only(_IS_ENDED, (session_id, escape_surrogates(user), started_at))
        return any(ended for (ended,) in rows)

    def prune(self, now: float) -> int:
        if not self._database.exists:
            return 0

        def change(db: apsw.Connection) -> int:
            before = fetch_number(db, "SELECT total_changes()")
            for table in ("ended_session", "session_cutoff"):
                fetch_rows(db, f"DELETE FROM {table} WHERE expires < ?", (now,))
            return fetch_number(db, "SELECT total_changes()") - before

        return self._database.write(change)
