"""Commands to workers for `/api/v1`. Imported when it is first needed: it imports Celery."""

from collections.abc import Awaitable
from typing import Any

from flower.api.inspecting import celery, inspect_soon
from flower.api.reading import read
from flower.api.v1.acting import Acting
from flower.api.v1.actions.workers import ConsumedQueue, PoolRange, PoolSteps, RateLimit, TimeLimits, WorkerAnswer
from flower.api.v1.asked import OneWorker
from flower.cluster import limits, workers
from flower.cluster.workers import Answered
from flower.errors import NotFound


async def shutdown(acting: Acting, asked: OneWorker, body: None) -> WorkerAnswer:
    await workers.shut_down(await _app(acting, asked), asked.name)
    return WorkerAnswer(asked.name)


async def restart(acting: Acting, asked: OneWorker, body: None) -> WorkerAnswer:
    app, timeout = await _app(acting, asked), acting.context.answer_timeout
    return await _answered(acting, workers.restart_pool(app, asked.name, timeout=timeout))


async def grow(acting: Acting, asked: OneWorker, body: PoolSteps) -> WorkerAnswer:
    app, timeout = await _app(acting, asked), acting.context.answer_timeout
    return await _answered(acting, workers.grow_pool(app, asked.name, body.n, timeout=timeout))


async def shrink(acting: Acting, asked: OneWorker, body: PoolSteps) -> WorkerAnswer:
    app, timeout = await _app(acting, asked), acting.context.answer_timeout
    return await _answered(acting, workers.shrink_pool(app, asked.name, body.n, timeout=timeout))


async def autoscale(acting: Acting, asked: OneWorker, body: PoolRange) -> WorkerAnswer:
    app, timeout = await _app(acting, asked), acting.context.answer_timeout
    return await _answered(acting, workers.autoscale_pool(app, asked.name, body.min, body.max, timeout=timeout))


async def add_consumer(acting: Acting, asked: OneWorker, body: ConsumedQueue) -> WorkerAnswer:
    app, timeout = await _app(acting, asked), acting.context.answer_timeout
    return await _answered(acting, workers.add_consumer(app, asked.name, body.queue, timeout=timeout))


async def cancel_consumer(acting: Acting, asked: OneWorker, body: ConsumedQueue) -> WorkerAnswer:
    app, timeout = await _app(acting, asked), acting.context.answer_timeout
    return await _answered(acting, workers.cancel_consumer(app, asked.name, body.queue, timeout=timeout))


async def rate_limit(acting: Acting, asked: OneWorker, body: RateLimit) -> WorkerAnswer:
    app = await _app(acting, asked)
    return await _limited(acting, asked, limits.task_rate_limit(body.task, body.rate, asked.name, app=app))


async def time_limit(acting: Acting, asked: OneWorker, body: TimeLimits) -> WorkerAnswer:
    app = await _app(acting, asked)
    return await _limited(acting, asked, limits.task_timeout(body.task, body.soft, body.hard, asked.name, app=app))


async def _limited(acting: Acting, asked: OneWorker, doing: Awaitable[limits.Answers]) -> WorkerAnswer:
    said = await doing
    inspect_soon(acting.context, asked.name)
    return WorkerAnswer(asked.name, said["message"])


async def _app(acting: Acting, asked: OneWorker) -> Any:
    """Raises NotFound for a worker that neither its events nor inspection know."""
    context = acting.context
    if context.inspections.of(asked.name) is None and asked.name not in await read(context.store.workers):
        raise NotFound(f"Unknown worker '{asked.name}'")
    return await celery(context)


async def _answered(acting: Acting, doing: Awaitable[Answered]) -> WorkerAnswer:
    said = await doing
    inspect_soon(acting.context, said["worker"])
    return WorkerAnswer(said["worker"], said["answer"])
