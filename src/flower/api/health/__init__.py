"""Health of the cluster, the recorder and the store.

    models     `Health` and `HealthIssue`: the result
    snapshot   the input of the rules, read from store and ledger at one moment
    rules      one small function for each kind of issue
    gap_rules  rules about missed events
    messages   titles and details of issues
    remedies   causes and remedies that `flower doctor` states too
"""  # fmt: skip

import time

from flower.api.health.models import Health, HealthIssue
from flower.api.health.rules import evaluate_health
from flower.api.health.snapshot import collect_snapshot
from flower.api.query_params import ReaderLike, get_reader
from flower.api.queues import QueueNameCache, compute_rates
from flower.store.ledger import Ledger

__all__ = ["Health", "HealthIssue", "health"]


def health(source: ReaderLike = None, ledger: Ledger | None = None) -> Health:
    """The health according to these records (see `flower.api.queries` for `source`). With a ledger, queues are checked
    as well, and failure groups that are resolved or muted are left out. Raises NotFound, DeadlineExceeded,
    StoreError."""
    store = get_reader(source)
    if ledger is None:
        return evaluate_health(collect_snapshot(store))
    now = time.time()
    rates = compute_rates(store, ledger, QueueNameCache().get(store), now)
    return evaluate_health(collect_snapshot(store, ledger, rates=rates, now=now))
