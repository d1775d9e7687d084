"""Rate limit of failed logins.

Failures within five minutes are counted in memory per user and address, per address, and per user. Beyond a limit no
password is checked, so that an attacker learns nothing. For a user and address that have logged in before, only the
first limit applies: attackers at the same address, or elsewhere with the same user name, cannot lock that user out.
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

#: Pairs of user and address that have logged in before.
_MAX_KNOWN_PAIRS: Final = 10_000


class LoginThrottle:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._known_pairs: OrderedDict[str, None] = OrderedDict()

    def retry_after(self, name: str, address: str) -> int:
        """Seconds until the next attempt is allowed; 0 for now."""
        pair = _hash_key(name, address)
        limits = [(PAIR_LIMIT, pair)]
        if pair not in self._known_pairs:
            limits += [(ADDRESS_LIMIT, _hash_key(address)), (USER_LIMIT, _hash_key(name))]
        return max(self._retry_after(limit, key) for limit, key in limits)

    def record_failure(self, name: str, address: str) -> None:
        for limit, key in (
            (PAIR_LIMIT, _hash_key(name, address)),
            (ADDRESS_LIMIT, _hash_key(address)),
            (USER_LIMIT, _hash_key(name)),
        ):
            self._limiter.hit(limit, key)

    def record_success(self, name: str, address: str) -> None:
        pair = _hash_key(name, address)
        self._known_pairs[pair] = None
        self._known_pairs.move_to_end(pair)
        if len(self._known_pairs) > _MAX_KNOWN_PAIRS:
            self._known_pairs.popitem(last=False)

    def _retry_after(self, limit: RateLimitItem, key: str) -> int:
        if self._limiter.test(limit, key):
            return 0
        return max(1, round(self._limiter.get_window_stats(limit, key).reset_time - time.time() + 0.5))


def _hash_key(*parts: str) -> str:
    """A hash of fixed size: names are sent by unauthenticated clients and can be long."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
