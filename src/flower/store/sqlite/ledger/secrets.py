"""Secrets of the web servers in the ledger's file, which only its owner may read."""

import secrets
from typing import Final

import apsw

from flower.store.sqlite.connection import fetch_rows
from flower.store.sqlite.ledger.file import LedgerDatabase

SECRET_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
)


class SqliteSecrets:
    def __init__(self, file: LedgerDatabase) -> None:
        self._file = file

    def get_or_create(self, name: str) -> bytes:
        found = self._file.query("SELECT value FROM secret WHERE name = ?", (name,))
        return bytes(found[0][0]) if found else self._file.write(lambda db: _insert_secret(db, name))


def _insert_secret(db: apsw.Connection, name: str) -> bytes:
    """Two servers that start together get the same."""
    fetch_rows(
        db, "INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, secrets.token_bytes(32))
    )
    return bytes(fetch_rows(db, "SELECT value FROM secret WHERE name = ?", (name,))[0][0])
