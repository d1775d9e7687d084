"""How often somebody may fail to log in.

Failures are counted for a user at an address, for an address and for a user, within five minutes, in memory. Beyond the
limits nothing is checked any more, right or wrong, so that guessing gives nothing. Where a user has logged in before
only the first limit holds: neither a neighbour behind the same address nor somebody far away who tries this name all
day can lock that user out.
"""

import hashlib
import time
from collections import OrderedDict
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

_MINUTES: Final = 5
PAIR: Final = RateLimitItemPerMinute(10, _MINUTES, namespace="pair")
ADDRESS: Final = RateLimitItemPerMinute(50, _MINUTES, namespace="address")
USER: Final = RateLimitItemPerMinute(100, _MINUTES, namespace="user")

#: Users at addresses that have logged in.
_KNOWN: Final = 10_000


class Attempts:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, name: str, address: str) -> int:
        """Seconds until the next attempt; 0 if it may be made now."""
        pair = _key(name, address)
        asked = [(PAIR, pair)]
        if pair not in self._known:
            asked += [(ADDRESS, _key(address)), (USER, _key(name))]
        return max(self._wait(item, key) for item, key in asked)

    def failed(self, name: str, address: str) -> None:
        for item, key in ((PAIR, _key(name, address)), (ADDRESS, _key(address)), (USER, _key(name))):
            self._limiter.hit(item, key)

    def succeeded(self, name: str, address: str) -> None:
        pair = _key(name, address)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def _wait(self, item: RateLimitItem, key: str) -> int:
        if self._limiter.test(item, key):
            return 0
        return max(1, round(self._limiter.get_window_stats(item, key).reset_time - time.time() + 0.5))


def _key(*parts: str) -> str:
    """Names come from strangers, and may be long."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
