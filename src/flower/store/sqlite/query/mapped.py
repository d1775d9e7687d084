"""How much of the files is seen as our memory. Mapped pages belong to the system, which takes them back when it needs
them; but until then they count as ours, and who watches the process cannot tell the difference."""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

#: Bytes of files that may be mapped before they are let go.
MOST: Final = 192 << 20
_EVERY: Final = 0.1
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def mapped_bytes() -> int:
    """Of this process, what it shares with files; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[2]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


class Mapped:
    """Lets go, in the order given, until little is mapped; looks now and then."""

    def __init__(self, *let_go: Callable[[], None]) -> None:
        self._let_go = let_go
        self._next = 0.0
        self._lock = threading.Lock()

    def tidy(self) -> None:
        now = time.monotonic()
        if now < self._next or not self._lock.acquire(blocking=False):
            return
        try:
            self._next = now + _EVERY
            for let_go in self._let_go:
                if mapped_bytes() <= MOST:
                    return
                let_go()
        finally:
            self._lock.release()
