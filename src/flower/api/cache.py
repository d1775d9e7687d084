"""An answer that is kept for a moment: many browsers ask the same, and it is found out once."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlightCache(Generic[T]):
    """Any thread. Whoever asks while it is being found out waits for it. What is raised is not kept."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._cached: tuple[T, float] | None = None

    def get(self, load: Callable[[], T]) -> T:
        with self._lock:
            if self._cached is None or time.monotonic() >= self._cached[1]:
                self._cached = None
                found = load()
                self._cached = found, time.monotonic() + self._seconds
            return self._cached[0]
