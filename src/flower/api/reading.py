"""Reads of the store, away from the event loop and only so many at a time."""

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")

#: Reads that may run at once; more of them would only take the processor from each other.
READERS = 8

#: One per event loop; a limiter belongs to the loop that it wakes up.
_limiters: "WeakKeyDictionary[AbstractEventLoop, CapacityLimiter]" = WeakKeyDictionary()
_END = object()


async def read(look: Callable[[], T]) -> T:
    limiter = _limiters.setdefault(get_running_loop(), CapacityLimiter(READERS))
    return await to_thread.run_sync(look, limiter=limiter)


async def read_all(items: Iterator[T]) -> AsyncIterator[T]:
    """The items of a lazy read, each fetched in a thread."""
    try:
        while (item := await read(lambda: next(items, _END))) is not _END:
            yield item  # type: ignore[misc]  # it is not the mark, so it is a T
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
