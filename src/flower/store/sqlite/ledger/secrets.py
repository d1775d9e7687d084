"""Secrets of the web servers in the ledger's file, which only its owner may read."""

import secrets
from typing import Final

import apsw

from flower.store.sqlite.connection import rows
from flower.store.sqlite.ledger.file import LedgerFile

TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
)


class SqliteSecrets:
    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def secret(self, name: str) -> bytes:
        found = self._file.rows("SELECT value FROM secret WHERE name = ?", (name,))
        return bytes(found[0][0]) if found else self._file.write(lambda db: _made(db, name))


def _made(db: apsw.Connection, name: str) -> bytes:
    """Two servers that start together get the same."""
    rows(db, "INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, secrets.token_bytes(32)))
    return bytes(rows(db, "SELECT value FROM secret WHERE name = ?", (name,))[0][0])
