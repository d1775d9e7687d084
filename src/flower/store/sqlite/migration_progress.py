"""Progress of the migration of a store: how many of its files are up to date. Stored in meta.db, so that every process
can show it, also after the recorder was stopped.
"""

import json
import logging
import time
from collections.abc import Collection
from typing import Final

import apsw

from flower.store.protocols import StoreMigration
from flower.store.sqlite.connection import fetch_rows

log = logging.getLogger(__name__)

_INFO_KEY: Final = "migration"
#: Seconds between two log lines.
_LOG_INTERVAL: Final = 10.0
_MAX_ERROR_LENGTH: Final = 500
#: A single file that is behind, as after a crash, is not a migration.
_MIN_FILES: Final = 2


class MigrationProgress:
    """Writer side. Without pending files every method costs nothing."""

    def __init__(self) -> None:
        self._pending: set[int] = set()
        self._total = 0
        self._started_at = self._logged_at = 0.0
        self._error = ""

    def begin(self, connection: apsw.Connection, outdated: Collection[int]) -> None:
        """These segments are not up to date. Continues the migration that the previous process began."""
        previous = read_migration(connection)
        if len(outdated) < _MIN_FILES and previous is None:
            return
        self._pending = set(outdated)
        self._total = max(len(self._pending), 0 if previous is None else previous.total)
        self._started_at = time.time() if previous is None else previous.started_at
        if not self._pending:
            self._end(connection)
            return
        log.info(
            "Migrating %d files of the store in the background. All tasks can be read; searches are slower meanwhile",
            len(self._pending),
        )
        self._store(connection)

    def finish(self, connection: apsw.Connection, number: int) -> None:
        """This segment is up to date."""
        if number not in self._pending:
            return
        self._pending.discard(number)
        if not self._pending:
            self._end(connection)
            return
        self._store(connection)
        if time.monotonic() - self._logged_at > _LOG_INTERVAL:
            self._logged_at = time.monotonic()
            log.info("Migration of the store: %d of %d files", self._total - len(self._pending), self._total)

    def fail(self, connection: apsw.Connection, number: int, reason: str) -> None:
        """This segment cannot be converted. It is tried again at the next start."""
        self._error = reason[:_MAX_ERROR_LENGTH]
        self._pending.add(number)
        self._total = max(self._total, len(self._pending))
        self._started_at = self._started_at or time.time()
        self._store(connection)

    def retain(self, connection: apsw.Connection, numbers: Collection[int]) -> None:
        """Segments other than these were removed."""
        if self._total:
            self._pending.intersection_update(numbers)
            if not self._pending:
                self._end(connection)

    def _end(self, connection: apsw.Connection) -> None:
        seconds = time.time() - self._started_at
        log.info("Migration of the store is complete: %d files, %.0f s after its start", self._total, seconds)
        self._pending, self._total = set(), 0
        with connection:
            connection.execute("DELETE FROM info WHERE key=?", (_INFO_KEY,))

    def _store(self, connection: apsw.Connection) -> None:
        content = {
            "done": self._total - len(self._pending), "total": self._total, "started_at": self._started_at,
            **({"error": self._error} if self._error else {}),  # earlier builds do not know it
        }  # fmt: skip
        with connection:
            connection.execute("INSERT OR REPLACE INTO info VALUES (?,?)", (_INFO_KEY, json.dumps(content)))


def read_migration(connection: apsw.Connection) -> StoreMigration | None:
    """The migration that is not complete; None if there is none."""
    rows = fetch_rows(connection, "SELECT value FROM info WHERE key=?", (_INFO_KEY,))
    try:
        return StoreMigration(**json.loads(rows[0][0])) if rows else None
    except (ValueError, TypeError):
        return None
