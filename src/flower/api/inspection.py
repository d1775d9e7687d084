"""Asking the workers how they are, on behalf of pages, routes and of the server itself. Imports Celery when it asks."""

import time
from functools import partial
from importlib import import_module
from typing import Any

from anyio import to_thread

from flower.api.context import Context
from flower.api.thread_pool import run_in_thread
from flower.cluster.inspection_cache import InspectReplies, InspectTarget
from flower.errors import NotFound


async def refresh_inspections(context: Context, *workers: str) -> None:
    """Ask these workers, or all; those who ask the same share one question. Raises Unavailable."""
    target = workers or None
    await context.inspections.refresh(target, partial(_request_inspection, context, target))


def schedule_inspection(context: Context, *workers: str) -> None:
    """The same, and nobody waits."""
    target = workers or None
    context.inspections.refresh_soon(target, partial(_request_inspection, context, target))


async def inspect_new_workers(context: Context) -> None:
    """Ask the workers that events have told of and that were not asked since they came. Raises Unavailable."""
    known = await run_in_thread(context.store.workers)
    newcomers = context.inspections.new_workers(known, time.time())
    if newcomers:
        await refresh_inspections(context, *newcomers)


async def require_worker(context: Context, worker: str) -> None:
    """Raises NotFound for a worker that neither events nor inspection know, and that does not answer now."""
    if context.inspections.get(worker) is None and worker not in await run_in_thread(context.store.workers):
        await refresh_inspections(context, worker)
        if context.inspections.get(worker) is None:
            raise NotFound(f"Unknown worker '{worker}'")


async def load_celery_app(context: Context) -> Any:
    """The application; loading it imports the user's modules, for as long as that takes."""
    return await run_in_thread(context.app)


async def _request_inspection(context: Context, target: InspectTarget) -> InspectReplies:
    app = await load_celery_app(context)
    module = await to_thread.run_sync(import_module, "flower.cluster.remote_control")
    answers: InspectReplies = await module.inspect_workers(app, target, context.inspect_timeout)
    return answers
