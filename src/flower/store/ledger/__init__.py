"""The port of the ledger: what people do, and what the web servers note. Beside the recorder's store and written by any
number of web servers at the same time; one file of this folder for each kind of thing."""

from typing import Protocol

from flower.store.ledger.api_tokens import ApiTokens, Secrets
from flower.store.ledger.audit import Audit
from flower.store.ledger.failure_notes import FailureNotes
from flower.store.ledger.jobs import Jobs
from flower.store.ledger.queue_samples import QueueSamples
from flower.store.ledger.reruns import Reruns
from flower.store.ledger.saved_searches import SavedSearches


class Ledger(Protocol):
    """Every method of every part may be called from any thread, and may take as long as a write to disk. They raise
    StoreError, StoreFull among them."""

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

    def close(self) -> None: ...
