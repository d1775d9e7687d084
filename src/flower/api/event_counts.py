"""Cache of event counts by worker and event type, as the recorder counted them."""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from flower.counters import CounterKey, TaskCounters
from flower.store.protocols import Reader


class EventCountCache:
    """Pages ask every second: only what has changed since is read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sequence = 0
        self._tallies: dict[str, dict[CounterKey, TaskCounters]] = defaultdict(dict)
        self._counts: dict[str, Mapping[str, int]] = {}

    def by_worker(self, store: Reader) -> Mapping[str, Mapping[str, int]]:
        """By worker and type of event; what never happened is left out, as in Flower. Raises StoreError."""
        with self._lock:
            found = store.counters(self._sequence)
            if found.is_snapshot:
                self._tallies.clear()
                self._counts = {}
            self._apply_changes(found.changed)
            self._sequence = found.sequence
            return self._counts.copy()

    def _apply_changes(self, changed: Sequence[TaskCounters]) -> None:
        touched = set()
        for tally in changed:
            if tally.worker is not None:
                self._tallies[tally.worker][tally.key] = tally
                touched.add(tally.worker)
        for worker in touched:
            counts: Counter[str] = Counter()
            for tally in self._tallies[worker].values():
                counts.update({kind: count for kind, (count, _) in tally.events.items()})
            self._counts[worker] = dict(counts)
