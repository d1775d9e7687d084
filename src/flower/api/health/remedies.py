"""Causes and remedies that health and `flower doctor` state in the same words."""

from collections.abc import Mapping, Sequence
from typing import Final

from flower.recorder_status import NoEventsCause

#: Names that a text lists.
_MAX_NAMES: Final = 5

ENABLE_EVENTS_REMEDY: Final = "Start workers with -E, or set worker_send_task_events = True."
RESULT_BACKEND_REMEDY: Final = (
    "Check result_backend: address, password, and permission to read the keys celery-task-meta-*, or the table "
    "celery_taskmeta (with Django, django_celery_results_taskresult: run `manage.py migrate`)."
)


def describe_no_events(cause: NoEventsCause, names: Sequence[str]) -> str:
    """Why the task events of these workers are disabled, without a full stop."""
    return f"{list_names(names)} {_NO_EVENTS_CAUSES[cause]}"


_NO_EVENTS_CAUSES: Final[Mapping[NoEventsCause, str]] = {
    "no_dispatcher": (
        "cannot send events: started without -E, with --without-gossip and --without-heartbeat. No command enables "
        "their events"
    ),
    "no_remote_control": (
        "cannot be controlled: no reply to commands, as with worker_enable_remote_control = False. No command enables "
        "task events there"
    ),
    "not_enabled": "send no task events: these are disabled, and enable_events is off. No tasks are recorded",
}


def remedy_no_events(cause: NoEventsCause) -> str:
    option = " Or remove --enable-events=false." if cause == "not_enabled" else ""
    return f"{ENABLE_EVENTS_REMEDY}{option}"


def list_names(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
