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
MAX_THREADS = 8

#: One per event loop; a limiter belongs to the loop that it wakes up.
_limiters: "WeakKeyDictionary[AbstractEventLoop, CapacityLimiter]" = WeakKeyDictionary()
_EXHAUSTED = object()


@dataclass(slots=True)
class CpuTime:
    """Processor time of the reads that an answer needed, in seconds."""

    seconds: float = 0.0


_cpu_time: ContextVar[CpuTime | None] = ContextVar("effort", default=None)


@contextmanager
def measure_cpu_time() -> Iterator[CpuTime]:
    """Counts the reads within."""
    effort = CpuTime()
    token = _cpu_time.set(effort)
    try:
        yield effort
    finally:
        _cpu_time.reset(token)


async def run_in_thread(function: Callable[[], T]) -> T:
    limiter = _limiters.setdefault(get_running_loop(), CapacityLimiter(MAX_THREADS))
    effort = _cpu_time.get()
    return await to_thread.run_sync(
        function if effort is None else lambda: _run_timed(function, effort), limiter=limiter
    )


def _run_timed(look: Callable[[], T], effort: CpuTime) -> T:
    began = time.thread_time()
    try:
        return look()
    finally:
        effort.seconds += time.thread_time() - began


async def iterate_in_thread(items: Iterator[T]) -> AsyncIterator[T]:
    """The items of a lazy read, each fetched in a thread."""
    try:
        while (item := await run_in_thread(lambda: next(items, _EXHAUSTED))) is not _EXHAUSTED:
            yield item  # type: ignore[misc]  # it is not the mark, so it is a T
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
