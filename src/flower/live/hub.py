"""Publish/subscribe hub: one loop shared by all subscriptions. The loop stops when there are none."""

import asyncio
import logging
import time
from typing import Final

from flower.errors import BackendUnavailable, FlowerError, TooManyRequests
from flower.live.change_watch import ChangeWatch
from flower.live.changes import read_latest_sequence
from flower.live.filters import StreamBackend
from flower.live.messages import MessageBuilder, StreamMessage, StreamRequest
from flower.live.sse import format_event
from flower.live.status_tracker import StatusTracker, WorkerTracker, read_due_status
from flower.live.subscription import CHANGED_STATUS_MESSAGE_INTERVAL, STATUS_MESSAGE_INTERVAL, Subscription

log = logging.getLogger(__name__)

#: Maximum number of streams, and of those of one client: no client can exclude all others.
MAX_SUBSCRIBERS: Final = 500
MAX_SUBSCRIBERS_PER_CLIENT: Final = 100

#: Seconds after which a rejected client may try again.
RETRY_AFTER: Final = 10

#: Pause after a failed step, in seconds.
RETRY_DELAY: Final = 1.0
#: Longest and shortest pause in seconds without a write: messages that depend on the time become due.
MAX_PAUSE: Final = 0.1
MIN_PAUSE: Final = 0.002
#: The largest share of the time that steps may take, so that many subscribers do not occupy the server.
STEP_SHARE: Final = 0.25


class Hub:
    """All of it runs in one event loop, except the reads, which run in threads."""

    def __init__(self) -> None:
        self._subscriptions: dict[Subscription, None] = {}
        self._poll_task: asyncio.Task[None] | None = None
        self._close_reason = ""
        self._message_builder = MessageBuilder()
        self._worker_tracker = WorkerTracker()
        self._status_tracker = StatusTracker()
        self._last_error = ""
        #: the latest sequence number that was read
        self._head = 0

    def __len__(self) -> int:
        return len(self._subscriptions)

    async def position(self, backend: StreamBackend) -> int:
        """The latest number of the change sequence. Raises StoreError."""
        return await backend.run_in_thread(lambda: read_latest_sequence(backend.recorded_reader))

    def subscribe(self, backend: StreamBackend, subscription: Subscription) -> None:
        """Raises TooManyRequests if its client has too many subscriptions, BackendUnavailable if there are too many."""
        if self._close_reason:
            subscription.close(self._close_reason)
            return
        self._check_limits(subscription.client)
        self._subscriptions[subscription] = None
        task = self._poll_task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            self._poll_task = asyncio.create_task(self._poll_loop(backend))

    def _check_limits(self, client: str) -> None:
        hint = "close other streams, or try again later"
        if sum(each.client == client for each in self._subscriptions) >= MAX_SUBSCRIBERS_PER_CLIENT:
            message = f"Too many open streams of one user or address (maximum {MAX_SUBSCRIBERS_PER_CLIENT})"
            raise TooManyRequests(message, hint=hint, retry_after=RETRY_AFTER)
        if len(self._subscriptions) >= MAX_SUBSCRIBERS:
            message = f"Too many open streams (maximum {MAX_SUBSCRIBERS})"
            raise BackendUnavailable(message, hint=hint, retry_after=RETRY_AFTER)

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription, None)
        if not self._subscriptions and self._poll_task is not None:
            self._poll_task.cancel()
            self._poll_task = None

    def close(self, reason: str) -> None:
        """Close all subscriptions; later ones are closed immediately."""
        self._close_reason = reason
        for subscription in self._subscriptions:
            subscription.close(reason)

    async def _poll_loop(self, backend: StreamBackend) -> None:
        with ChangeWatch(backend.recorded_reader.change_signal_path) as watch:
            while True:
                started = time.monotonic()
                succeeded = await self._poll_once_safely(backend)
                duration = time.monotonic() - started
                await asyncio.sleep(duration * (1 / STEP_SHARE - 1) if succeeded else RETRY_DELAY)
                await watch.wait(self._seconds_until_due(time.monotonic()))

    def _seconds_until_due(self, now: float) -> float:
        """Until tasks may be sent that were read too early, at most `MAX_PAUSE`."""
        due_at = (each.tasks_due_at for each in self._subscriptions if each.is_ready and each.position < self._head)
        return min(MAX_PAUSE, max(MIN_PAUSE, min(due_at, default=now + MAX_PAUSE) - now))

    async def _poll_once_safely(self, backend: StreamBackend) -> bool:
        """Whether the step succeeded. The same error is logged once as long as it lasts."""
        try:
            await self._poll_once(backend)
        except Exception as error:  # any error: the loop serves all subscribers and must not end
            if str(error) != self._last_error:
                log.warning("Live updates failed: %s", error, exc_info=not isinstance(error, FlowerError))
            self._last_error = str(error)
            return False
        self._last_error = ""
        return True

    async def _poll_once(self, backend: StreamBackend) -> None:
        now = time.monotonic()
        ready = [subscription for subscription in self._subscriptions if subscription.is_ready]
        if not ready:
            return
        # longest waiting first: not all of them may be served in one step
        due = sorted((each for each in ready if each.tasks_due_at <= now), key=lambda each: each.tasks_due_at)
        requests = list(
            dict.fromkeys(
                StreamRequest(each.position, each.stream_filter) for each in due if each.stream_filter is not None
            )
        )
        workers_due = any(each.wants_workers for each in ready) and self._worker_tracker.is_due(now)
        status_due = any(each.wants_status for each in ready) and self._status_tracker.is_due(now)
        (head, messages), (workers, status) = await backend.run_in_thread(
            lambda: (
                self._message_builder.build(backend, requests, time.time()),
                read_due_status(backend, workers=workers_due, status=status_due, now=time.time()),
            )
        )
        self._head = head
        if workers is not None:
            self._worker_tracker.update(workers, now)
        if status is not None:
            self._status_tracker.update(status, head, now)
        for subscription in ready:
            if subscription.is_ready:  # it may have been closed while the step was read
                self._publish(subscription, head, messages, now)

    def _publish(
        self, subscription: Subscription, head: int, messages: dict[StreamRequest, StreamMessage], now: float
    ) -> None:
        """Send all changes for this subscription as one chunk."""
        parts: list[bytes] = []
        if subscription.stream_filter is None:
            subscription.position = head
        else:
            message = messages.get(StreamRequest(subscription.position, subscription.stream_filter))
            if message is not None:
                subscription.position = message.sequence
                if message.message:
                    subscription.delay_tasks(now, message.changed)
                    parts.append(message.message)
        if subscription.wants_workers and subscription.workers_version < self._worker_tracker.version:
            changed = self._worker_tracker.encode_since(subscription.workers_version)
            subscription.workers_version = self._worker_tracker.version
            if changed:
                parts.append(format_event("workers", changed, subscription.position))
        if subscription.wants_status and self._is_status_due(subscription, now):
            subscription.status_version, subscription.status_sent_at = self._status_tracker.version, now
            subscription.status_sequence = self._status_tracker.sequence
            parts.append(format_event("status", self._status_tracker.status_text.json_text, subscription.position))
        if parts:
            subscription.publish(b"".join(parts))

    def _is_status_due(self, subscription: Subscription, now: float) -> bool:
        version = self._status_tracker.version
        is_new = subscription.status_version < version
        has_changed = subscription.status_sequence < self._status_tracker.sequence
        interval = CHANGED_STATUS_MESSAGE_INTERVAL if has_changed else STATUS_MESSAGE_INTERVAL
        return version > 0 and (is_new or now - subscription.status_sent_at >= interval)
