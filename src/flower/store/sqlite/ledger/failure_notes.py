"""Decisions on failure groups in the ledger."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

import apsw

from flower.store.ledger.failure_notes import MAX_FIRST_SEEN, FailureNote
from flower.store.sqlite.connection import fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS failure_note (
        failure TEXT PRIMARY KEY, decision TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL, until REAL,
        comment TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS failure_seen (failure TEXT PRIMARY KEY, first REAL NOT NULL) STRICT, WITHOUT ROWID",
)

_SELECT_NOTES: Final = "SELECT failure, decision, by, at, until, comment FROM failure_note"
_RECORD_FIRST_SEEN: Final = (
    "INSERT INTO failure_seen VALUES (?, ?) ON CONFLICT DO UPDATE SET first = min(first, excluded.first)"
)
_REMOVE_OLDEST: Final = (
    "DELETE FROM failure_seen WHERE failure IN (SELECT failure FROM failure_seen ORDER BY first DESC LIMIT -1 OFFSET ?)"
)


class SqliteFailureNotes:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def put(self, note: FailureNote) -> None:
        values = (
            escape_surrogates(note.failure), note.decision, escape_surrogates(note.created_by), note.created_at,
            note.expires_at, escape_surrogates(note.comment)
        )  # fmt: skip
        sql = "INSERT OR REPLACE INTO failure_note VALUES (?, ?, ?, ?, ?, ?)"
        self._database.write(lambda db: fetch_rows(db, sql, values))

    def delete(self, failure: str) -> bool:
        def change(db: apsw.Connection) -> bool:
            fetch_rows(db, "DELETE FROM failure_note WHERE failure = ?", (escape_surrogates(failure),))
            return db.changes() > 0

        return self._database.write(change)

    def notes(self) -> Mapping[str, FailureNote]:
        return {
            failure: FailureNote(
                failure=failure, decision=decision, created_by=by, created_at=at, expires_at=until, comment=comment
            )
            for failure, decision, by, at, until, comment in self._database.query(_SELECT_NOTES)
        }

    def record_first_seen(self, times: Mapping[str, float]) -> None:
        if not times:
            return
        values = [(escape_surrogates(failure), first) for failure, first in times.items()]

        def change(db: apsw.Connection) -> None:
            db.executemany(_RECORD_FIRST_SEEN, values)
            fetch_rows(db, _REMOVE_OLDEST, (MAX_FIRST_SEEN,))

        self._database.write(change)

    def first_seen(self, failures: Iterable[str] | None = None) -> Mapping[str, float]:
        sql = "SELECT failure, first FROM failure_seen"
        if failures is None:
            return dict(self._database.query(sql))
        ids = json.dumps([escape_surrogates(failure) for failure in failures])
        return dict(self._database.query(f"{sql} WHERE failure IN (SELECT value FROM json_each(?))", (ids,)))
