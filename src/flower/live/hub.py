"""Everybody who listens, and the one loop that follows the store for all of them. It runs while somebody does."""

import asyncio
import logging
import time
from typing import Final

from flower.errors import BackendUnavailable, FlowerError
from flower.live.changes import read_latest_sequence
from flower.live.filters import StreamBackend
from flower.live.messages import MessageBuilder, StreamMessage, StreamRequest
from flower.live.sse import format_event
from flower.live.status_tracker import StatusTracker, WorkerTracker, read_due_status
from flower.live.subscription import STATUS_MESSAGE_INTERVAL, Subscription

log = logging.getLogger(__name__)

#: Streams at once.
MAX_SUBSCRIBERS: Final = 500

#: Seconds between two looks at the change sequence (a twentieth of a millisecond each), and after one that failed.
POLL_INTERVAL: Final = 0.05
RETRY_DELAY: Final = 1.0


class Hub:
    """Everything but the reads happens in one event loop."""

    def __init__(self) -> None:
        self._subscriptions: dict[Subscription, None] = {}
        self._poll_task: asyncio.Task[None] | None = None
        self._close_reason = ""
        self._message_builder = MessageBuilder()
        self._worker_tracker = WorkerTracker()
        self._status_tracker = StatusTracker()
        self._last_error = ""

    def __len__(self) -> int:
        return len(self._subscriptions)

    async def position(self, source: StreamBackend) -> int:
        """How far the change sequence has come. Raises StoreError."""
        return await source.run_in_thread(lambda: read_latest_sequence(source.recorded_reader))

    def subscribe(self, source: StreamBackend, subscription: Subscription) -> None:
        """From now on it is told, until `remove`. Raises Unavailable if there are too many."""
        if self._close_reason:
            subscription.close(self._close_reason)
            return
        if len(self._subscriptions) >= MAX_SUBSCRIBERS:
            raise BackendUnavailable(
                f"{MAX_SUBSCRIBERS} streams are open, and that is all there may be", hint="close some, try later"
            )
        self._subscriptions[subscription] = None
        if (
            self._poll_task is None
            or self._poll_task.done()
            or self._poll_task.get_loop() is not asyncio.get_running_loop()
        ):
            self._poll_task = asyncio.create_task(self._poll_loop(source))

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription, None)
        if not self._subscriptions and self._poll_task is not None:
            self._poll_task.cancel()
            self._poll_task = None

    def close(self, reason: str) -> None:
        """End all streams, and those that are still to come."""
        self._close_reason = reason
        for subscription in self._subscriptions:
            subscription.close(reason)

    async def _poll_loop(self, source: StreamBackend) -> None:
        while True:
            began = time.monotonic()
            well = await self._poll_once_safely(source)
            pause = POLL_INTERVAL if well else RETRY_DELAY
            await asyncio.sleep(max(pause - (time.monotonic() - began), pause / 2))

    async def _poll_once_safely(self, source: StreamBackend) -> bool:
        """A step; what goes wrong is logged once, and tried again."""
        try:
            await self._poll_once(source)
        except Exception as error:  # whatever it is, the others must not be left without news for ever
            if str(error) != self._last_error:
                known = isinstance(error, FlowerError)
                log.warning("Live pages are not told of changes: %s", error, exc_info=not known)
            self._last_error = str(error)
            return False
        self._last_error = ""
        return True

    async def _poll_once(self, source: StreamBackend) -> None:
        now = time.monotonic()
        ready = [each for each in self._subscriptions if each.is_ready]
        if not ready:
            return
        # those that waited longest first, for not all may be served at once
        hungry = sorted((each for each in ready if each.is_tasks_message_due(now)), key=lambda each: each.tasks_sent_at)
        asks = list(
            dict.fromkeys(
                StreamRequest(each.position, each.stream_filter) for each in hungry if each.stream_filter is not None
            )
        )
        workers = any(each.wants_workers for each in ready) and self._worker_tracker.is_due(now)
        status = any(each.wants_status for each in ready) and self._status_tracker.is_due(now)
        (head, told), (found, said) = await source.run_in_thread(
            lambda: (
                self._message_builder.build(source, asks, time.time()),
                read_due_status(source, workers=workers, status=status, now=time.time()),
            )
        )
        if found is not None:
            self._worker_tracker.update(found, now)
        if said is not None:
            self._status_tracker.update(said, now)
        for each in ready:
            if each.is_ready:  # it may have left meanwhile, or be busy with itself
                self._publish(each, head, told, now)

    def _publish(self, each: Subscription, head: int, told: dict[StreamRequest, StreamMessage], now: float) -> None:
        """Give it what there is for it, as one piece."""
        parts: list[bytes] = []
        if each.stream_filter is None:
            each.position = head
        elif (answer := told.get(StreamRequest(each.position, each.stream_filter))) is not None:
            each.position = answer.sequence
            if answer.message:
                each.tasks_sent_at = now
                parts.append(answer.message)
        if each.wants_workers and each.workers_version < self._worker_tracker.version:
            changed = self._worker_tracker.encode_since(each.workers_version)
            each.workers_version = self._worker_tracker.version
            if changed:
                parts.append(format_event("workers", changed, each.position))
        news = (
            each.status_version < self._status_tracker.version or now - each.status_sent_at >= STATUS_MESSAGE_INTERVAL
        )
        if each.wants_status and self._status_tracker.version and news:
            each.status_version, each.status_sent_at = self._status_tracker.version, now
            parts.append(format_event("status", self._status_tracker.status_text.json_text, each.position))
        if parts:
            each.publish(b"".join(parts))
