"""The routes that command one worker, with Flower's words. Imported when it is first needed: it imports Celery.

The order of the checks: the worker, then the parameters, then what the worker says."""

from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from flower.api.answers import json_response
from flower.api.context import Context
from flower.api.inspecting import celery, check_worker, inspect_soon
from flower.api.parameters import Parameters, parameters
from flower.cluster import workers
from flower.errors import Forbidden, WaitedTooLong

T = TypeVar("T")


async def shutdown(request: Request, context: Context) -> Response:
    worker, _ = await _asked(request, context)
    await workers.shut_down(await celery(context), worker)
    return _message("Shutting down!")


async def restart(request: Request, context: Context) -> Response:
    worker, _ = await _asked(request, context)
    doing = workers.restart_pool(await celery(context), worker, timeout=context.answer_timeout)
    await _done(context, worker, doing, f"Failed to restart the '{worker}' pool")
    return _message(f"Restarting '{worker}' worker's pool")


async def grow(request: Request, context: Context) -> Response:
    worker, asked = await _asked(request, context)
    n = _number(asked)
    doing = workers.grow_pool(await celery(context), worker, n, timeout=context.answer_timeout)
    await _done(context, worker, doing, f"Failed to grow '{worker}' worker's pool")
    return _message(f"Growing '{worker}' worker's pool by {n}")


async def shrink(request: Request, context: Context) -> Response:
    worker, asked = await _asked(request, context)
    n = _number(asked)
    doing = workers.shrink_pool(await celery(context), worker, n, timeout=context.answer_timeout)
    await _done(context, worker, doing, f"Failed to shrink '{worker}' worker's pool")
    return _message(f"Shrinking '{worker}' worker's pool by {n}")


async def autoscale(request: Request, context: Context) -> Response:
    worker, asked = await _asked(request, context)
    least, most = _required(asked, "min"), _required(asked, "max")
    doing = workers.autoscale_pool(await celery(context), worker, least, most, timeout=context.answer_timeout)
    await _done(context, worker, doing, f"Failed to autoscale '{worker}' worker")
    return _message(f"Autoscaling '{worker}' worker (min={least}, max={most})")


async def add_consumer(request: Request, context: Context) -> Response:
    worker, asked = await _asked(request, context)
    queue = asked.required("queue")
    doing = workers.add_consumer(await celery(context), worker, queue, timeout=context.answer_timeout)
    said = await _done(context, worker, doing, f"Failed to add '{queue}' consumer to '{worker}' worker")
    return _message(said["answer"])


async def cancel_consumer(request: Request, context: Context) -> Response:
    worker, asked = await _asked(request, context)
    queue = asked.required("queue")
    doing = workers.cancel_consumer(await celery(context), worker, queue, timeout=context.answer_timeout)
    said = await _done(context, worker, doing, f"Failed to cancel '{queue}' consumer from '{worker}' worker")
    return _message(said["answer"])


async def _asked(request: Request, context: Context) -> tuple[str, Parameters]:
    worker: str = request.path_params["name"]
    await check_worker(context, worker)
    return worker, await parameters(request)


def _number(asked: Parameters) -> int:
    n = asked.integer("n")
    return 1 if n is None else n


def _required(asked: Parameters, name: str) -> int:
    asked.required(name)
    number = asked.integer(name)
    assert number is not None
    return number


async def _done(context: Context, worker: str, doing: Awaitable[T], failed: str) -> T:
    """What was asked may be wrong (400); what the worker refuses or does not answer is 403."""
    try:
        return await doing
    except (Forbidden, WaitedTooLong) as error:
        raise Forbidden(f"{failed}: {error.message}") from error
    finally:
        inspect_soon(context, worker)  # what it is now, for the pages


def _message(text: str) -> Response:
    return json_response({"message": text})
