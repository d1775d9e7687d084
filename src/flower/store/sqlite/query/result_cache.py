"""LRU cache of the results of single segments."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

#: approximate bytes of large results, such as masks of rows ...
MAX_LARGE_BYTES: Final = 32 << 20
#: ... and of small results, such as counts and word ids
MAX_SMALL_BYTES: Final = 8 << 20
#: bytes of a result above which it is large
_MAX_SMALL_RESULT: Final = 4_096
#: approximate bytes of a key and its entry
_ENTRY_OVERHEAD: Final = 300


class ResultCache:
    """Results by key; a key contains the change sequence of its segment, so that a result never becomes invalid.

    Large and small results have separate limits: a search that caches many rows does not evict a thousand counts that
    took long to compute.
    """

    def __init__(self, max_large_bytes: int = MAX_LARGE_BYTES, max_small_bytes: int = MAX_SMALL_BYTES) -> None:
        self._large = _LruRegion(max_large_bytes)
        self._small = _LruRegion(max_small_bytes)

    def get(self, key: Hashable) -> Any:
        cached = self._small.get(key)
        return self._large.get(key) if cached is None else cached

    def put(self, key: Hashable, result: Any, size: int = 0) -> None:
        """`size`: bytes of the result, if more than a few."""
        (self._small if size <= _MAX_SMALL_RESULT else self._large).put(key, result, size + _ENTRY_OVERHEAD)


class _LruRegion:
    """The least recently used result is evicted first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        with self._lock:
            cached = self._entries.get(key)
            if cached is None:
                return None
            self._entries.move_to_end(key)
            return cached[0]

    def put(self, key: Hashable, result: Any, size: int) -> None:
        if size > self._max_bytes // 8:
            return
        with self._lock:
            previous = self._entries.pop(key, None)
            self._used_bytes += size - (previous[1] if previous else 0)
            self._entries[key] = (result, size)
            while self._used_bytes > self._max_bytes:
                _, (_, evicted_size) = self._entries.popitem(last=False)
                self._used_bytes -= evicted_size
