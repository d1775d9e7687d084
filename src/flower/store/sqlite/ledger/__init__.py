"""The ledger in one SQLite file of the store's folder, which all web servers write to."""

from typing import Final

from flower.store.sqlite.folder import Folder
from flower.store.sqlite.ledger import audit, failures, jobs, reruns, samples, searches, secrets, tokens
from flower.store.sqlite.ledger.audit import SqliteAudit
from flower.store.sqlite.ledger.failures import SqliteFailureNotes
from flower.store.sqlite.ledger.file import LedgerFile
from flower.store.sqlite.ledger.jobs import SqliteJobs
from flower.store.sqlite.ledger.reruns import SqliteReruns
from flower.store.sqlite.ledger.samples import SqliteSamples
from flower.store.sqlite.ledger.searches import SqliteSearches
from flower.store.sqlite.ledger.secrets import SqliteSecrets
from flower.store.sqlite.ledger.tokens import SqliteTokens

_PARTS: Final = (audit, tokens, secrets, reruns, jobs, samples, searches, failures)


class SqliteLedger:
    def __init__(self, folder: Folder) -> None:
        self._file = LedgerFile(folder, [table for part in _PARTS for table in part.TABLES])
        self._audit = SqliteAudit(self._file)
        self._tokens = SqliteTokens(self._file)
        self._secrets = SqliteSecrets(self._file)
        self._reruns = SqliteReruns(self._file)
        self._jobs = SqliteJobs(self._file)
        self._samples = SqliteSamples(self._file)
        self._searches = SqliteSearches(self._file)
        self._failures = SqliteFailureNotes(self._file)

    @property
    def audit(self) -> SqliteAudit:
        return self._audit

    @property
    def tokens(self) -> SqliteTokens:
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
    def samples(self) -> SqliteSamples:
        return self._samples

    @property
    def searches(self) -> SqliteSearches:
        return self._searches

    @property
    def failures(self) -> SqliteFailureNotes:
        return self._failures

    def close(self) -> None:
        self._file.close()
