"""One subscriber with a mailbox of one message. A slow consumer skips messages and catches up from the change log of
the store, so that no queue grows in memory."""

import asyncio
from typing import Final

from flower.live.filters import StreamFilter

#: Minimum seconds between two messages about tasks: the interval is proportional to the number of changed tasks in the
#: last message. After a quiet time, or with few changes, a change is sent at once; under load, messages are few.
MIN_TASKS_MESSAGE_INTERVAL: Final = 0.03
MAX_TASKS_MESSAGE_INTERVAL: Final = 0.25
#: Seconds per changed task.
CHANGED_TASK_INTERVAL: Final = 0.005
#: Seconds between two messages about the state of store and recorder while nothing changes, and after tasks have
#: changed: pages then load their figures again.
STATUS_MESSAGE_INTERVAL: Final = 2.0
CHANGED_STATUS_MESSAGE_INTERVAL: Final = 0.9


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
        #: last version of the status that was sent, the sequence number that was the latest then, and when
        self.status_version = 0
        self.status_sequence = 0
        self.status_sent_at = float("-inf")
        self._tasks_due_at = float("-inf")
        self._pending_message: asyncio.Future[bytes] | None = None
        self._close_reason = ""

    @property
    def is_ready(self) -> bool:
        """Whether the last message was taken and the subscriber waits for the next one."""
        return self._pending_message is not None and not self._pending_message.done()

    @property
    def tasks_due_at(self) -> float:
        """The time from which tasks may be sent, inf if the subscriber does not receive any."""
        return float("inf") if self.stream_filter is None else self._tasks_due_at

    def delay_tasks(self, now: float, changed: int) -> None:
        """Set the time of the next message after one about `changed` tasks."""
        interval = min(MAX_TASKS_MESSAGE_INTERVAL, changed * CHANGED_TASK_INTERVAL)
        self._tasks_due_at = now + max(MIN_TASKS_MESSAGE_INTERVAL, interval)

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
