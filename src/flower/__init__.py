"""Bellflower: watch and steer Celery, and remember.

What is documented can be imported from here; it is looked up when it is first asked for, so that importing this
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flower.api.listing import get_task_by_id, iter_tasks
    from flower.api.tasks import (
        get_task_result,
        task_abort,
        task_apply,
        task_async_apply,
        task_rate_limit,
        task_revoke,
        task_send_task,
        task_timeout,
    )

_HOMES = {
    "Events": "flower.events",
    "get_task_by_id": "flower.api.listing",
    "get_task_result": "flower.api.tasks",
    "iter_tasks": "flower.api.listing",
    "task_abort": "flower.api.tasks",
    "task_apply": "flower.api.tasks",
    "task_async_apply": "flower.api.tasks",
    "task_rate_limit": "flower.api.tasks",
    "task_revoke": "flower.api.tasks",
    "task_send_task": "flower.api.tasks",
    "task_timeout": "flower.api.tasks",
}

__all__ = [
    "get_task_by_id",
    "get_task_result",
    "iter_tasks",
    "task_abort",
    "task_apply",
    "task_async_apply",
    "task_rate_limit",
    "task_revoke",
    "task_send_task",
    "task_timeout",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'flower' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
