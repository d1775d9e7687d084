"""The depths of the queues now, shared by all pages and by metrics: the broker is requested once for all of them."""

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flower.api.queues import get_current_samples
from flower.store.ledger.queue_samples import QueueSample

if TYPE_CHECKING:
    from flower.api.context import Context  # which contains the cache

#: Seconds for which samples are shared, so that many pages cost the broker one request per second.
MAX_SHARED_AGE: Final = 1.0
#: Seconds between two requests to the broker while metrics are in use.
REFRESH_INTERVAL: Final = 2.0
#: The largest share of the time that these requests may take: hundreds of queues are read less often.
REFRESH_SHARE: Final = 0.05
#: Seconds after which metrics use the recorded samples instead.
MAX_AGE: Final = 4.0


class QueueDepths:
    """In one event loop; `latest` is thread-safe."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._duration = 0.0
        self._samples: Sequence[QueueSample] = ()
        self._pending: asyncio.Task[Sequence[QueueSample]] | None = None

    async def get(self, context: "Context") -> Sequence[QueueSample]:
        """The depths of now or of the last second. Raises NotFound for a broker without statistics,
        BackendUnavailable."""
        if time.monotonic() - self._read_at < MAX_SHARED_AGE:
            return self._samples
        pending = self._pending
        if pending is None or pending.done() or pending.get_loop() is not asyncio.get_running_loop():
            pending = self._pending = asyncio.create_task(self._read(context))
        # a request that is cancelled does not cancel that of the others
        return await asyncio.shield(pending)

    async def _read(self, context: "Context") -> Sequence[QueueSample]:
        started_at = time.monotonic()
        self._samples = await get_current_samples(context)
        self._read_at, self._duration = started_at, time.monotonic() - started_at
        return self._samples

    @property
    def is_refresh_due(self) -> bool:
        return time.monotonic() - self._read_at >= self._duration / REFRESH_SHARE

    def latest(self) -> Sequence[QueueSample] | None:
        """The last samples, None if they are older than `MAX_AGE`."""
        return self._samples if time.monotonic() - self._read_at < MAX_AGE else None


async def refresh_queue_depths(context: "Context") -> None:
    """Keep the depths of metrics up to date while metrics are in use."""
    if context.metrics.is_in_use and context.queue_depths.is_refresh_due:
        await context.queue_depths.get(context)
