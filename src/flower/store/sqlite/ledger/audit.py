"""The audit log in the ledger's file."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from flower.store.ledger.audit import MAX_STORED_TARGETS, AuditEntry, AuditFilter, AuditOutcome
from flower.store.sqlite.connection import Row, fetch_number, fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.text_encoding import escape_surrogates

TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, way TEXT NOT NULL,
        token TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL, target_count INTEGER NOT NULL,
        parameters TEXT NOT NULL, outcome TEXT NOT NULL, message TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS audit_at ON audit (at)",
    "CREATE INDEX IF NOT EXISTS audit_who ON audit (who, id)",
    "CREATE INDEX IF NOT EXISTS audit_action ON audit (action, id)",
    """CREATE TABLE IF NOT EXISTS audit_target (
        entry INTEGER NOT NULL REFERENCES audit (id) ON DELETE CASCADE, place INTEGER NOT NULL, target TEXT NOT NULL,
        PRIMARY KEY (entry, place)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS audit_target_target ON audit_target (target, entry)",
)

_COLUMNS: Final = "id, at, who, way, token, address, action, target_count, parameters, outcome, message"
_INSERT: Final = f"INSERT INTO audit ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TARGETS: Final = (
    "SELECT entry, target FROM audit_target WHERE entry IN (SELECT value FROM json_each(?)) ORDER BY place"
)


class SqliteAudit:
    def __init__(self, file: LedgerDatabase) -> None:
        self._file = file

    def add(
        self,
        action: str,
        *,
        user: str,
        auth_method: str,
        outcome: AuditOutcome = "done",
        address: str = "",
        token: str = "",
        targets: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> int:
        asked = json.dumps(parameters or {}, default=str)
        texts = [escape_surrogates(text) for text in (user, auth_method, token, address, action)]
        values = (time.time(), *texts, len(targets), escape_surrogates(asked), outcome, escape_surrogates(message))

        def change(db: apsw.Connection) -> int:
            fetch_rows(db, _INSERT, values)
            entry = db.last_insert_rowid()
            _add_targets(db, entry, 0, targets)
            return entry

        return self._file.write(change)

    def finish(self, entry: int, outcome: AuditOutcome, message: str = "", targets: Sequence[str] = ()) -> None:
        def change(db: apsw.Connection) -> None:
            before = fetch_number(db, "SELECT target_count FROM audit WHERE id = ?", (entry,))
            sql = "UPDATE audit SET outcome = ?, message = ?, target_count = ? WHERE id = ?"
            fetch_rows(db, sql, (outcome, escape_surrogates(message), before + len(targets), entry))
            _add_targets(db, entry, before, targets)

        self._file.write(change)

    def entries(self, filters: AuditFilter, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        where, values = _build_where(filters, before)
        sql = f"SELECT {_COLUMNS} FROM audit WHERE {where} ORDER BY id DESC LIMIT ?"
        found = self._file.query(sql, (*values, limit))
        targets: dict[int, list[str]] = {}
        for entry, target in self._file.query(_TARGETS, (json.dumps([row[0] for row in found]),)):
            targets.setdefault(entry, []).append(target)
        return [_entry(row, targets.get(row[0], [])) for row in found]

    def prune(self, before: float) -> int:
        return self._file.prune("DELETE FROM audit WHERE at < ?", before)


def _add_targets(db: apsw.Connection, entry: int, place: int, targets: Sequence[str]) -> None:
    kept = targets[: max(MAX_STORED_TARGETS - place, 0)]
    placed = [(entry, place + number, escape_surrogates(target)) for number, target in enumerate(kept)]
    if placed:
        db.executemany("INSERT INTO audit_target (entry, place, target) VALUES (?, ?, ?)", placed)


def _build_where(wanted: AuditFilter, before: int | None) -> tuple[str, list[Any]]:
    parts: list[tuple[str, Any]] = [
        ("id < ?", before),
        ("who = ?", wanted.user),
        ("outcome = ?", wanted.outcome),
        ("address = ?", wanted.address),
        ("at >= ?", wanted.start),
        ("at <= ?", wanted.end),
        ("id IN (SELECT entry FROM audit_target WHERE target = ?)", wanted.target),
    ]
    found = [
        (sql, escape_surrogates(value) if isinstance(value, str) else value)
        for sql, value in parts
        if value is not None
    ]
    values = [value for _, value in found]
    where = [sql for sql, _ in found]
    if wanted.action is not None:
        action = escape_surrogates(wanted.action)
        # '/' is what comes after '.'
        where.append("(action = ? OR (action >= ? AND action < ?))")
        values += [action, f"{action}.", f"{action}/"]
    return " AND ".join(where) or "1", values


def _entry(row: Row, targets: list[str]) -> AuditEntry:
    entry, at, who, way, token, address, action, target_count, parameters, outcome, message = row
    return AuditEntry(
        id=entry,
        created_at=at,
        user=who,
        auth_method=way,
        token=token,
        address=address,
        action=action,
        targets=tuple(targets),
        target_count=target_count,
        parameters=json.loads(parameters),
        outcome=outcome,
        message=message,
    )
