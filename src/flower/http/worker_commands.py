"""Commands to one worker, shared by Flower's API and `/api/v1`."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from flower.api.context import Context
from flower.api.inspection import load_celery_app, schedule_inspection

if TYPE_CHECKING:
    from celery import Celery

T = TypeVar("T")


async def send_worker_command(
    context: Context, worker: str, command: "Callable[[Celery], Awaitable[T]]", *, inspect_after: bool = True
) -> T:
    """Run a command of `flower.cluster`, then refresh the worker's inspection in the background.

    Raises Forbidden if the worker rejects the command, DeadlineExceeded if it does not reply."""
    app = await load_celery_app(context)
    try:
        return await command(app)
    finally:
        if inspect_after:
            schedule_inspection(context, worker)
