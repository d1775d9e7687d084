"""Asking the workers how they are, on behalf of pages, routes and of the server itself. Imports Celery when it asks."""

import time
from functools import partial
from importlib import import_module
from typing import Any

from anyio import to_thread

from flower.api.context import Context
from flower.api.reading import read
from flower.cluster.inspected import Answers, Target
from flower.errors import NotFound


async def inspect(context: Context, *workers: str) -> None:
    """Ask these workers, or all; those who ask the same share one question. Raises Unavailable."""
    target = workers or None
    await context.inspections.refresh(target, partial(_ask, context, target))


def inspect_soon(context: Context, *workers: str) -> None:
    """The same, and nobody waits."""
    target = workers or None
    context.inspections.refresh_soon(target, partial(_ask, context, target))


async def meet_newcomers(context: Context) -> None:
    """Ask the workers that events have told of and that were not asked since they came. Raises Unavailable."""
    known = await read(context.store.workers)
    newcomers = context.inspections.newcomers(known, time.time())
    if newcomers:
        await inspect(context, *newcomers)


async def check_worker(context: Context, worker: str) -> None:
    """Raises NotFound for a worker that neither events nor inspection know, and that does not answer now."""
    if context.inspections.of(worker) is None and worker not in await read(context.store.workers):
        await inspect(context, worker)
        if context.inspections.of(worker) is None:
            raise NotFound(f"Unknown worker '{worker}'")


async def celery(context: Context) -> Any:
    """The application; loading it imports the user's modules, for as long as that takes."""
    return await read(context.app)


async def _ask(context: Context, target: Target) -> Answers:
    app = await celery(context)
    module = await to_thread.run_sync(import_module, "flower.cluster.inspection")
    answers: Answers = await module.inspect(app, target, context.inspect_timeout)
    return answers
