"""The routes that command one worker, with Flower's words. Imported when it is first needed: it imports Celery.

The order of the checks: the worker, then the parameters, then what the worker says."""

from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.inspection import load_celery_app, require_worker, schedule_inspection
from flower.cluster import workers
from flower.errors import DeadlineExceeded, Forbidden
from flower.http.request_params import RequestParams, read_params
from flower.http.responses import json_response

T = TypeVar("T")


async def shutdown(request: Request, context: Context) -> Response:
    worker, _ = await _read_request(request, context)
    await workers.shutdown(await load_celery_app(context), worker)
    return _message_response("Shutting down!")


async def restart(request: Request, context: Context) -> Response:
    worker, _ = await _read_request(request, context)
    doing = workers.restart_pool(await load_celery_app(context), worker, timeout=context.reply_timeout)
    await _run_command(context, worker, doing, f"Failed to restart the '{worker}' pool")
    return _message_response(f"Restarting '{worker}' worker's pool")


async def grow(request: Request, context: Context) -> Response:
    worker, asked = await _read_request(request, context)
    n = _pool_steps(asked)
    doing = workers.grow_pool(await load_celery_app(context), worker, n, timeout=context.reply_timeout)
    await _run_command(context, worker, doing, f"Failed to grow '{worker}' worker's pool")
    return _message_response(f"Growing '{worker}' worker's pool by {n}")


async def shrink(request: Request, context: Context) -> Response:
    worker, asked = await _read_request(request, context)
    n = _pool_steps(asked)
    doing = workers.shrink_pool(await load_celery_app(context), worker, n, timeout=context.reply_timeout)
    await _run_command(context, worker, doing, f"Failed to shrink '{worker}' worker's pool")
    return _message_response(f"Shrinking '{worker}' worker's pool by {n}")


async def autoscale(request: Request, context: Context) -> Response:
    worker, asked = await _read_request(request, context)
    least, most = _require_int(asked, "min"), _require_int(asked, "max")
    doing = workers.autoscale_pool(await load_celery_app(context), worker, least, most, timeout=context.reply_timeout)
    await _run_command(context, worker, doing, f"Failed to autoscale '{worker}' worker")
    return _message_response(f"Autoscaling '{worker}' worker (min={least}, max={most})")


async def add_consumer(request: Request, context: Context) -> Response:
    worker, asked = await _read_request(request, context)
    queue = asked.require("queue")
    doing = workers.add_consumer(await load_celery_app(context), worker, queue, timeout=context.reply_timeout)
    said = await _run_command(context, worker, doing, f"Failed to add '{queue}' consumer to '{worker}' worker")
    return _message_response(said["answer"])


async def cancel_consumer(request: Request, context: Context) -> Response:
    worker, asked = await _read_request(request, context)
    queue = asked.require("queue")
    doing = workers.cancel_consumer(await load_celery_app(context), worker, queue, timeout=context.reply_timeout)
    said = await _run_command(context, worker, doing, f"Failed to cancel '{queue}' consumer from '{worker}' worker")
    return _message_response(said["answer"])


async def _read_request(request: Request, context: Context) -> tuple[str, RequestParams]:
    worker: str = request.path_params["name"]
    await require_worker(context, worker)
    return worker, await read_params(request)


def _pool_steps(asked: RequestParams) -> int:
    n = asked.get_int("n")
    return 1 if n is None else n


def _require_int(asked: RequestParams, name: str) -> int:
    asked.require(name)
    number = asked.get_int(name)
    assert number is not None
    return number


async def _run_command(context: Context, worker: str, doing: Awaitable[T], failed: str) -> T:
    """What was asked may be wrong (400); what the worker refuses or does not answer is 403."""
    try:
        return await doing
    except (Forbidden, DeadlineExceeded) as error:
        raise Forbidden(f"{failed}: {error.message}") from error
    finally:
        schedule_inspection(context, worker)  # what it is now, for the pages


def _message_response(text: str) -> Response:
    return json_response({"message": text})
