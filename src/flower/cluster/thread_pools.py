"""Celery blocks, so each call into it runs in a thread, and no caller waits longer than it must.

Short work (publish, look up, broadcast) and waiting for results have pools of their own: however many calls wait, the
next revoke goes out at once. Threads are started when needed and kept, because Celery's result backends hold one
connection per thread.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeAlias, TypeVar

from flower.errors import BackendUnavailable

T = TypeVar("T")

#: short       publish, look up a result, broadcast
#: waiting     send a task and wait for it; one thread per call that waits
#: inspecting  questions to all workers, which take as long as the time limit: few at once, and never before a revoke
#: rpc         results of the rpc:// backend lie in a queue that belongs to one thread: that one
PoolName: TypeAlias = Literal["short", "waiting", "inspecting", "rpc"]

POOL_SIZES: dict[PoolName, int] = {"short": 16, "waiting": 256, "inspecting": 4, "rpc": 1}

#: Seconds after which a broker or a backend that says nothing counts as away.
CALL_TIMEOUT = 5.0

_pools: dict[PoolName, ThreadPoolExecutor] = {}
_lock = threading.Lock()


def submit(pool_name: PoolName, work: Callable[[], T]) -> "Future[T]":
    with _lock:
        pool = _pools.get(pool_name)
        if pool is None:
            pool = _pools[pool_name] = ThreadPoolExecutor(
                POOL_SIZES[pool_name], thread_name_prefix=f"flower-{pool_name}"
            )
    return pool.submit(work)


async def run_with_timeout(timeout: float, work: Callable[[], T], *, pool_name: PoolName = "short") -> T:
    """What `work` returns, run in a thread. Raises Unavailable after `patience` seconds; the thread then ends by
    itself, as late as Celery's own time limits make it."""
    future = asyncio.wrap_future(submit(pool_name, work))
    return await wait_with_timeout(future, timeout)


async def wait_with_timeout(future: "asyncio.Future[T]", timeout: float) -> T:
    future.add_done_callback(discard_exception)
    done, _ = await asyncio.wait({future}, timeout=timeout)
    if not done:
        future.cancel()  # if no thread has taken it yet, none shall
        raise BackendUnavailable(f"Broker or result backend did not answer within {timeout:g} s")
    return future.result()


def discard_exception(future: "asyncio.Future[T]") -> None:
    """If nobody waits for this any more, asyncio shall not complain that its error was never looked at."""
    if not future.cancelled():
        future.exception()


def _after_fork() -> None:
    """Threads do not survive a fork; a pool that believes in them would never answer."""
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that is gone
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
