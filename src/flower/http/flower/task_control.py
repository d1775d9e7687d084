"""The routes that speak to the cluster: request in, response out. The work is done by the handlers of `tasks`.

This module is imported when it is first needed (see `routes`), because it imports Celery."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.inspection import require_worker
from flower.api.queues import get_current_queues
from flower.api.tasks import TaskAbort, TaskApply, TaskAsyncApply, TaskResult, TaskSend
from flower.api.thread_pool import run_in_thread
from flower.cluster.calls import TaskCall, build_call
from flower.cluster.task_limits import ControlReplies, task_rate_limit, task_timeout
from flower.cluster.tasks import broadcast_revoke as revoke_task
from flower.cluster.tasks import check_registered
from flower.errors import DeadlineExceeded, Forbidden, InvalidRequest
from flower.http.request_params import read_json_object, read_params
from flower.http.responses import json_response

if TYPE_CHECKING:
    from celery import Celery


async def task_result(request: Request, context: Context) -> Response:
    timeout = (await read_params(request)).get_float("timeout")
    return json_response(await TaskResult(await _load_app(context)).get(_path_name(request), timeout))


async def queue_lengths(request: Request, context: Context) -> Response:
    return json_response({"active_queues": [each.as_queue_length for each in await get_current_queues(context)]})


async def apply(request: Request, context: Context) -> Response:
    return json_response(await TaskApply(await _load_app(context)).run(await _read_call(request)))


async def async_apply(request: Request, context: Context) -> Response:
    return json_response(await TaskAsyncApply(await _load_app(context)).run(await _read_call(request)))


async def send_task(request: Request, context: Context) -> Response:
    return json_response(await TaskSend(await _load_app(context)).run(await _read_call(request)))


async def abort(request: Request, context: Context) -> Response:
    return json_response(await TaskAbort(await _load_app(context)).post(_path_name(request)))


async def revoke(request: Request, context: Context) -> Response:
    """Any signal name is passed on, as in Flower; workers that do not know it refuse it."""
    asked = await read_params(request)
    terminate, signal = asked.get_bool("terminate"), asked.get_text("signal") or "SIGTERM"
    done = await revoke_task(await _load_app(context), _path_name(request), terminate, signal)
    return json_response({"message": done["message"]})


async def timeout(request: Request, context: Context) -> Response:
    asked = await read_params(request)
    worker, soft, hard = asked.require("workername"), asked.get_float("soft"), asked.get_float("hard")
    app, name = await _load_app(context), _path_name(request)
    await _check_task_and_worker(app, context, name, worker)
    try:
        answers = await task_timeout(name, soft, hard, worker, app=app)
    except (Forbidden, InvalidRequest, DeadlineExceeded) as error:
        raise Forbidden(f"Failed to set timeouts: '{error.message}'") from error
    return _message_response(answers)


async def rate_limit(request: Request, context: Context) -> Response:
    asked = await read_params(request)
    worker, rate = asked.require("workername"), asked.require("ratelimit")
    app, name = await _load_app(context), _path_name(request)
    await _check_task_and_worker(app, context, name, worker)
    try:
        answers = await task_rate_limit(name, rate, worker, app=app)
    except (Forbidden, InvalidRequest, DeadlineExceeded) as error:
        raise Forbidden(f"Failed to set rate limit: '{error.message}'") from error
    return _message_response(answers)


async def _check_task_and_worker(app: "Celery", context: Context, name: str, worker: str) -> None:
    await check_registered(app, name)
    await require_worker(context, worker)


async def _read_call(request: Request) -> TaskCall:
    options = await read_json_object(request)
    return build_call(_path_name(request), options.pop("args", None), options.pop("kwargs", None), options)


async def _load_app(context: Context) -> "Celery":
    # Loading the application imports the user's modules, for as long as that takes.
    return await run_in_thread(context.app)


def _path_name(request: Request) -> str:
    """The last element of the path: a task's name or id, slashes and all."""
    name: str = request.path_params["name"]
    return name


def _message_response(answers: ControlReplies) -> Response:
    return json_response({"message": answers["message"]})
