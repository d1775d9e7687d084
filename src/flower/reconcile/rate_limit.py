"""Token bucket."""

import time
from collections.abc import Callable


class TokenBucket:
    """Permits `rate` units per second on average and `burst` at once. For one thread."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens = burst
        self._at = clock()

    def take(self, units: float = 1.0) -> float:
        """Take units, which may be more than a burst; return the seconds to wait before they may be used."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= units
        return max(0.0, -self._tokens / self._rate)
