"""Thread pools for blocking Celery calls, with timeouts for the callers.

Short calls (publish, read a result, broadcast) and waits for results have separate pools: a revoke is sent at once,
however many callers are waiting. Threads are started on demand and kept, because Celery's result backends hold one
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
#: waiting     send a task and wait for it; one thread per waiting call
#: inspecting  inspect requests to all workers, which take the full timeout: few at once, and never ahead of a revoke
#: rpc         results of the rpc:// backend are in a queue that belongs to one thread
PoolName: TypeAlias = Literal["short", "waiting", "inspecting", "rpc"]

POOL_SIZES: dict[PoolName, int] = {"short": 16, "waiting": 256, "inspecting": 4, "rpc": 1}

#: Seconds after which a broker or result backend that does not respond counts as unreachable.
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
    """The result of `work`, run in a thread. Raises BackendUnavailable after `timeout` seconds; the thread then
    continues until Celery's own timeouts end it."""
    future = asyncio.wrap_future(submit(pool_name, work))
    return await wait_with_timeout(future, timeout)


async def wait_with_timeout(future: "asyncio.Future[T]", timeout: float) -> T:
    """The result of the future. Raises BackendUnavailable after `timeout` seconds."""
    future.add_done_callback(discard_exception)
    done, _ = await asyncio.wait({future}, timeout=timeout)
    if not done:
        future.cancel()  # if no thread has started it yet, it is not run
        raise BackendUnavailable(f"No response from the broker or result backend within {timeout:g} s")
    return future.result()


def discard_exception(future: "asyncio.Future[T]") -> None:
    """Retrieve the exception of a future that no caller awaits, so that asyncio does not log it."""
    if not future.cancelled():
        future.exception()


def _after_fork() -> None:
    """Threads do not survive a fork: a pool that still counts them would never run anything."""
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that does not exist in the child
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
