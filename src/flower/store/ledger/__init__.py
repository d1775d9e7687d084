"""Protocols and records of the ledger: data written by users and web servers, beside the tasks of the recorder. Any
number of web servers write to it at the same time.

api_tokens      API tokens and secrets of the servers
audit           audit log
failure_notes   decisions on failure groups, and when each group was first seen
gap_dismissals  gaps that were dismissed
jobs            bulk jobs and their leases
queue_samples   samples of queue lengths
reruns          links between tasks and their re-runs
saved_searches  saved searches
sessions        ended sessions

There is one implementation, `flower.store.sqlite.ledger`. The protocols exist because a second one, on a shared
database server, is planned.
"""

from typing import Protocol

from flower.store.ledger.api_tokens import ApiTokens, Secrets
from flower.store.ledger.audit import Audit
from flower.store.ledger.failure_notes import FailureNotes
from flower.store.ledger.gap_dismissals import GapDismissals
from flower.store.ledger.jobs import Jobs
from flower.store.ledger.queue_samples import QueueSamples
from flower.store.ledger.reruns import Reruns
from flower.store.ledger.saved_searches import SavedSearches
from flower.store.ledger.sessions import EndedSessions


class Ledger(Protocol):
    """Every method of every part can be called from any thread, and may take as long as a write to disk. All methods
    raise StoreError, including StoreFull."""

    @property
    def audit(self) -> Audit: ...

    @property
    def tokens(self) -> ApiTokens: ...

    @property
    def secrets(self) -> Secrets: ...

    @property
    def reruns(self) -> Reruns: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def queue_samples(self) -> QueueSamples: ...

    @property
    def saved_searches(self) -> SavedSearches: ...

    @property
    def failure_notes(self) -> FailureNotes: ...

    @property
    def gap_dismissals(self) -> GapDismissals: ...

    @property
    def sessions(self) -> EndedSessions: ...

    def close(self) -> None: ...
