"""Which tasks there are: in this process, and at the workers as they tell."""

from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery.contrib.abortable import AbortableTask

from flower.cluster import thread_pools
from flower.cluster.remote_control import call_workers
from flower.cluster.tasks import IMPORT_TIMEOUT, check_registered
from flower.errors import NotRegistered


async def is_registered(app: Celery, name: str) -> bool:
    """In this process."""
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
    """The names of the tasks of each worker that answers in time."""
    # each line is the name, and in brackets what was asked for; by default that is more
    answers = await call_workers(app, "registered", {"taskinfoitems": ["name"]})
    return {
        worker: tuple(str(line).partition(" [name=")[0] for line in lines)
        for worker, lines in answers.items()
        if isinstance(lines, list | tuple)
    }


def is_abortable(app: Celery, name: str | None) -> bool | None:
    """None for a task that this process does not have."""
    task = app.tasks.get(name) if name else None
    return None if task is None else isinstance(task, AbortableTask)
