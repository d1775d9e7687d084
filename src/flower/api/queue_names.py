"""Names of queues that recent tasks came by: asked of the store now and then, for it is a question about many."""

import threading
import time
from typing import Final

from flower.errors import FlowerError
from flower.search.syntax import parse
from flower.store.port import Reader

#: Tasks of the last day; a queue that was given up is not asked for ever.
_RECENT: Final = "sent:>-1d"
_EVERY: Final = 60.0
MOST: Final = 500


class QueueNames:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._until = 0.0

    def of(self, store: Reader) -> frozenset[str]:
        """At most MOST of them, the busiest. A store that cannot answer in time leaves what was known."""
        with self._lock:
            if time.monotonic() >= self._until:
                try:
                    found = store.facets(parse(_RECENT), ("queue",), limit=MOST).facets["queue"]
                    self._names = frozenset(str(each.value) for each in found.values if each.value)
                except FlowerError:
                    pass
                self._until = time.monotonic() + _EVERY
            return self._names
