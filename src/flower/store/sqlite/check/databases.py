"""Checks that apply to every SQLite file of a store: length, pages, tables and columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import apsw

from flower.store.sqlite.check.findings import RESTORE_ADVICE, FindingList
from flower.store.sqlite.connection import execute_statements, fetch_number, fetch_rows
from flower.store.sqlite.file_header import is_compressed_file
from flower.store.sqlite.ledger import saved_searches, sessions
from flower.store.sqlite.migration import ADDED_COLUMNS, read_format
from flower.store.sqlite.schema import META_SCHEMA, SEGMENT_SCHEMA
from flower.store.sqlite.store_format import STORE_FORMAT

#: By table: columns that files of earlier builds lack.
_ADDED_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    **ADDED_COLUMNS,
    **{table: frozenset({name}) for table, name, _ in saved_searches.ADDED_COLUMNS},
}
#: Messages of SQLite per file.
_MAX_MESSAGES: Final = 5


def check_database(
    connection: apsw.Connection,
    path: Path,
    schema: Sequence[str],
    findings: FindingList,
    *,
    advice: str = RESTORE_ADVICE,
) -> bool:
    """Check pages, indexes, foreign keys and tables. Return whether the tables can be read."""
    page_bytes = fetch_number(connection, "PRAGMA page_count") * fetch_number(connection, "PRAGMA page_size")
    log = path.with_name(f"{path.name}-wal")
    # a compressed file is compared with its header when it is opened
    is_compressed = is_compressed_file(path)
    if not is_compressed and path.stat().st_size < page_bytes and not (log.exists() and log.stat().st_size):
        findings.add(path.name, "the file is shorter than its header states", advice)
        return False
    format_number = read_format(connection)
    if format_number < STORE_FORMAT:
        problem = f"it has store format {format_number}, and is converted to {STORE_FORMAT}"
        findings.add(path.name, problem, "the recorder does it in the background", severity="note")
        return False
    missing = _missing_columns(connection, schema)
    for table, columns in list(missing.items()):
        if columns is None and table in sessions.ADDED_TABLES:
            problem = f"the table {table} is missing, which a later version has"
            findings.add(path.name, problem, "the server adds it when it starts", severity="note")
            del missing[table]
            continue
        if columns is not None and _ADDED_COLUMNS.get(table, frozenset()).issuperset(columns):
            problem = f"{table} lacks {', '.join(columns)}, which a later version has"
            findings.add(path.name, problem, "the recorder adds them when it starts", severity="note")
            del missing[table]
            continue
        problem = f"the table {table} is missing" if columns is None else f"{table} lacks {', '.join(columns)}"
        findings.add(path.name, problem, advice)
    messages = [row[0] for row in fetch_rows(connection, f"PRAGMA integrity_check({_MAX_MESSAGES})")]
    for message in messages:
        if message != "ok":
            findings.add(path.name, str(message).removeprefix("*** in database main ***\n"), advice)
    for table, row, parent, _ in fetch_rows(connection, "PRAGMA foreign_key_check")[:_MAX_MESSAGES]:
        findings.add(path.name, f"row {row} of {table} refers to a row of {parent} that is missing", advice)
    return not missing and messages == ["ok"]


def _missing_columns(connection: apsw.Connection, schema: Sequence[str]) -> dict[str, list[str] | None]:
    """By table: missing columns; None if the table is missing."""
    expected = _read_columns(schema)
    missing: dict[str, list[str] | None] = {}
    for table, columns in expected.items():
        present = [row[1] for row in fetch_rows(connection, f"PRAGMA main.table_info({table})")]
        absent = [column for column in columns if column not in present]
        if absent:
            missing[table] = absent if present else None
    return missing


def _read_columns(schema: Sequence[str]) -> Mapping[str, list[str]]:
    memory = apsw.Connection(":memory:")
    try:
        execute_statements(memory, *schema)
        tables = [name for (name,) in fetch_rows(memory, "SELECT name FROM sqlite_schema WHERE type='table'")]
        return {
            table: [row[1] for row in fetch_rows(memory, f"PRAGMA table_info({table})")]
            for table in tables
            if not table.startswith("sqlite_")
        }
    finally:
        memory.close()


SEGMENT_TABLES: Final = SEGMENT_SCHEMA
META_TABLES: Final = META_SCHEMA
