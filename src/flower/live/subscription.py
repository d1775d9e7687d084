"""One subscriber with a mailbox of one message. A slow consumer skips messages and catches up from the change log of
the store, so that no queue grows in memory."""

import asyncio
from typing import Final

from flower.live.filters import StreamFilter

#: Minimum seconds between two messages about tasks.
TASKS_MESSAGE_INTERVAL: Final = 0.25
#: Seconds between two messages about the state of store and recorder while nothing changes.
STATUS_MESSAGE_INTERVAL: Final = 2.0


class SubscriptionClosed(Exception):
    """The stream has ended; the message is the reason."""


class Subscription:
    """`position` is the number of the change sequence up to which all changes were sent. `stream_filter` is None for a
    subscriber that does not receive tasks. `client` is what the limit of streams counts as one client."""

    def __init__(
        self,
        position: int,
        stream_filter: StreamFilter | None,
        *,
        client: str = "",
        wants_workers: bool = False,
        wants_status: bool = False,
    ) -> None:
        self.position = position
        self.stream_filter = stream_filter
        self.client = client
        self.wants_workers = wants_workers
        self.wants_status = wants_status
        #: last version of the workers that was sent; 0 is older than any version
        self.workers_version = 0
        #: last version of the status that was sent, and when
        self.status_version = 0
        self.status_sent_at = float("-inf")
        self.tasks_sent_at = float("-inf")
        self._pending_message: asyncio.Future[bytes] | None = None
        self._close_reason = ""

    @property
    def is_ready(self) -> bool:
        """Whether the last message was taken and the subscriber waits for the next one."""
        return self._pending_message is not None and not self._pending_message.done()

    def is_tasks_message_due(self, now: float) -> bool:
        return self.stream_filter is not None and now - self.tasks_sent_at >= TASKS_MESSAGE_INTERVAL

    async def next_message(self, timeout: float) -> bytes:
        """The next message; empty if there was none within `timeout` seconds. Raises SubscriptionClosed."""
        if self._close_reason:
            raise SubscriptionClosed(self._close_reason)
        pending = self._pending_message = asyncio.get_running_loop().create_future()
        try:
            # not `wait_for`, which may drop a message that arrives at the moment of the timeout
            await asyncio.wait([pending], timeout=max(0.0, timeout))
            return pending.result() if pending.done() else b""
        finally:
            self._pending_message = None

    def publish(self, message: bytes) -> None:
        """Deliver a message; ignored unless the subscriber `is_ready`."""
        if self._pending_message is not None and not self._pending_message.done():
            self._pending_message.set_result(message)

    def close(self, reason: str) -> None:
        self._close_reason = self._close_reason or reason
        if self._pending_message is not None and not self._pending_message.done():
            self._pending_message.set_exception(SubscriptionClosed(reason))
