"""One who listens. Nothing piles up here: whoever has not taken the last message yet is passed over, and what was
written meanwhile comes out of the store's log with the next one."""

import asyncio
from typing import Final

from flower.live.interest import Interest

#: Seconds between two messages about tasks.
TASKS_EVERY: Final = 0.25
#: Seconds between two messages about how store and recorder are, if nothing changes.
STATUS_EVERY: Final = 2.0


class Ended(Exception):
    """The stream is over; the message says why."""


class Subscription:
    """`position` is the number of the change sequence up to which everything was told. `interest` is None for those who
    do not want to hear of tasks."""

    def __init__(
        self, position: int, interest: Interest | None, *, workers: bool = False, status: bool = False
    ) -> None:
        self.position = position
        self.interest = interest
        self.workers = workers
        self.status = status
        #: the version of the workers that was told last; they are all newer than 0
        self.workers_seen = 0
        #: the version of the status that was told last, and when
        self.status_seen = 0
        self.status_at = float("-inf")
        self.served_at = float("-inf")
        self._waiting: asyncio.Future[bytes] | None = None
        self._why = ""

    @property
    def ready(self) -> bool:
        """Whether the last message is on its way and the next one is awaited."""
        return self._waiting is not None and not self._waiting.done()

    def wants_tasks(self, now: float) -> bool:
        return self.interest is not None and now - self.served_at >= TASKS_EVERY

    async def next(self, patience: float) -> bytes:
        """The next message; empty if there was none for so many seconds. Raises Ended."""
        if self._why:
            raise Ended(self._why)
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        try:
            # not `wait_for`, which may drop a message that comes in the moment in which the time is over
            await asyncio.wait([waiting], timeout=max(0.0, patience))
            return waiting.result() if waiting.done() else b""
        finally:
            self._waiting = None

    def put(self, message: bytes) -> None:
        """Only for one that is ready."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(message)

    def end(self, why: str) -> None:
        self._why = self._why or why
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Ended(why))
