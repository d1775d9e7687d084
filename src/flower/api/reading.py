"""Reads of the store, away from the event loop and only so many at a time."""

import time
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")

#: Reads that may run at once; more of them would only take the processor from each other.
READERS = 8

#: One per event loop; a limiter belongs to the loop that it wakes up.
_limiters: "WeakKeyDictionary[AbstractEventLoop, CapacityLimiter]" = WeakKeyDictionary()
_END = object()


@dataclass(slots=True)
class Effort:
    """Processor time of the reads that an answer needed, in seconds."""

    seconds: float = 0.0


_effort: ContextVar[Effort | None] = ContextVar("effort", default=None)


@contextmanager
def measured() -> Iterator[Effort]:
    """Counts the reads within."""
    effort = Effort()
    token = _effort.set(effort)
    try:
        yield effort
    finally:
        _effort.reset(token)


async def read(look: Callable[[], T]) -> T:
    limiter = _limiters.setdefault(get_running_loop(), CapacityLimiter(READERS))
    effort = _effort.get()
    return await to_thread.run_sync(look if effort is None else lambda: _counted(look, effort), limiter=limiter)


def _counted(look: Callable[[], T], effort: Effort) -> T:
    began = time.thread_time()
    try:
        return look()
    finally:
        effort.seconds += time.thread_time() - began


async def read_all(items: Iterator[T]) -> AsyncIterator[T]:
    """The items of a lazy read, each fetched in a thread."""
    try:
        while (item := await read(lambda: next(items, _END))) is not _END:
            yield item  # type: ignore[misc]  # it is not the mark, so it is a T
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
