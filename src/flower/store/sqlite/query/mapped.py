"""How much of the files is seen as our memory. Mapped pages belong to the system, which takes them back when it needs
them; but until then they count as ours, and who watches the process cannot tell the difference."""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

#: Bytes of files that may be mapped before columns are let go, which costs little ...
MAX_MAPPED_COLUMNS: Final = 96 << 20
#: ... and before the text index is closed, which must be opened again for the next search.
MAX_MAPPED_TEXT: Final = 160 << 20
_CHECK_INTERVAL: Final = 0.1
_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")


def read_mapped_bytes() -> int:
    """Of this process, what it shares with files; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(200).split()[2]) * _PAGE_SIZE
    except (OSError, ValueError, IndexError):
        return 0


class MappedMemoryLimiter:
    """Lets go when much is mapped; looks now and then."""

    def __init__(self, columns: Callable[[], None], text: Callable[[], None]) -> None:
        self._steps = ((MAX_MAPPED_COLUMNS, columns), (MAX_MAPPED_TEXT, text))
        self._next = 0.0
        self._lock = threading.Lock()

    def trim(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if (now < self._next and not at_once) or not self._lock.acquire(blocking=False):
            return
        try:
            self._next = now + _CHECK_INTERVAL
            for most, let_go in self._steps:
                if read_mapped_bytes() <= most:
                    return
                let_go()
        finally:
            self._lock.release()
