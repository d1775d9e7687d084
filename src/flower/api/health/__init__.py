"""Whether anything is wrong, in words: `signs` gathers what is known, `rules` are small functions of it, `report` puts
what they say in order."""

import time

from flower.api.asking import Source, reader_of
from flower.api.health.report import Concern, Health
from flower.api.health.rules import health_of
from flower.api.health.signs import gather
from flower.api.queue_names import QueueNames
from flower.api.queue_rates import rates_at
from flower.store.ledger import Ledger

__all__ = ["Concern", "Health", "health"]


def health(source: Source = None, ledger: Ledger | None = None) -> Health:
    """Whether anything is wrong with what these records tell of (see `questions` for `source`). With a ledger also of
    queues, and of what people said of failures. Raises NotFound, WaitedTooLong, StoreError."""
    store = reader_of(source)
    if ledger is None:
        return health_of(gather(store))
    now = time.time()
    rates = rates_at(store, ledger, QueueNames().of(store), now)
    return health_of(gather(store, ledger, rates=rates, now=now))
