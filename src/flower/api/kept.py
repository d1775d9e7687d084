"""An answer that is kept for a moment: many browsers ask the same, and it is found out once."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Any thread. Whoever asks while it is being found out waits for it. What is raised is not kept."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: tuple[T, float] | None = None

    def of(self, find_out: Callable[[], T]) -> T:
        with self._lock:
            if self._known is None or time.monotonic() >= self._known[1]:
                self._known = None
                found = find_out()
                self._known = found, time.monotonic() + self._seconds
            return self._known[0]
