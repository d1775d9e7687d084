"""TTL cache of the queue names that recorded tasks have."""

import threading
import time
from typing import Final

from flower.errors import FlowerError
from flower.search.parser import parse_search
from flower.store.protocols import Reader

#: Tasks of the last day; a queue that was given up is not asked for ever.
_RECENT_QUERY: Final = "sent:>-1d"

_REFRESH_INTERVAL: Final = 60.0

MAX_QUEUE_NAMES: Final = 500


class QueueNameCache:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: frozenset[str] = frozenset()
        self._expires = 0.0

    def get(self, store: Reader) -> frozenset[str]:
        """At most MOST of them, the busiest. A store that cannot answer in time leaves what was known."""
        with self._lock:
            if time.monotonic() >= self._expires:
                try:
                    found = store.facets(parse_search(_RECENT_QUERY), ("queue",), limit=MAX_QUEUE_NAMES).facets["queue"]
                    self._names = frozenset(str(each.value) for each in found.values if each.value)
                except FlowerError:
                    pass
                self._expires = time.monotonic() + _REFRESH_INTERVAL
            return self._names
