"""Saved searches in the ledger."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from flower.store.ledger.saved_searches import SavedSearch
from flower.store.sqlite.connection import Row, fetch_number, fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS search (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, query TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL,
        columns TEXT NOT NULL, sort TEXT NOT NULL, owner TEXT NOT NULL, shared INTEGER NOT NULL, at REAL NOT NULL,
        time TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS search_owner ON search (owner)",
)

#: Columns that ledgers of earlier versions lack.
ADDED_COLUMNS: Final = (("search", "time", "time TEXT NOT NULL DEFAULT ''"),)

_SELECT: Final = 'SELECT id, name, query, start, "end", time, columns, sort, owner, shared, at FROM search'
_INSERT: Final = (
    'INSERT INTO search (id, owner, name, query, start, "end", time, columns, sort, shared, at) '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE: Final = (
    'UPDATE search SET name = ?, query = ?, start = ?, "end" = ?, time = ?, columns = ?, sort = ?, shared = ?, at = ? '
    "WHERE id = ?"
)

#: Names of columns in ledgers of earlier versions, and the present names.
_COLUMN_NAMES: Final[Mapping[str, str]] = {
    "sent": "sent_at",
    "received": "received_at",
    "started": "started_at",
    "succeeded": "succeeded_at",
    "failed": "failed_at",
    "retried": "retried_at",
    "revoked": "revoked_at",
    "rejected": "rejected_at",
    "timestamp": "last_event_at",
}


class SqliteSavedSearches:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def add(self, search: SavedSearch, *, limit: int) -> bool:
        owner = escape_surrogates(search.owner)

        def change(db: apsw.Connection) -> bool:
            if fetch_number(db, "SELECT count(*) FROM search WHERE owner = ?", (owner,)) >= limit:
                return False
            fetch_rows(db, _INSERT, (search.id, owner, *_values(search)))
            return True

        return self._database.write(change)

    def search(self, search_id: str) -> SavedSearch | None:
        rows = self._database.query(f"{_SELECT} WHERE id = ?", (escape_surrogates(search_id),))
        return _search(rows[0]) if rows else None

    def searches(self, owner: str) -> Sequence[SavedSearch]:
        sql = f"{_SELECT} WHERE owner = ? OR shared ORDER BY name COLLATE NOCASE, name, id"
        return [_search(row) for row in self._database.query(sql, (escape_surrogates(owner),))]

    def update(self, search: SavedSearch) -> bool:
        def change(db: apsw.Connection) -> bool:
            fetch_rows(db, _UPDATE, (*_values(search), escape_surrogates(search.id)))
            return db.changes() > 0

        return self._database.write(change)

    def delete(self, search_id: str) -> bool:
        def change(db: apsw.Connection) -> bool:
            fetch_rows(db, "DELETE FROM search WHERE id = ?", (escape_surrogates(search_id),))
            return db.changes() > 0

        return self._database.write(change)


def _values(search: SavedSearch) -> tuple[Any, ...]:
    texts = [escape_surrogates(text) for text in (search.name, search.query, search.start, search.end, search.time)]
    lists = [json.dumps(words) for words in (search.columns, search.sort)]
    return (*texts, *lists, int(search.shared), search.updated_at)


def _search(row: Row) -> SavedSearch:
    search_id, name, query, start, end, time, columns, sort, owner, shared, at = row
    return SavedSearch(
        id=search_id,
        name=name,
        query=query,
        start=start,
        end=end,
        time=time,
        columns=tuple(_COLUMN_NAMES.get(column, column) for column in json.loads(columns)),
        sort=tuple(json.loads(sort)),
        owner=owner,
        shared=bool(shared),
        updated_at=at,
    )
