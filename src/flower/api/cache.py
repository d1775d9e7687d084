"""TTL cache of one value with single-flight loading: concurrent callers share one computation."""

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from cachetools import TTLCache

T = TypeVar("T")

_KEY: Final = "value"


class SingleFlightCache(Generic[T]):
    """Thread-safe. Callers that arrive during a load wait for its result. Exceptions are not cached."""

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._values: TTLCache[str, T] = TTLCache(maxsize=1, ttl=seconds)

    def get(self, load: Callable[[], T]) -> T:
        """The cached value, or that of `load`, which is called if there is none or if it has expired."""
        with self._lock:
            try:
                return self._values[_KEY]
            except KeyError:
                value = self._values[_KEY] = load()
                return value
