"""Rate limit of log messages that a client can cause in any number."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Seconds in which a message is logged at most `burst` times.
INTERVAL: Final = 60.0


@dataclass(slots=True)
class _Window:
    started_at: float
    passed: int = 0
    suppressed: int = 0


class LogRateLimit(logging.Filter):
    """Passes each message at most `burst` times in `INTERVAL` seconds; the first one after that states how many were
    suppressed. Messages are the same if the first lines of their templates are: asyncio adds lines with the addresses
    of objects. Records with a traceback pass unless `tracebacks` are limited too."""

    def __init__(
        self, burst: int = 1, clock: Callable[[], float] = time.monotonic, *, tracebacks: bool = False
    ) -> None:
        super().__init__()
        self._burst = burst
        self._tracebacks = tracebacks
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or (record.exc_info and not self._tracebacks):
            return True
        now, key = self._clock(), str(record.msg).partition("\n")[0]
        window = self._windows.get(key)
        if window is None or now - window.started_at >= INTERVAL:
            suppressed = window.suppressed if window else 0
            window = self._windows[key] = _Window(now)
            if suppressed:
                record.msg, record.args = f"{record.getMessage()} ({suppressed} similar messages suppressed)", ()
        if window.passed < self._burst:
            window.passed += 1
            return True
        window.suppressed += 1
        return False


def limit_log_rate(logger: logging.Logger, burst: int = 1, *, tracebacks: bool = False) -> None:
    """Limit the messages of a logger; a second call has no effect."""
    if not any(isinstance(each, LogRateLimit) for each in logger.filters):
        logger.addFilter(LogRateLimit(burst, tracebacks=tracebacks))
