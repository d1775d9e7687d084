"""The statistics of all online workers now, among them the sizes of their pools, which no event contains. Shared by all
pages."""

import asyncio
import time
from typing import TYPE_CHECKING, Final

from flower import cluster
from flower.api.inspection import load_celery_app
from flower.api.thread_pool import run_in_thread
from flower.api.worker_states import read_live_workers
from flower.errors import FlowerError

if TYPE_CHECKING:
    from flower.api.context import Context  # which contains the cache

#: Seconds for which statistics are shared, so that many pages cost the workers one command per second.
MAX_SHARED_AGE: Final = 0.8
#: The largest share of the time that the requests may take: hundreds of workers are inspected less often.
REQUEST_SHARE: Final = 0.25
#: Seconds for which a caller waits; the replies of slow workers are in the next response.
MAX_WAIT: Final = 0.3


class WorkerStats:
    """In one event loop. The replies are stored in `Context.inspections`."""

    def __init__(self) -> None:
        self._requested_at = float("-inf")
        self._duration = 0.0
        self._pending: asyncio.Task[None] | None = None

    async def refresh(self, context: "Context") -> None:
        """Request the statistics unless they are current. An unreachable broker is ignored: the last ones remain."""
        pending = self._pending
        if pending is None or pending.done() or pending.get_loop() is not asyncio.get_running_loop():
            if time.monotonic() - self._requested_at < max(MAX_SHARED_AGE, self._duration / REQUEST_SHARE):
                return
            pending = self._pending = asyncio.create_task(self._request(context))
        await asyncio.wait({pending}, timeout=MAX_WAIT)

    async def _request(self, context: "Context") -> None:
        self._requested_at = started_at = time.monotonic()
        try:
            await self._request_stats(context)
        except FlowerError:
            pass  # reported by the inspection of all workers
        finally:
            self._duration = time.monotonic() - started_at

    async def _request_stats(self, context: "Context") -> None:
        """Raises BackendUnavailable, StoreError."""
        live = await run_in_thread(lambda: read_live_workers(context.store, time.time()))
        names = {each.hostname for each in live}
        inspections = context.inspections
        # the others are waited for by the inspection of all workers
        responding = [name for name, each in inspections.all().items() if name in names and each.is_responding]
        if responding:
            app = await load_celery_app(context)
            stats = await cluster.remote_control.inspect_stats(app, responding, context.inspect_timeout)
            inspections.store_stats(stats)
