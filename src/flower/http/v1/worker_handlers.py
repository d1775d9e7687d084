"""Commands to workers for `/api/v1`. Imported when it is first needed: it imports Celery."""

from collections.abc import Awaitable
from typing import Any

from flower.api.inspection import load_celery_app, schedule_inspection
from flower.api.thread_pool import run_in_thread
from flower.cluster import task_limits, workers
from flower.cluster.workers import ControlReply
from flower.errors import NotFound
from flower.http.v1.params import WorkerParams
from flower.http.v1.route import RequestContext
from flower.http.v1.workers import (
    AutoscaleBody,
    ConsumerBody,
    PoolResizeBody,
    RateLimitBody,
    TimeLimitBody,
    WorkerCommandResponse,
)


async def shutdown(acting: RequestContext, asked: WorkerParams, body: None) -> WorkerCommandResponse:
    await workers.shutdown(await _require_app(acting, asked), asked.name)
    return WorkerCommandResponse(asked.name)


async def restart(acting: RequestContext, asked: WorkerParams, body: None) -> WorkerCommandResponse:
    app, timeout = await _require_app(acting, asked), acting.server.reply_timeout
    return await _command_response(acting, workers.restart_pool(app, asked.name, timeout=timeout))


async def grow(acting: RequestContext, asked: WorkerParams, body: PoolResizeBody) -> WorkerCommandResponse:
    app, timeout = await _require_app(acting, asked), acting.server.reply_timeout
    return await _command_response(acting, workers.grow_pool(app, asked.name, body.n, timeout=timeout))


async def shrink(acting: RequestContext, asked: WorkerParams, body: PoolResizeBody) -> WorkerCommandResponse:
    app, timeout = await _require_app(acting, asked), acting.server.reply_timeout
    return await _command_response(acting, workers.shrink_pool(app, asked.name, body.n, timeout=timeout))


async def autoscale(acting: RequestContext, asked: WorkerParams, body: AutoscaleBody) -> WorkerCommandResponse:
    app, timeout = await _require_app(acting, asked), acting.server.reply_timeout
    return await _command_response(acting, workers.autoscale_pool(app, asked.name, body.min, body.max, timeout=timeout))


async def add_consumer(acting: RequestContext, asked: WorkerParams, body: ConsumerBody) -> WorkerCommandResponse:
    app, timeout = await _require_app(acting, asked), acting.server.reply_timeout
    return await _command_response(acting, workers.add_consumer(app, asked.name, body.queue, timeout=timeout))


async def cancel_consumer(acting: RequestContext, asked: WorkerParams, body: ConsumerBody) -> WorkerCommandResponse:
    app, timeout = await _require_app(acting, asked), acting.server.reply_timeout
    return await _command_response(acting, workers.cancel_consumer(app, asked.name, body.queue, timeout=timeout))


async def rate_limit(acting: RequestContext, asked: WorkerParams, body: RateLimitBody) -> WorkerCommandResponse:
    app = await _require_app(acting, asked)
    return await _limit_response(acting, asked, task_limits.task_rate_limit(body.task, body.rate, asked.name, app=app))


async def time_limit(acting: RequestContext, asked: WorkerParams, body: TimeLimitBody) -> WorkerCommandResponse:
    app = await _require_app(acting, asked)
    return await _limit_response(
        acting, asked, task_limits.task_timeout(body.task, body.soft, body.hard, asked.name, app=app)
    )


async def _limit_response(
    acting: RequestContext, asked: WorkerParams, doing: Awaitable[task_limits.ControlReplies]
) -> WorkerCommandResponse:
    said = await doing
    schedule_inspection(acting.server, asked.name)
    return WorkerCommandResponse(asked.name, said["message"])


async def _require_app(acting: RequestContext, asked: WorkerParams) -> Any:
    """Raises NotFound for a worker that neither its events nor inspection know."""
    context = acting.server
    if context.inspections.get(asked.name) is None and asked.name not in await run_in_thread(context.store.workers):
        raise NotFound(f"Unknown worker '{asked.name}'")
    return await load_celery_app(context)


async def _command_response(acting: RequestContext, doing: Awaitable[ControlReply]) -> WorkerCommandResponse:
    said = await doing
    schedule_inspection(acting.server, said["worker"])
    return WorkerCommandResponse(said["worker"], said["answer"])
