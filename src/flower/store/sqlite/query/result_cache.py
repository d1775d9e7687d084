"""LRU cache of the results of single segments."""

import threading
from collections.abc import Hashable
from operator import itemgetter
from typing import Any, Final

from cachetools import LRUCache

#: approximate bytes of large results, such as masks of rows ...
MAX_LARGE_BYTES: Final = 24 << 20
#: ... and of small results, such as counts and word ids
MAX_SMALL_BYTES: Final = 8 << 20
#: bytes of a result above which it is large
_MAX_SMALL_RESULT: Final = 4_096
#: approximate bytes of a key and its entry
_ENTRY_OVERHEAD: Final = 300


class ResultCache:
    """Results by key. A key contains the change sequence of its segment, so that a result never becomes invalid.

    Large and small results have separate limits: a search that caches many rows does not evict a thousand counts that
    took long to compute. Thread-safe.
    """

    def __init__(self, max_large_bytes: int = MAX_LARGE_BYTES, max_small_bytes: int = MAX_SMALL_BYTES) -> None:
        self._lock = threading.Lock()
        self._large: LRUCache[Hashable, tuple[Any, int]] = LRUCache(max_large_bytes, getsizeof=itemgetter(1))
        self._small: LRUCache[Hashable, tuple[Any, int]] = LRUCache(max_small_bytes, getsizeof=itemgetter(1))

    def get(self, key: Hashable) -> Any:
        """Return the result; None if it is not cached."""
        with self._lock:
            entry = self._small.get(key) or self._large.get(key)
        return None if entry is None else entry[0]

    def put(self, key: Hashable, result: Any, size: int = 0) -> None:
        """Cache a result, unless it exceeds an eighth of the limit. `size`: bytes of the result, if more than a few."""
        is_small = size <= _MAX_SMALL_RESULT
        region, other = (self._small, self._large) if is_small else (self._large, self._small)
        size += _ENTRY_OVERHEAD
        if size <= region.maxsize // 8:
            with self._lock:
                region[key] = (result, size)
                other.pop(key, None)  # an earlier result of another size
