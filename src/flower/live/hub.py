"""Everybody who listens, and the one loop that follows the store for all of them. It runs while somebody does."""

import asyncio
import logging
import time
from typing import Final

from flower.errors import FlowerError, Unavailable
from flower.live.news import newest
from flower.live.source import Source
from flower.live.standing import Status, Workers, look
from flower.live.subscription import STATUS_EVERY, Subscription
from flower.live.telling import Ask, Teller, Told
from flower.live.wire import event

log = logging.getLogger(__name__)

#: Streams at once.
MOST: Final = 500

#: Seconds between two looks at the change sequence (a twentieth of a millisecond each), and after one that failed.
LOOK_EVERY: Final = 0.05
AFTER_TROUBLE: Final = 1.0


class Hub:
    """Everything but the reads happens in one event loop."""

    def __init__(self) -> None:
        self._subscriptions: dict[Subscription, None] = {}
        self._loop: asyncio.Task[None] | None = None
        self._closed = ""
        self._teller = Teller()
        self._workers = Workers()
        self._status = Status()
        self._trouble = ""

    def __len__(self) -> int:
        return len(self._subscriptions)

    async def position(self, source: Source) -> int:
        """How far the change sequence has come. Raises StoreError."""
        return await source.read(lambda: newest(source.records))

    def add(self, source: Source, subscription: Subscription) -> None:
        """From now on it is told, until `remove`. Raises Unavailable if there are too many."""
        if self._closed:
            subscription.end(self._closed)
            return
        if len(self._subscriptions) >= MOST:
            raise Unavailable(f"{MOST} streams are open, and that is all there may be", hint="close some, try later")
        self._subscriptions[subscription] = None
        if self._loop is None or self._loop.done() or self._loop.get_loop() is not asyncio.get_running_loop():
            self._loop = asyncio.create_task(self._follow(source))

    def remove(self, subscription: Subscription) -> None:
        self._subscriptions.pop(subscription, None)
        if not self._subscriptions and self._loop is not None:
            self._loop.cancel()
            self._loop = None

    def close(self, why: str) -> None:
        """End all streams, and those that are still to come."""
        self._closed = why
        for subscription in self._subscriptions:
            subscription.end(why)

    async def _follow(self, source: Source) -> None:
        while True:
            began = time.monotonic()
            well = await self._tried(source)
            pause = LOOK_EVERY if well else AFTER_TROUBLE
            await asyncio.sleep(max(pause - (time.monotonic() - began), pause / 2))

    async def _tried(self, source: Source) -> bool:
        """A step; what goes wrong is logged once, and tried again."""
        try:
            await self._step(source)
        except Exception as error:  # whatever it is, the others must not be left without news for ever
            if str(error) != self._trouble:
                known = isinstance(error, FlowerError)
                log.warning("Live pages are not told of changes: %s", error, exc_info=not known)
            self._trouble = str(error)
            return False
        self._trouble = ""
        return True

    async def _step(self, source: Source) -> None:
        now = time.monotonic()
        ready = [each for each in self._subscriptions if each.ready]
        if not ready:
            return
        # those that waited longest first, for not all may be served at once
        hungry = sorted((each for each in ready if each.wants_tasks(now)), key=lambda each: each.served_at)
        asks = list(dict.fromkeys(Ask(each.position, each.interest) for each in hungry if each.interest is not None))
        workers = any(each.workers for each in ready) and self._workers.due(now)
        status = any(each.status for each in ready) and self._status.due(now)
        (head, told), (found, said) = await source.read(
            lambda: (
                self._teller.tell(source, asks, time.time()),
                look(source, workers=workers, status=status, now=time.time()),
            )
        )
        if found is not None:
            self._workers.update(found, now)
        if said is not None:
            self._status.update(said, now)
        for each in ready:
            if each.ready:  # it may have left meanwhile, or be busy with itself
                self._serve(each, head, told, now)

    def _serve(self, each: Subscription, head: int, told: dict[Ask, Told], now: float) -> None:
        """Give it what there is for it, as one piece."""
        parts: list[bytes] = []
        if each.interest is None:
            each.position = head
        elif (answer := told.get(Ask(each.position, each.interest))) is not None:
            each.position = answer.sequence
            if answer.message:
                each.served_at = now
                parts.append(answer.message)
        if each.workers and each.workers_seen < self._workers.version:
            changed = self._workers.since(each.workers_seen)
            each.workers_seen = self._workers.version
            if changed:
                parts.append(event("workers", changed, each.position))
        news = each.status_seen < self._status.version or now - each.status_at >= STATUS_EVERY
        if each.status and self._status.version and news:
            each.status_seen, each.status_at = self._status.version, now
            parts.append(event("status", self._status.said.text, each.position))
        if parts:
            each.put(b"".join(parts))
