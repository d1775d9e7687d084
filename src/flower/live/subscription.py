"""One who listens. Nothing piles up here: whoever has not taken the last message yet is passed over, and what was
written meanwhile comes out of the store's log with the next one."""

import asyncio
from typing import Final

from flower.live.filters import StreamFilter

#: Seconds between two messages about tasks.
TASKS_MESSAGE_INTERVAL: Final = 0.25
#: Seconds between two messages about how store and recorder are, if nothing changes.
STATUS_MESSAGE_INTERVAL: Final = 2.0


class SubscriptionClosed(Exception):
    """The stream is over; the message says why."""


class Subscription:
    """`position` is the number of the change sequence up to which everything was told. `interest` is None for those who
    do not want to hear of tasks."""

    def __init__(
        self,
        position: int,
        stream_filter: StreamFilter | None,
        *,
        wants_workers: bool = False,
        wants_status: bool = False,
    ) -> None:
        self.position = position
        self.stream_filter = stream_filter
        self.wants_workers = wants_workers
        self.wants_status = wants_status
        #: the version of the workers that was told last; they are all newer than 0
        self.workers_version = 0
        #: the version of the status that was told last, and when
        self.status_version = 0
        self.status_sent_at = float("-inf")
        self.tasks_sent_at = float("-inf")
        self._pending_message: asyncio.Future[bytes] | None = None
        self._close_reason = ""

    @property
    def is_ready(self) -> bool:
        """Whether the last message is on its way and the next one is awaited."""
        return self._pending_message is not None and not self._pending_message.done()

    def is_tasks_message_due(self, now: float) -> bool:
        return self.stream_filter is not None and now - self.tasks_sent_at >= TASKS_MESSAGE_INTERVAL

    async def next_message(self, timeout: float) -> bytes:
        """The next message; empty if there was none for so many seconds. Raises Ended."""
        if self._close_reason:
            raise SubscriptionClosed(self._close_reason)
        waiting = self._pending_message = asyncio.get_running_loop().create_future()
        try:
            # not `wait_for`, which may drop a message that comes in the moment in which the time is over
            await asyncio.wait([waiting], timeout=max(0.0, timeout))
            return waiting.result() if waiting.done() else b""
        finally:
            self._pending_message = None

    def publish(self, message: bytes) -> None:
        """Only for one that is ready."""
        if self._pending_message is not None and not self._pending_message.done():
            self._pending_message.set_result(message)

    def close(self, reason: str) -> None:
        self._close_reason = self._close_reason or reason
        if self._pending_message is not None and not self._pending_message.done():
            self._pending_message.set_exception(SubscriptionClosed(reason))
