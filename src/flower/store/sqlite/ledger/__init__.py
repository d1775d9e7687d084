"""The ledger in one SQLite file of the store's folder, which all web servers write to."""

from typing import Final

from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.ledger import api_tokens, audit, failure_notes, jobs, queue_samples, reruns, saved_searches
from flower.store.sqlite.ledger.api_tokens import SqliteApiTokens, SqliteSecrets
from flower.store.sqlite.ledger.audit import SqliteAudit
from flower.store.sqlite.ledger.database import LedgerDatabase
from flower.store.sqlite.ledger.failure_notes import SqliteFailureNotes
from flower.store.sqlite.ledger.jobs import SqliteJobs
from flower.store.sqlite.ledger.queue_samples import SqliteQueueSamples
from flower.store.sqlite.ledger.reruns import SqliteReruns
from flower.store.sqlite.ledger.saved_searches import SqliteSavedSearches

_PARTS: Final = (audit, api_tokens, reruns, jobs, queue_samples, saved_searches, failure_notes)


class SqliteLedger:
    def __init__(self, folder: StoreDirectory) -> None:
        self._file = LedgerDatabase(folder, [table for part in _PARTS for table in part.TABLES])
        self._audit = SqliteAudit(self._file)
        self._tokens = SqliteApiTokens(self._file)
        self._secrets = SqliteSecrets(self._file)
        self._reruns = SqliteReruns(self._file)
        self._jobs = SqliteJobs(self._file)
        self._samples = SqliteQueueSamples(self._file)
        self._searches = SqliteSavedSearches(self._file)
        self._failures = SqliteFailureNotes(self._file)

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

    def close(self) -> None:
        self._file.close()
