"""Commands to one worker: its pool, the queues that it consumes, its end. Every one reports the worker's own words.

What makes no sense is refused before it is sent: a pool that is shrunk by as much as it has stops every process and
leaves a worker that takes tasks and runs none."""

from collections.abc import Mapping
from typing import Any, TypedDict

from celery import Celery

from flower.cluster.remote_control import broadcast_command, call_workers
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest

#: Seconds to wait for the worker's answer; starting many processes takes a while.
COMMAND_TIMEOUT = 5.0


class ControlReply(TypedDict):
    """`answer`: the worker's own words."""

    worker: str
    answer: str


async def shutdown(app: Celery, worker: str) -> None:
    """The worker says goodbye by an event, if at all, and is not waited for."""
    await broadcast_command(app, "shutdown", {}, [worker])


async def restart_pool(app: Celery, worker: str, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    return await _send_command(
        app, worker, "pool_restart", {"modules": None, "reload": False, "reloader": None}, timeout
    )


async def grow_pool(app: Celery, worker: str, n: int = 1, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    _check_count(n)
    return await _send_command(app, worker, "pool_grow", {"n": n}, timeout)


async def shrink_pool(app: Celery, worker: str, n: int = 1, *, timeout: float = COMMAND_TIMEOUT) -> ControlReply:
    """Raises Forbidden if nothing would be left of the pool."""
    _check_count(n)
    size = pool_size(await _call_worker(app, worker, "stats", {}, timeout))
    if size is not None and n >= size:
        raise Forbidden(f"its pool has {size}, and at least one must stay")
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


async def answers_ping(app: Celery, worker: str, *, timeout: float = 1.0) -> bool:
    return bool(await call_workers(app, "ping", {}, [worker], timeout=timeout))


def pool_size(stats: Any) -> int | None:
    """How many processes or threads, out of a worker's statistics; None if they do not tell."""
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
    """Raises Forbidden with the worker's reason, WaitedTooLong, Unavailable."""
    answer = await _call_worker(app, worker, command, arguments, timeout)
    if not isinstance(answer, Mapping) or "ok" not in answer:
        reason = answer.get("error", answer) if isinstance(answer, Mapping) else answer
        raise Forbidden(str(reason))
    return {"worker": worker, "answer": str(answer["ok"])}


async def _call_worker(app: Celery, worker: str, command: str, arguments: Mapping[str, Any], timeout: float) -> Any:
    answers = await call_workers(app, command, arguments, [worker], timeout=timeout)
    if worker not in answers:
        raise DeadlineExceeded(f"Timeout: no answer from worker '{worker}' within {timeout:g} s")
    return answers[worker]
