"""Inspection of workers on behalf of pages, routes and the server itself. Replies are cached in
`Context.inspections`."""

import time
from functools import partial
from typing import TYPE_CHECKING

from flower import cluster
from flower.api.thread_pool import run_in_thread
from flower.api.worker_states import read_live_workers
from flower.cluster.inspection_cache import InspectReplies, InspectTarget
from flower.errors import NotFound

if TYPE_CHECKING:
    from celery import Celery

    from flower.api.context import Context  # which contains caches of `queues`, which loads the application


async def refresh_inspections(context: "Context", *workers: str) -> None:
    """Inspect these workers, by default all, and wait for the replies; concurrent calls for the same workers share one
    request. Raises BackendUnavailable."""
    target = workers or None
    await context.inspections.refresh(target, partial(_request_inspection, context, target))


def schedule_inspection(context: "Context", *workers: str) -> None:
    """Inspect these workers, by default all, without waiting."""
    target = workers or None
    context.inspections.refresh_soon(target, partial(_request_inspection, context, target))


async def inspect_new_workers(context: "Context") -> None:
    """Inspect the workers that came online and were not inspected since. Raises BackendUnavailable."""
    new_workers = await _find_new_workers(context)
    if new_workers:
        await refresh_inspections(context, *new_workers)


async def schedule_missing_inspections(context: "Context", worker: str = "") -> None:
    """Inspect the workers that came online and were not inspected since, and this one if it is unknown, without
    waiting."""
    if worker and context.inspections.get(worker) is None:
        schedule_inspection(context, worker)
    elif new_workers := await _find_new_workers(context):
        schedule_inspection(context, *new_workers)


async def _find_new_workers(context: "Context") -> list[str]:
    now = time.time()
    return context.inspections.new_workers(await run_in_thread(lambda: read_live_workers(context.store, now)), now)


async def require_worker(context: "Context", worker: str) -> None:
    """Raises NotFound for a worker that is known neither from events nor from inspection, and does not reply now."""
    if context.inspections.get(worker) is None and worker not in await run_in_thread(context.store.workers):
        await refresh_inspections(context, worker)
        if context.inspections.get(worker) is None:
            raise NotFound(f"Unknown worker '{worker}'")


async def load_celery_app(context: "Context") -> "Celery":
    """The Celery application. The first call imports Celery and the user's modules, in a thread."""

    def load() -> "Celery":
        cluster.load()
        return context.app()

    return await run_in_thread(load)


async def _request_inspection(context: "Context", target: InspectTarget) -> InspectReplies:
    app = await load_celery_app(context)
    return await cluster.remote_control.inspect_workers(app, target, context.inspect_timeout)
