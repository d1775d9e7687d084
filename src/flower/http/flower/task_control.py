"""Routes of Flower's API that need Celery: results, task control and queue lengths."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from flower import cluster
from flower.api.context import Context
from flower.api.inspection import load_celery_app, require_worker
from flower.api.queues import get_current_queues
from flower.api.tasks import TaskAbort, TaskApply, TaskAsyncApply, TaskResult, TaskSend
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest
from flower.http.request_params import read_json_object, read_params
from flower.http.responses import json_response

if TYPE_CHECKING:
    from celery import Celery

    from flower.cluster.calls import TaskCall


async def get_flower_result(request: Request, context: Context) -> Response:
    timeout = (await read_params(request)).get_float("timeout")
    return json_response(await TaskResult(await load_celery_app(context)).get(_path_name(request), timeout))


async def get_queue_lengths(request: Request, context: Context) -> Response:
    queues = await get_current_queues(context)
    return json_response({"active_queues": [queue.as_queue_length for queue in queues]})


async def apply_flower_task(request: Request, context: Context) -> Response:
    return json_response(await TaskApply(await load_celery_app(context)).run(await _read_call(request)))


async def async_apply_flower_task(request: Request, context: Context) -> Response:
    return json_response(await TaskAsyncApply(await load_celery_app(context)).run(await _read_call(request)))


async def send_flower_task(request: Request, context: Context) -> Response:
    return json_response(await TaskSend(await load_celery_app(context)).run(await _read_call(request)))


async def abort_flower_task(request: Request, context: Context) -> Response:
    return json_response(await TaskAbort(await load_celery_app(context)).post(_path_name(request)))


async def revoke_flower_task(request: Request, context: Context) -> Response:
    """Every signal name is sent, as in Flower; workers reject an unknown one."""
    params = await read_params(request)
    terminate, signal = params.get_bool("terminate"), params.get_text("signal") or "SIGTERM"
    app = await load_celery_app(context)
    result = await cluster.tasks.broadcast_revoke(app, _path_name(request), terminate, signal)
    return json_response({"message": result["message"]})


async def set_flower_time_limit(request: Request, context: Context) -> Response:
    params = await read_params(request)
    worker, soft, hard = params.require("workername"), params.get_float("soft"), params.get_float("hard")
    app, name = await load_celery_app(context), _path_name(request)
    await _check_task_and_worker(app, context, name, worker)
    try:
        replies = await cluster.task_limits.task_timeout(name, soft, hard, worker, app=app)
    except (Forbidden, InvalidRequest, DeadlineExceeded) as error:
        raise Forbidden(f"Failed to set timeouts: '{error.message}'") from error
    return json_response({"message": replies["message"]})


async def set_flower_rate_limit(request: Request, context: Context) -> Response:
    params = await read_params(request)
    worker, rate = params.require("workername"), params.require("ratelimit")
    app, name = await load_celery_app(context), _path_name(request)
    await _check_task_and_worker(app, context, name, worker)
    try:
        replies = await cluster.task_limits.task_rate_limit(name, rate, worker, app=app)
    except (Forbidden, InvalidRequest, DeadlineExceeded) as error:
        raise Forbidden(f"Failed to set rate limit: '{error.message}'") from error
    return json_response({"message": replies["message"]})


async def _check_task_and_worker(app: "Celery", context: Context, name: str, worker: str) -> None:
    await cluster.tasks.check_registered(app, name)
    await require_worker(context, worker)


async def _read_call(request: Request) -> "TaskCall":
    options = await read_json_object(request)
    return cluster.calls.build_call(
        _path_name(request), options.pop("args", None), options.pop("kwargs", None), options
    )


def _path_name(request: Request) -> str:
    """The name or id of the task: the last element of the path, which may contain slashes."""
    name: str = request.path_params["name"]
    return name
