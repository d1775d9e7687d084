"""Rate limit of failed logins.

Failures within five minutes are counted in memory per user and address, per address, and per user. Beyond a limit no
password is checked, so that an attacker learns nothing. An attempt counts as a failure from its start until it has
succeeded: parallel attempts cannot pass a limit together. For a user and address that have logged in before, only the
first limit applies: attackers at the same address, or elsewhere with the same user name, cannot lock that user out.
"""

import hashlib
import time
from collections import Counter, OrderedDict
from typing import Final, Literal, TypeAlias

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from flower.client_network import client_network

_WINDOW_MINUTES: Final = 5
PAIR_LIMIT: Final = RateLimitItemPerMinute(10, _WINDOW_MINUTES, namespace="pair")
ADDRESS_LIMIT: Final = RateLimitItemPerMinute(50, _WINDOW_MINUTES, namespace="address")
USER_LIMIT: Final = RateLimitItemPerMinute(100, _WINDOW_MINUTES, namespace="user")

#: Seconds until the next attempt if other attempts, whose result is not known yet, have reached a limit.
_PENDING_RETRY: Final = 2

#: Pairs of user and address that have logged in before.
_MAX_KNOWN_PAIRS: Final = 10_000

#: success    the credentials are right
#: failure    they are wrong
#: abandoned  they were not checked
AttemptOutcome: TypeAlias = Literal["success", "failure", "abandoned"]


class LoginThrottle:
    """Used by one event loop; not thread-safe."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        #: attempts without an outcome, by limit and key
        self._pending: Counter[tuple[RateLimitItem, str]] = Counter()
        self._known_pairs: OrderedDict[str, None] = OrderedDict()

    def retry_after(self, name: str, address: str) -> int:
        """Seconds until the next attempt is allowed; 0 for now."""
        pair, *others = _limit_keys(name, address)
        limits = [pair] if pair[1] in self._known_pairs else [pair, *others]
        return max(self._retry_after(*each) for each in limits)

    def start_attempt(self, name: str, address: str) -> int:
        """0 if the attempt may be made: it must end with `end_attempt`. Otherwise seconds until the next attempt."""
        retry_after = self.retry_after(name, address)
        if not retry_after:
            self._pending.update(_limit_keys(name, address))
        return retry_after

    def end_attempt(self, name: str, address: str, outcome: AttemptOutcome) -> None:
        for limit, key in _limit_keys(name, address):
            self._pending[limit, key] -= 1
            if self._pending[limit, key] <= 0:
                del self._pending[limit, key]
            if outcome == "failure":
                self._limiter.hit(limit, key)
        if outcome == "success":
            self.record_success(name, address)

    def record_success(self, name: str, address: str) -> None:
        pair = _hash_key(name, client_network(address))
        self._known_pairs[pair] = None
        self._known_pairs.move_to_end(pair)
        if len(self._known_pairs) > _MAX_KNOWN_PAIRS:
            self._known_pairs.popitem(last=False)

    def _retry_after(self, limit: RateLimitItem, key: str) -> int:
        window = self._limiter.get_window_stats(limit, key)
        if window.remaining <= 0:
            return max(1, round(window.reset_time - time.time() + 0.5))
        return _PENDING_RETRY if self._pending[limit, key] >= window.remaining else 0


def _limit_keys(name: str, address: str) -> tuple[tuple[RateLimitItem, str], ...]:
    network = client_network(address)
    return (
        (PAIR_LIMIT, _hash_key(name, network)),
        (ADDRESS_LIMIT, _hash_key(network)),
        (USER_LIMIT, _hash_key(name)),
    )


def _hash_key(*parts: str) -> str:
    """A hash of fixed size: names are sent by unauthenticated clients and can be long."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
