"""API tokens in the ledger's file."""

import json
from collections.abc import Sequence
from typing import Final

import apsw

from flower.store.ledger.tokens import Token
from flower.store.sqlite.connection import Row, rows
from flower.store.sqlite.ledger.file import LedgerFile
from flower.store.sqlite.ledger.texts import storable

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS token (
        id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, name TEXT NOT NULL, owner TEXT NOT NULL, way TEXT NOT NULL,
        permissions TEXT NOT NULL, made REAL NOT NULL, expires REAL, used REAL, used_from TEXT NOT NULL, revoked REAL,
        revoked_by TEXT NOT NULL
    ) STRICT""",
)

_COLUMNS: Final = "id, name, owner, way, permissions, made, expires, used, used_from, revoked, revoked_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM token"


class SqliteTokens:
    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def add(self, token: Token, digest: bytes) -> None:
        values = (
            token.id, storable(token.name), storable(token.owner), token.way, json.dumps(token.permissions),
            token.made, token.expires, token.used, token.used_from, token.revoked, token.revoked_by, digest,
        )  # fmt: skip
        sql = f"INSERT INTO token ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._file.write(lambda db: rows(db, sql, values))

    def by_digest(self, digest: bytes) -> Token | None:
        return _one(self._file.rows(f"{_SELECT} WHERE digest = ?", (digest,)))

    def token(self, token_id: str) -> Token | None:
        return _one(self._file.rows(f"{_SELECT} WHERE id = ?", (storable(token_id),)))

    def tokens(self, owner: str | None = None) -> Sequence[Token]:
        where, values = ("", ()) if owner is None else (" WHERE owner = ?", (storable(owner),))
        return [_token(row) for row in self._file.rows(f"{_SELECT}{where} ORDER BY made DESC, id", values)]

    def use(self, token_id: str, at: float, address: str) -> None:
        sql = "UPDATE token SET used = ?, used_from = ? WHERE id = ?"
        self._file.write(lambda db: rows(db, sql, (at, storable(address), token_id)))

    def revoke(self, token_id: str, at: float, by: str) -> bool:
        def change(db: apsw.Connection) -> bool:
            sql = "UPDATE token SET revoked = ?, revoked_by = ? WHERE id = ? AND revoked IS NULL"
            rows(db, sql, (at, storable(by), storable(token_id)))
            return db.changes() > 0

        return self._file.write(change)


def _one(found: list[Row]) -> Token | None:
    return _token(found[0]) if found else None


def _token(row: Row) -> Token:
    token_id, name, owner, way, permissions, made, expires, used, used_from, revoked, revoked_by = row
    return Token(
        id=token_id,
        name=name,
        owner=owner,
        way=way,
        permissions=tuple(json.loads(permissions)),
        made=made,
        expires=expires,
        used=used,
        used_from=used_from,
        revoked=revoked,
        revoked_by=revoked_by,
    )
