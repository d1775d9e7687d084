"""Files of earlier versions: columns that they do not have, and the conversion from an older store format.

**Columns** that may be NULL are added without a new format number. The writer adds them when it opens a file; that does
not rewrite rows. A reader may open a file before the writer does, or where it cannot be changed, so it sees a view in
which they are NULL.

**An older format** is converted by the writer. meta.db and the ledger are small and are converted when they are opened;
meta.db first, so that the version before rejects the store from then on. Segments are converted in the background, in
steps of one transaction each: a process that is killed loses the step at most. Until then a reader sees a view in the
present format, and the writer converts a segment completely before it reads or changes its rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import apsw

from flower.records import Gap
from flower.store.sqlite.connection import execute_statements, fetch_number, fetch_rows
from flower.store.sqlite.schema import GAP_SCHEMA, INSERT_GAP, TASK_COLUMNS, column_definition
from flower.store.sqlite.store_format import STORE_FORMAT

#: Rows that one step converts: a fraction of a second.
_ROWS_PER_STEP: Final = 5_000
#: The next row to be converted, in the table `info` of a segment.
_POSITION_KEY: Final = "migration"


def _do_nothing(connection: apsw.Connection) -> None:
    pass


@dataclass(frozen=True, slots=True)
class SegmentMigration:
    """Converts segments to `to_format` from the format before it. It adds columns and fills them; columns that are no
    longer used remain, so that the view of a reader stays valid while rows are converted. A migration that changes
    values of column files also needs a new COLUMN_FORMAT."""

    to_format: int
    #: called once, before the first row
    prepare: Callable[[apsw.Connection], None]
    #: converts the rows with first <= id < end
    convert: Callable[[apsw.Connection, int, int], None]
    #: creates the view in the present format on the connection of a reader
    provide: Callable[[apsw.Connection], None] = _do_nothing


@dataclass(frozen=True, slots=True)
class FileMigration:
    """Converts meta.db or the ledger to `to_format` from the format before it, in one transaction."""

    to_format: int
    convert: Callable[[apsw.Connection], None]


#: Ascending. None yet: format 2 has the tables of format 1, and full segments that may be compressed.
SEGMENT_MIGRATIONS: tuple[SegmentMigration, ...] = ()
META_MIGRATIONS: tuple[FileMigration, ...] = ()
LEDGER_MIGRATIONS: tuple[FileMigration, ...] = ()


def read_format(connection: apsw.Connection) -> int:
    return fetch_number(connection, "PRAGMA user_version")


def migrate_file(connection: apsw.Connection, migrations: Sequence[FileMigration]) -> None:
    """Convert meta.db or the ledger to the present format."""
    if read_format(connection) >= STORE_FORMAT:
        return
    execute_statements(connection, "BEGIN IMMEDIATE")
    try:
        found = read_format(connection)  # another process may have converted it meanwhile
        for migration in migrations:
            if migration.to_format > found:
                migration.convert(connection)
        execute_statements(connection, f"PRAGMA user_version={max(found, STORE_FORMAT)}", "COMMIT")
    except BaseException:
        if connection.in_transaction:
            execute_statements(connection, "ROLLBACK")
        raise
    _write_header(connection)


def migrate_segment_step(connection: apsw.Connection) -> int:
    """Convert some rows of a segment in one transaction. Return its format afterwards."""
    found = read_format(connection)
    migration = next((each for each in SEGMENT_MIGRATIONS if each.to_format > found), None)
    target = STORE_FORMAT if migration is None else migration.to_format
    execute_statements(connection, "BEGIN IMMEDIATE")
    try:
        is_complete = migration is None or _convert_rows(connection, migration)
        if is_complete:
            execute_statements(connection, f"PRAGMA user_version={target}")
        execute_statements(connection, "COMMIT")
    except BaseException:
        if connection.in_transaction:
            execute_statements(connection, "ROLLBACK")
        raise
    if is_complete:
        _write_header(connection)
    return target if is_complete else found


def _convert_rows(connection: apsw.Connection, migration: SegmentMigration) -> bool:
    """Return whether there are no more rows."""
    position = fetch_rows(connection, "SELECT value FROM info WHERE key=?", (_POSITION_KEY,))
    if not position:
        migration.prepare(connection)
    first = position[0][0] if position else fetch_number(connection, "SELECT min(id) FROM task")
    end = first + _ROWS_PER_STEP
    migration.convert(connection, first, end)
    if fetch_rows(connection, "SELECT 1 FROM task WHERE id >= ? LIMIT 1", (end,)):
        connection.execute("INSERT OR REPLACE INTO info VALUES (?,?)", (_POSITION_KEY, end))
        return False
    connection.execute("DELETE FROM info WHERE key=?", (_POSITION_KEY,))
    return True


def _write_header(connection: apsw.Connection) -> None:
    """Move the number from the write-ahead log to the file, where versions before see it without opening the file."""
    execute_statements(connection, "PRAGMA wal_checkpoint(PASSIVE)")


def provide_present_format(connection: apsw.Connection) -> None:
    """Let this read-only connection read a segment of an older format or build."""
    found = read_format(connection)
    for migration in SEGMENT_MIGRATIONS:
        if migration.to_format > found:
            migration.provide(connection)
    provide_task_columns(connection)


#: Columns of the table `task` that were added after version 1.0, in their order.
_ADDED_COLUMNS: Final = ("source", "lost", "run", "clock_offset", "client_offset", "queue_wait", "event_times")
#: By table: columns that files of earlier builds lack.
ADDED_COLUMNS: Final = {"task": frozenset(_ADDED_COLUMNS), "gap": frozenset({"id", "cause", "worker"})}
assert TASK_COLUMNS[-len(_ADDED_COLUMNS) :] == _ADDED_COLUMNS


def add_task_columns(connection: apsw.Connection) -> None:
    """Add the missing columns of a segment."""
    missing = _missing_columns(connection)
    if missing:
        with connection:
            for name in missing:
                connection.execute(f"ALTER TABLE task ADD COLUMN {column_definition(name)}")


def provide_task_columns(connection: apsw.Connection) -> None:
    """Let this read-only connection read the missing columns of a segment as NULL. The view remains correct when the
    writer adds them: `*` then includes them, and the first column of a name is read."""
    missing = _missing_columns(connection)
    if missing:
        columns = ", ".join(f"NULL AS {name}" for name in missing)
        view = f"CREATE TEMP VIEW task AS SELECT *, {columns} FROM main.task"
        # applies to temporary objects too; the file itself is open for reading only
        execute_statements(connection, "PRAGMA query_only=OFF", view, "PRAGMA query_only=ON")


def _missing_columns(connection: apsw.Connection) -> list[str]:
    present = _column_names(connection, "task")
    # a table that is missing altogether is reported as damage by the caller
    return [name for name in _ADDED_COLUMNS if name not in present] if present else []


def _column_names(connection: apsw.Connection, table: str) -> set[str]:
    return {row[1] for row in fetch_rows(connection, f"PRAGMA main.table_info({table})")}


def read_gap_rows(connection: apsw.Connection) -> list[Gap]:
    """The gaps of meta.db, of any version, in the order of their start."""
    columns = "start, end, reason, cause, worker" if _has_gap_ids(connection) else "start, end, reason"
    return [Gap(*row) for row in fetch_rows(connection, f"SELECT {columns} FROM gap ORDER BY start, reason")]


def add_gap_columns(connection: apsw.Connection) -> None:
    """Give the gaps of meta.db their ids, causes and workers."""
    if not _has_gap_ids(connection):
        gaps = read_gap_rows(connection)
        with connection:
            execute_statements(connection, "DROP TABLE gap", GAP_SCHEMA)
            connection.executemany(
                INSERT_GAP, [(gap.id, gap.start, gap.end, gap.reason, gap.cause, gap.worker) for gap in gaps]
            )


def _has_gap_ids(connection: apsw.Connection) -> bool:
    return "id" in _column_names(connection, "gap")
