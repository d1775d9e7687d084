"""Routes of Flower's worker commands, with Flower's messages.

The order of the checks is Flower's: the worker, then the parameters, then the worker's reply.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from flower import cluster
from flower.api.context import Context
from flower.api.inspection import require_worker
from flower.errors import DeadlineExceeded, Forbidden
from flower.http.request_params import RequestParams, read_params
from flower.http.responses import json_response
from flower.http.worker_commands import send_worker_command

if TYPE_CHECKING:
    from celery import Celery

T = TypeVar("T")


async def worker_shutdown(request: Request, context: Context) -> Response:
    worker, _ = await _read_request(request, context)
    await send_worker_command(context, worker, lambda app: cluster.workers.shutdown(app, worker), inspect_after=False)
    return _message_response("Shutting down!")


async def pool_restart(request: Request, context: Context) -> Response:
    worker, _ = await _read_request(request, context)
    timeout = context.reply_timeout
    await _run_command(
        context,
        worker,
        lambda app: cluster.workers.restart_pool(app, worker, timeout=timeout),
        f"Failed to restart the '{worker}' pool",
    )
    return _message_response(f"Restarting '{worker}' worker's pool")


async def pool_grow(request: Request, context: Context) -> Response:
    worker, params = await _read_request(request, context)
    n, timeout = _pool_steps(params), context.reply_timeout
    await _run_command(
        context,
        worker,
        lambda app: cluster.workers.grow_pool(app, worker, n, timeout=timeout),
        f"Failed to grow '{worker}' worker's pool",
    )
    return _message_response(f"Growing '{worker}' worker's pool by {n}")


async def pool_shrink(request: Request, context: Context) -> Response:
    worker, params = await _read_request(request, context)
    n, timeout = _pool_steps(params), context.reply_timeout
    await _run_command(
        context,
        worker,
        lambda app: cluster.workers.shrink_pool(app, worker, n, timeout=timeout),
        f"Failed to shrink '{worker}' worker's pool",
    )
    return _message_response(f"Shrinking '{worker}' worker's pool by {n}")


async def pool_autoscale(request: Request, context: Context) -> Response:
    worker, params = await _read_request(request, context)
    minimum, maximum = params.require_int("min"), params.require_int("max")
    timeout = context.reply_timeout
    await _run_command(
        context,
        worker,
        lambda app: cluster.workers.autoscale_pool(app, worker, minimum, maximum, timeout=timeout),
        f"Failed to autoscale '{worker}' worker",
    )
    return _message_response(f"Autoscaling '{worker}' worker (min={minimum}, max={maximum})")


async def queue_add_consumer(request: Request, context: Context) -> Response:
    worker, params = await _read_request(request, context)
    queue, timeout = params.require("queue"), context.reply_timeout
    reply = await _run_command(
        context,
        worker,
        lambda app: cluster.workers.add_consumer(app, worker, queue, timeout=timeout),
        f"Failed to add '{queue}' consumer to '{worker}' worker",
    )
    return _message_response(reply["answer"])


async def queue_cancel_consumer(request: Request, context: Context) -> Response:
    worker, params = await _read_request(request, context)
    queue, timeout = params.require("queue"), context.reply_timeout
    reply = await _run_command(
        context,
        worker,
        lambda app: cluster.workers.cancel_consumer(app, worker, queue, timeout=timeout),
        f"Failed to cancel '{queue}' consumer from '{worker}' worker",
    )
    return _message_response(reply["answer"])


async def _read_request(request: Request, context: Context) -> tuple[str, RequestParams]:
    worker: str = request.path_params["name"]
    await require_worker(context, worker)
    return worker, await read_params(request)


def _pool_steps(params: RequestParams) -> int:
    n = params.get_int("n")
    return 1 if n is None else n


async def _run_command(context: Context, worker: str, command: "Callable[[Celery], Awaitable[T]]", failure: str) -> T:
    """As in Flower, a command that the worker rejects or does not reply to is 403."""
    try:
        return await send_worker_command(context, worker, command)
    except (Forbidden, DeadlineExceeded) as error:
        raise Forbidden(f"{failure}: {error.message}") from error


def _message_response(text: str) -> Response:
    return json_response({"message": text})
