"""The audit log in the ledger."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from flower.store.ledger.audit import MAX_STORED_TARGETS, AuditEntry, AuditFilter, AuditOutcome
from flower.store.sqlite.connection import Row, fetch_number, fetch_rows
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.surrogates import escape_surrogates

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
#: Actions, outcomes and authentication methods as they are stored, where that differs.
_STORED_ACTIONS: Final[Mapping[str, str]] = {
    "job.create": "job.start",
    "job.stop": "job.abort",
    "search.create": "search.save",
    "search.replace": "search.change",
    "search.delete": "search.remove",
}
_STORED_OUTCOMES: Final[Mapping[str, str]] = {"in_progress": "begun"}
_STORED_AUTH_METHODS: Final[Mapping[str, str]] = {"none": "nobody"}
_ACTIONS: Final[Mapping[str, str]] = {stored: action for action, stored in _STORED_ACTIONS.items()}
_OUTCOMES: Final[Mapping[str, Any]] = {stored: outcome for outcome, stored in _STORED_OUTCOMES.items()}
_AUTH_METHODS: Final[Mapping[str, Any]] = {stored: method for method, stored in _STORED_AUTH_METHODS.items()}
_TARGETS: Final = (
    "SELECT entry, target FROM audit_target WHERE entry IN (SELECT value FROM json_each(?)) ORDER BY place"
)


class SqliteAudit:
    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

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
        method = _STORED_AUTH_METHODS.get(auth_method, auth_method)
        stored_action = _STORED_ACTIONS.get(action, action)
        texts = [escape_surrogates(text) for text in (user, method, token, address, stored_action)]
        encoded = escape_surrogates(json.dumps(parameters or {}, default=str))
        stored_outcome = _STORED_OUTCOMES.get(outcome, outcome)
        values = (time.time(), *texts, len(targets), encoded, stored_outcome, escape_surrogates(message))

        def change(db: apsw.Connection) -> int:
            fetch_rows(db, _INSERT, values)
            entry = db.last_insert_rowid()
            _add_targets(db, entry, 0, targets)
            return entry

        return self._database.write(change)

    def finish(self, entry: int, outcome: AuditOutcome, message: str = "", targets: Sequence[str] = ()) -> None:
        def change(db: apsw.Connection) -> None:
            before = fetch_number(db, "SELECT target_count FROM audit WHERE id = ?", (entry,))
            sql = "UPDATE audit SET outcome = ?, message = ?, target_count = ? WHERE id = ?"
            fetch_rows(
                db,
                sql,
                (_STORED_OUTCOMES.get(outcome, outcome), escape_surrogates(message), before + len(targets), entry),
            )
            _add_targets(db, entry, before, targets)

        self._database.write(change)

    def entries(self, filters: AuditFilter, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        where, values = _build_where(filters, before)
        sql = f"SELECT {_COLUMNS} FROM audit WHERE {where} ORDER BY id DESC LIMIT ?"
        rows = self._database.query(sql, (*values, limit))
        targets: dict[int, list[str]] = {}
        for entry, target in self._database.query(_TARGETS, (json.dumps([row[0] for row in rows]),)):
            targets.setdefault(entry, []).append(target)
        return [_entry(row, targets.get(row[0], [])) for row in rows]

    def prune(self, before: float) -> int:
        return self._database.prune("DELETE FROM audit WHERE at < ?", before)


def _add_targets(db: apsw.Connection, entry: int, first_index: int, targets: Sequence[str]) -> None:
    stored = targets[: max(MAX_STORED_TARGETS - first_index, 0)]
    rows = [(entry, first_index + number, escape_surrogates(target)) for number, target in enumerate(stored)]
    if rows:
        db.executemany("INSERT INTO audit_target (entry, place, target) VALUES (?, ?, ?)", rows)


def _build_where(filters: AuditFilter, before: int | None) -> tuple[str, list[Any]]:
    parts: list[tuple[str, Any]] = [
        ("id < ?", before),
        ("who = ?", filters.user),
        ("outcome = ?", _STORED_OUTCOMES.get(filters.outcome or "", filters.outcome)),
        ("address = ?", filters.address),
        ("at >= ?", filters.start),
        ("at <= ?", filters.end),
        ("id IN (SELECT entry FROM audit_target WHERE target = ?)", filters.target),
    ]
    conditions = [
        (sql, escape_surrogates(value) if isinstance(value, str) else value)
        for sql, value in parts
        if value is not None
    ]
    values = [value for _, value in conditions]
    where = [sql for sql, _ in conditions]
    if filters.action is not None:
        action = escape_surrogates(_STORED_ACTIONS.get(filters.action, filters.action))
        # '/' is the character after '.'
        where.append("(action = ? OR (action >= ? AND action < ?))")
        values += [action, f"{action}.", f"{action}/"]
    return " AND ".join(where) or "1", values


def _entry(row: Row, targets: list[str]) -> AuditEntry:
    entry, at, who, way, token, address, action, target_count, parameters, outcome, message = row
    return AuditEntry(
        id=entry,
        created_at=at,
        user=who,
        auth_method=_AUTH_METHODS.get(way, way),
        token=token,
        address=address,
        action=_ACTIONS.get(action, action),
        targets=tuple(targets),
        target_count=target_count,
        parameters=json.loads(parameters),
        outcome=_OUTCOMES.get(outcome, outcome),
        message=message,
    )
