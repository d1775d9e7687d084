"""Whether anything is wrong, in words: `signs` gathers what is known, `rules` are small functions of it, `report` puts
what they say in order."""

import time

from flower.api.health.models import Health, HealthIssue
from flower.api.health.rules import evaluate_health
from flower.api.health.snapshot import collect_snapshot
from flower.api.query_params import ReaderLike, get_reader
from flower.api.queue_names import QueueNameCache
from flower.api.queue_rates import compute_rates
from flower.store.ledger import Ledger

__all__ = ["Health", "HealthIssue", "health"]


def health(source: ReaderLike = None, ledger: Ledger | None = None) -> Health:
    """Whether anything is wrong with what these records tell of (see `questions` for `source`). With a ledger also of
    queues, and of what people said of failures. Raises NotFound, WaitedTooLong, StoreError."""
    store = get_reader(source)
    if ledger is None:
        return evaluate_health(collect_snapshot(store))
    now = time.time()
    rates = compute_rates(store, ledger, QueueNameCache().get(store), now)
    return evaluate_health(collect_snapshot(store, ledger, rates=rates, now=now))
