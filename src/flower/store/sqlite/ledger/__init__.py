"""The ledger in one SQLite file of the store's folder, which all web servers write to."""

from typing import Final

from flower.store.sqlite.folder import StoreDirectory
from flower.store.sqlite.ledger import audit, failures, jobs, reruns, samples, searches, secrets, tokens
from flower.store.sqlite.ledger.audit import SqliteAudit
from flower.store.sqlite.ledger.failures import SqliteFailureNotes
from flower.store.sqlite.ledger.file import LedgerDatabase
from flower.store.sqlite.ledger.jobs import SqliteJobs
from flower.store.sqlite.ledger.reruns import SqliteReruns
from flower.store.sqlite.ledger.samples import SqliteQueueSamples
from flower.store.sqlite.ledger.searches import SqliteSavedSearches
from flower.store.sqlite.ledger.secrets import SqliteSecrets
from flower.store.sqlite.ledger.tokens import SqliteApiTokens

_PARTS: Final = (audit, tokens, secrets, reruns, jobs, samples, searches, failures)


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
