"""Runs blocking functions in worker threads, outside the event loop: reads and writes of store and ledger, and the
import of Celery. The number of threads is limited."""

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

#: Functions that run at a time; more would only compete for the processor.
MAX_THREADS = 8

#: One limiter for each event loop: it wakes up waiting tasks of its own loop.
_limiters: "WeakKeyDictionary[AbstractEventLoop, CapacityLimiter]" = WeakKeyDictionary()
_EXHAUSTED = object()


@dataclass(slots=True)
class CpuTime:
    """Processor time in seconds that the functions of one request used."""

    seconds: float = 0.0


_cpu_time: ContextVar[CpuTime | None] = ContextVar("cpu_time", default=None)


@contextmanager
def measure_cpu_time() -> Iterator[CpuTime]:
    """Measures all `run_in_thread` calls within the context."""
    cpu_time = CpuTime()
    token = _cpu_time.set(cpu_time)
    try:
        yield cpu_time
    finally:
        _cpu_time.reset(token)


async def run_in_thread(function: Callable[[], T]) -> T:
    limiter = _limiters.setdefault(get_running_loop(), CapacityLimiter(MAX_THREADS))
    cpu_time = _cpu_time.get()
    timed = function if cpu_time is None else lambda: _run_timed(function, cpu_time)
    return await to_thread.run_sync(timed, limiter=limiter)


def _run_timed(function: Callable[[], T], cpu_time: CpuTime) -> T:
    started = time.thread_time()
    try:
        return function()
    finally:
        cpu_time.seconds += time.thread_time() - started


async def iterate_in_thread(items: Iterator[T]) -> AsyncIterator[T]:
    """The items of a lazy iterator, each fetched in a thread."""
    try:
        while (item := await run_in_thread(lambda: next(items, _EXHAUSTED))) is not _EXHAUSTED:
            yield item  # type: ignore[misc]  # it is not the sentinel, so it is a T
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
