"""Bounded queue of password hashes: each takes a processor and 64 MB for a tenth of a second, and unauthenticated
clients request them."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from anyio import CapacityLimiter, to_thread

from flower.client_network import client_network

#: Hashes that are computed in parallel.
MAX_CONCURRENT: Final = 2
#: Hashes that are computed or wait, in all and of one address.
MAX_QUEUED: Final = 20
MAX_QUEUED_PER_ADDRESS: Final = 5

#: Seconds after which a rejected client may try again: the full queue takes about this long.
RETRY_AFTER: Final = 3


class HashQueueFull(Exception):
    """Too many hashes wait."""


class HashQueue:
    """Used by one event loop; not thread-safe."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None
        self._queued: Counter[str] = Counter()

    async def run(self, verify: Callable[[], bool], address: str) -> bool:
        """The result of `verify`, which runs in a thread when its turn comes. Raises HashQueueFull."""
        network = client_network(address)
        if self._queued.total() >= MAX_QUEUED or self._queued[network] >= MAX_QUEUED_PER_ADDRESS:
            raise HashQueueFull
        if self._limiter is None:  # it belongs to an event loop
            self._limiter = CapacityLimiter(MAX_CONCURRENT)
        self._queued[network] += 1
        try:
            return await to_thread.run_sync(verify, limiter=self._limiter)
        finally:
            self._queued[network] -= 1
            if not self._queued[network]:
                del self._queued[network]
