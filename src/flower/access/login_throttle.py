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

_WINDOW_MINUTES: Final = 5
PAIR_LIMIT: Final = RateLimitItemPerMinute(10, _WINDOW_MINUTES, namespace="pair")
ADDRESS_LIMIT: Final = RateLimitItemPerMinute(50, _WINDOW_MINUTES, namespace="address")
USER_LIMIT: Final = RateLimitItemPerMinute(100, _WINDOW_MINUTES, namespace="user")

#: Users at addresses that have logged in.
_MAX_KNOWN_PAIRS: Final = 10_000


class LoginThrottle:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._known_pairs: OrderedDict[str, None] = OrderedDict()

    def retry_after(self, name: str, address: str) -> int:
        """Seconds until the next attempt; 0 if it may be made now."""
        pair = _hash_key(name, address)
        asked = [(PAIR_LIMIT, pair)]
        if pair not in self._known_pairs:
            asked += [(ADDRESS_LIMIT, _hash_key(address)), (USER_LIMIT, _hash_key(name))]
        return max(self._retry_after(item, key) for item, key in asked)

    def record_failure(self, name: str, address: str) -> None:
        for item, key in (
            (PAIR_LIMIT, _hash_key(name, address)),
            (ADDRESS_LIMIT, _hash_key(address)),
            (USER_LIMIT, _hash_key(name)),
        ):
            self._limiter.hit(item, key)

    def record_success(self, name: str, address: str) -> None:
        pair = _hash_key(name, address)
        self._known_pairs[pair] = None
        self._known_pairs.move_to_end(pair)
        if len(self._known_pairs) > _MAX_KNOWN_PAIRS:
            self._known_pairs.popitem(last=False)

    def _retry_after(self, item: RateLimitItem, key: str) -> int:
        if self._limiter.test(item, key):
            return 0
        return max(1, round(self._limiter.get_window_stats(item, key).reset_time - time.time() + 0.5))


def _hash_key(*parts: str) -> str:
    """Names come from strangers, and may be long."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
