"""Registered tasks: in this process, and on the workers."""

from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery.contrib.abortable import AbortableTask

from flower.cluster import thread_pools
from flower.cluster.remote_control import call_workers
from flower.cluster.tasks import IMPORT_TIMEOUT, check_registered
from flower.errors import NotRegistered


async def is_registered(app: Celery, name: str) -> bool:
    """Whether the task is registered in this process."""
    try:
        await check_registered(app, name)
    except NotRegistered:
        return False
    return True


async def local_tasks(app: Celery) -> Mapping[str, Any]:
    """The task objects of this process, by name."""

    def work() -> dict[str, Any]:
        app.loader.import_default_modules()
        return dict(app.tasks)

    return await thread_pools.run_with_timeout(IMPORT_TIMEOUT, work)


async def worker_task_names(app: Celery) -> dict[str, tuple[str, ...]]:
    """The task names of each worker that replies in time."""
    # Each line is the name, followed by the requested fields in brackets; the default is more fields.
    replies = await call_workers(app, "registered", {"taskinfoitems": ["name"]})
    return {
        worker: tuple(str(line).partition(" [name=")[0] for line in lines)
        for worker, lines in replies.items()
        if isinstance(lines, list | tuple)
    }


def is_abortable(app: Celery, name: str | None) -> bool | None:
    """None for a task that is not registered in this process."""
    task = app.tasks.get(name) if name else None
    return None if task is None else isinstance(task, AbortableTask)
