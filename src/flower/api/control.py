"""The routes that speak to the cluster: request in, response out. The work is done by the handlers of `tasks`.

This module is imported when it is first needed (see `routes`), because it imports Celery."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from flower.api.answers import json_response
from flower.api.context import Context
from flower.api.inspecting import check_worker
from flower.api.parameters import json_object, parameters
from flower.api.queue_figures import queues_now
from flower.api.reading import read
from flower.api.tasks import TaskAbort, TaskApply, TaskAsyncApply, TaskResult, TaskSend
from flower.cluster.calls import Call, call
from flower.cluster.limits import Answers, task_rate_limit, task_timeout
from flower.cluster.tasks import check_registered
from flower.cluster.tasks import revoke as revoke_task
from flower.errors import Forbidden, Invalid, WaitedTooLong

if TYPE_CHECKING:
    from celery import Celery


async def task_result(request: Request, context: Context) -> Response:
    timeout = (await parameters(request)).number("timeout")
    return json_response(await TaskResult(await _app(context)).get(_name(request), timeout))


async def queue_lengths(request: Request, context: Context) -> Response:
    return json_response({"active_queues": [each.length for each in await queues_now(context)]})


async def apply(request: Request, context: Context) -> Response:
    return json_response(await TaskApply(await _app(context)).run(await _call(request)))


async def async_apply(request: Request, context: Context) -> Response:
    return json_response(await TaskAsyncApply(await _app(context)).run(await _call(request)))


async def send_task(request: Request, context: Context) -> Response:
    return json_response(await TaskSend(await _app(context)).run(await _call(request)))


async def abort(request: Request, context: Context) -> Response:
    return json_response(await TaskAbort(await _app(context)).post(_name(request)))


async def revoke(request: Request, context: Context) -> Response:
    """Any signal name is passed on, as in Flower; workers that do not know it refuse it."""
    asked = await parameters(request)
    terminate, signal = asked.boolean("terminate"), asked.text("signal") or "SIGTERM"
    done = await revoke_task(await _app(context), _name(request), terminate, signal)
    return json_response({"message": done["message"]})


async def timeout(request: Request, context: Context) -> Response:
    asked = await parameters(request)
    worker, soft, hard = asked.required("workername"), asked.number("soft"), asked.number("hard")
    app, name = await _app(context), _name(request)
    await _check_known(app, context, name, worker)
    try:
        answers = await task_timeout(name, soft, hard, worker, app=app)
    except (Forbidden, Invalid, WaitedTooLong) as error:
        raise Forbidden(f"Failed to set timeouts: '{error.message}'") from error
    return _said(answers)


async def rate_limit(request: Request, context: Context) -> Response:
    asked = await parameters(request)
    worker, rate = asked.required("workername"), asked.required("ratelimit")
    app, name = await _app(context), _name(request)
    await _check_known(app, context, name, worker)
    try:
        answers = await task_rate_limit(name, rate, worker, app=app)
    except (Forbidden, Invalid, WaitedTooLong) as error:
        raise Forbidden(f"Failed to set rate limit: '{error.message}'") from error
    return _said(answers)


async def _check_known(app: "Celery", context: Context, name: str, worker: str) -> None:
    await check_registered(app, name)
    await check_worker(context, worker)


async def _call(request: Request) -> Call:
    options = await json_object(request)
    return call(_name(request), options.pop("args", None), options.pop("kwargs", None), options)


async def _app(context: Context) -> "Celery":
    # Loading the application imports the user's modules, for as long as that takes.
    return await read(context.app)


def _name(request: Request) -> str:
    """The last element of the path: a task's name or id, slashes and all."""
    name: str = request.path_params["name"]
    return name


def _said(answers: Answers) -> Response:
    return json_response({"message": answers["message"]})
