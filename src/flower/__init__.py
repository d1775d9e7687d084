"""Bellflower: monitor and manage Celery.

The names below are imported on first use, so that `import flower` stays fast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flower.api.task_lists import get_task_by_id, iter_tasks
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
    from flower.events import Events

__all__ = [
    "Events",
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

_MODULES = dict.fromkeys(__all__, "flower.api.tasks") | {
    "Events": "flower.events",
    "get_task_by_id": "flower.api.task_lists",
    "iter_tasks": "flower.api.task_lists",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - takes 50 ms, and most starts do not need it

        return version("bellflower")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'flower' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
