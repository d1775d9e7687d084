"""API tokens and secrets of the web servers in the ledger. Only the owner of the file can read it."""

import json
import secrets
from collections.abc import Sequence
from typing import Final

import apsw

from flower.store.ledger.api_tokens import ApiToken
from flower.store.sqlite.connection import Row, fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS token (
        id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL, owner TEXT NOT NULL, way TEXT NOT NULL,
        permissions TEXT NOT NULL, made REAL NOT NULL, expires REAL, used REAL, used_from TEXT NOT NULL, revoked REAL,
        revoked_by TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
)

_COLUMNS: Final = "id, name, owner, way, permissions, made, expires, used, used_from, revoked, revoked_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM token"


class SqliteApiTokens:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def add(self, token: ApiToken, digest: bytes) -> None:
        values = (
            token.id, escape_surrogates(token.name), escape_surrogates(token.owner), token.auth_method,
            json.dumps(token.permissions),
            token.created_at, token.expires_at, token.last_used_at, token.last_used_from, token.revoked_at,
            token.revoked_by, digest,
        )  # fmt: skip
        sql = f"INSERT INTO token ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._database.write(lambda db: fetch_rows(db, sql, values))

    def find_by_digest(self, digest: bytes) -> ApiToken | None:
        return _first_token(self._database.query(f"{_SELECT} WHERE digest = ?", (digest,)))

    def token(self, token_id: str) -> ApiToken | None:
        return _first_token(self._database.query(f"{_SELECT} WHERE id = ?", (escape_surrogates(token_id),)))

    def tokens(self, owner: str | None = None) -> Sequence[ApiToken]:
        where, values = ("", ()) if owner is None else (" WHERE owner = ?", (escape_surrogates(owner),))
        return [_token(row) for row in self._database.query(f"{_SELECT}{where} ORDER BY made DESC, id", values)]

    def record_use(self, token_id: str, at: float, address: str) -> None:
        sql = "UPDATE token SET used = ?, used_from = ? WHERE id = ?"
        self._database.write(lambda db: fetch_rows(db, sql, (at, escape_surrogates(address), token_id)))

    def revoke(self, token_id: str, at: float, by: str) -> bool:
        def change(db: apsw.Connection) -> bool:
            sql = "UPDATE token SET revoked = ?, revoked_by = ? WHERE id = ? AND revoked IS NULL"
            fetch_rows(db, sql, (at, escape_surrogates(by), escape_surrogates(token_id)))
            return db.changes() > 0

        return self._database.write(change)


def _first_token(rows: list[Row]) -> ApiToken | None:
    return _token(rows[0]) if rows else None


def _token(row: Row) -> ApiToken:
    token_id, name, owner, way, permissions, made, expires, used, used_from, revoked, revoked_by = row
    return ApiToken(
        id=token_id,
        name=name,
        owner=owner,
        auth_method=way,
        permissions=tuple(json.loads(permissions)),
        created_at=made,
        expires_at=expires,
        last_used_at=used,
        last_used_from=used_from,
        revoked_at=revoked,
        revoked_by=revoked_by,
    )


class SqliteSecrets:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def get_or_create(self, name: str) -> bytes:
        rows = self._database.query("SELECT value FROM secret WHERE name = ?", (name,))
        return bytes(rows[0][0]) if rows else self._database.write(lambda db: _insert_secret(db, name))


def _insert_secret(db: apsw.Connection, name: str) -> bytes:
    """Servers that start together get the same secret."""
    fetch_rows(
        db, "INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, secrets.token_bytes(32))
    )
    return bytes(fetch_rows(db, "SELECT value FROM secret WHERE name = ?", (name,))[0][0])
