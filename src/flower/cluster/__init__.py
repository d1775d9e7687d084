"""Access to the running Celery cluster: what can be requested from it and sent to it. A command never changes a record;
its effect is recorded when it is visible as an event.

    connection           broker connections, translation of broker errors
    thread_pools         threads and timeouts for blocking Celery calls
    remote_control       broadcasts, calls and inspection of workers
    workers              control commands for one worker
    task_limits          rate limits and time limits of a task type
    calls                validates the call of a task
    tasks                run, follow and stop tasks
    results              result backend
    task_metadata        what backend or worker know of a sent task
    task_registry        registered tasks
    queues               queue statistics
    inspection_cache     cache of inspect replies

Importing Celery takes about 0.3 s, and neither the first page nor the command line needs it. Modules above import this
package only, `from flower import cluster`; its submodules, and Celery with them, are imported at the first access of an
attribute such as `cluster.workers`. A server calls `load()` in a thread right after its start. `calls` and
`inspection_cache` do not import Celery and may be imported directly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flower.cluster import (
        calls,
        connection,
        inspection_cache,
        queues,
        remote_control,
        results,
        task_limits,
        task_metadata,
        task_registry,
        tasks,
        thread_pools,
        workers,
    )

__all__ = [
    "calls",
    "connection",
    "inspection_cache",
    "load",
    "queues",
    "remote_control",
    "results",
    "task_limits",
    "task_metadata",
    "task_registry",
    "tasks",
    "thread_pools",
    "workers",
]

_SUBMODULES = frozenset(__all__) - {"load"}


def load() -> None:
    """Import all submodules, and Celery with them. Blocks; a server calls it in a thread."""
    for name in sorted(_SUBMODULES):
        import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
