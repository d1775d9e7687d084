"""What actions are done with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flower.store.ledger import Ledger
from flower.store.port import Reader

if TYPE_CHECKING:
    from celery import Celery


@dataclass(frozen=True, slots=True)
class Means:
    """The records, the application, and the ledger in which it is noted (None: nowhere)."""

    store: Reader
    app: "Celery"
    ledger: Ledger | None = None
