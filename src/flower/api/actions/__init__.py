"""Actions on tasks: run again, run, revoke, terminate, abort, one by one or in bulk. The HTTP API and the command line
call these very functions.

The names are loaded when they are first used: most of them bring Celery in, which a web server imports as late as it
can.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flower.api.actions.bulk_plan import Selection, plan_job, start_job
    from flower.api.actions.bulk_runner import finish_job
    from flower.api.actions.models import ActionContext
    from flower.api.actions.registered import registered_tasks
    from flower.api.actions.rerun import rerun_task, run_task
    from flower.api.actions.stop import abort_task, revoke_task, terminate_task

__all__ = [
    "ActionContext",
    "Selection",
    "abort_task",
    "finish_job",
    "plan_job",
    "registered_tasks",
    "rerun_task",
    "revoke_task",
    "run_task",
    "start_job",
    "terminate_task",
]

_HOMES = {
    "ActionContext": "models",
    "Selection": "bulk_plan",
    "plan_job": "bulk_plan",
    "start_job": "bulk_plan",
    "registered_tasks": "registered",
    "finish_job": "bulk_runner",
    "rerun_task": "rerun",
    "run_task": "rerun",
    "abort_task": "stop",
    "revoke_task": "stop",
    "terminate_task": "stop",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
