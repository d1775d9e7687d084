"""The ledger in one SQLite file of the store directory. All web servers write to it.

api_tokens      API tokens and secrets of the servers
audit           audit log
database        opens the file; queries and transactions
failure_notes   decisions on failure groups
gap_dismissals  gaps that were dismissed
jobs            bulk jobs and their leases
queue_samples   samples of queue lengths
reruns          links between tasks and their re-runs
saved_searches  saved searches
sessions        ended sessions
"""

from typing import Final

from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.ledger import (
    api_tokens,
    audit,
    failure_notes,
    gap_dismissals,
    jobs,
    queue_samples,
    reruns,
    saved_searches,
    sessions,
)
from flower.store.sqlite.ledger.api_tokens import SqliteApiTokens, SqliteSecrets
from flower.store.sqlite.ledger.audit import SqliteAudit
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.store.sqlite.ledger.failure_notes import SqliteFailureNotes
from flower.store.sqlite.ledger.gap_dismissals import SqliteGapDismissals
from flower.store.sqlite.ledger.jobs import SqliteJobs
from flower.store.sqlite.ledger.queue_samples import SqliteQueueSamples
from flower.store.sqlite.ledger.reruns import SqliteReruns
from flower.store.sqlite.ledger.saved_searches import SqliteSavedSearches
from flower.store.sqlite.ledger.sessions import SqliteEndedSessions

_PARTS: Final = (
    audit, api_tokens, reruns, jobs, queue_samples, saved_searches, failure_notes, gap_dismissals, sessions,
)  # fmt: skip
#: Statements that create the tables of all parts.
LEDGER_TABLES: Final = tuple(table for part in _PARTS for table in part.TABLES)


class SqliteLedger:
    def __init__(self, directory: StoreDirectory) -> None:
        self._database = LedgerDatabase(directory, LEDGER_TABLES, saved_searches.ADDED_COLUMNS)
        self._audit = SqliteAudit(self._database)
        self._tokens = SqliteApiTokens(self._database)
        self._secrets = SqliteSecrets(self._database)
        self._reruns = SqliteReruns(self._database)
        self._jobs = SqliteJobs(self._database)
        self._samples = SqliteQueueSamples(self._database)
        self._searches = SqliteSavedSearches(self._database)
        self._failures = SqliteFailureNotes(self._database)
        self._gaps = SqliteGapDismissals(self._database)
        self._sessions = SqliteEndedSessions(self._database)

    @property
    def audit(self) -> SqliteAudit:
        return self._audit

    @property
    def tokens(self) -> SqliteApiTokens:
        return self._tokens

    @property
    def secrets(self) -> SqliteSecrets:
        return self._secrets

    @property
    def reruns(self) -> SqliteReruns:
        return self._reruns

    @property
    def jobs(self) -> SqliteJobs:
        return self._jobs

    @property
    def queue_samples(self) -> SqliteQueueSamples:
        return self._samples

    @property
    def saved_searches(self) -> SqliteSavedSearches:
        return self._searches

    @property
    def failure_notes(self) -> SqliteFailureNotes:
        return self._failures

    @property
    def gap_dismissals(self) -> SqliteGapDismissals:
        return self._gaps

    @property
    def sessions(self) -> SqliteEndedSessions:
        return self._sessions

    def close(self) -> None:
        self._database.close()
