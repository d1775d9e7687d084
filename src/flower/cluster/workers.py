"""Control commands for one worker: pool, consumers, shutdown. Each returns the worker's reply.

Harmful commands are rejected before they are sent: shrinking a pool to zero stops every process and leaves a worker
that receives tasks and runs none.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

from celery import Celery

from flower.cluster.remote_control import broadcast_command, call_workers
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest

#: Seconds to wait for the worker's reply; starting many processes takes time.
COMMAND_TIMEOUT = 5.0


class ControlReply(TypedDict):
    """`answer` is the text of the worker's reply."""

    worker: str
    answer: str


async def shutdown(app: Celery, worker: str) -> None:
    """Request a shutdown. The worker sends an event when it goes offline, if at all, and is not waited for."""
    await broadcast_command(app, "shutdown", {}, [worker])


async def restart_pool(app: Celery, worker: str, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    return await _send_command(
        app, worker, "pool_restart", {"modules": None, "reload": False, "reloader": None}, timeout
    )


async def grow_pool(app: Celery, worker: str, n: int = 1, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    _check_count(n)
    return await _send_command(app, worker, "pool_grow", {"n": n}, timeout)


async def shrink_pool(app: Celery, worker: str, n: int = 1, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    """Raises Forbidden if the pool would have no process left."""
    _check_count(n)
    size = pool_size(await _call_worker(app, worker, "stats", {}, timeout))
    if size is not None and n >= size:
        raise Forbidden(f"The pool has {size} processes or threads; at least one must remain")
    return await _send_command(app, worker, "pool_shrink", {"n": n}, timeout)


async def autoscale_pool(
    app: Celery, worker: str, min_processes: int, max_processes: int, *, timeout: float = COMMAND_TIMEOUT
) -> ControlReply:
    if min_processes < 0:
        raise InvalidRequest("min must be 0 or more")
    if max_processes < 1:
        raise InvalidRequest("max must be 1 or more")
    if min_processes > max_processes:
        raise InvalidRequest("min must not be more than max")
    return await _send_command(app, worker, "autoscale", {"max": max_processes, "min": min_processes}, timeout)


async def add_consumer(app: Celery, worker: str, queue: str, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    arguments = {"queue": queue, "exchange": None, "exchange_type": "direct", "routing_key": None}
    return await _send_command(app, worker, "add_consumer", arguments, timeout)


async def cancel_consumer(app: Celery, worker: str, queue: str, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    return await _send_command(app, worker, "cancel_consumer", {"queue": queue}, timeout)


def pool_size(stats: Any) -> int | None:
    """The number of processes or threads, from a worker's statistics; None if unknown."""
    pool = stats.get("pool") if isinstance(stats, Mapping) else None
    if not isinstance(pool, Mapping):
        return None
    processes, concurrency = pool.get("processes"), pool.get("max-concurrency")
    if isinstance(processes, list):
        return len(processes)
    return concurrency if isinstance(concurrency, int) else None


def _check_count(n: int) -> None:
    if n < 1:
        raise InvalidRequest("n must be 1 or more")


async def _send_command(
    app: Celery, worker: str, command: str, arguments: Mapping[str, Any], timeout: float
) -> ControlReply:
    """Raises Forbidden with the worker's reason, DeadlineExceeded, BackendUnavailable."""
    reply = await _call_worker(app, worker, command, arguments, timeout)
    if not isinstance(reply, Mapping) or "ok" not in reply:
        reason = reply.get("error", reply) if isinstance(reply, Mapping) else reply
        raise Forbidden(str(reason))
    return {"worker": worker, "answer": str(reply["ok"])}


async def _call_worker(app: Celery, worker: str, command: str, arguments: Mapping[str, Any], timeout: float) -> Any:
    replies = await call_workers(app, command, arguments, [worker], timeout=timeout)
    if worker not in replies:
        raise DeadlineExceeded(f"Timeout: no reply from worker '{worker}' within {timeout:g} s")
    return replies[worker]
