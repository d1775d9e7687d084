"""What actions are done with."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flower.redaction import Redactor
from flower.store.ledger import Ledger
from flower.store.port import Reader

if TYPE_CHECKING:
    from celery import Celery


@dataclass(frozen=True, slots=True)
class ActionContext:
    """The records, the application, the ledger where it is noted (None: nowhere), and the rules of what is masked."""

    store: Reader
    app: "Celery"
    ledger: Ledger | None = None
    redactor: Redactor = field(default_factory=Redactor)
