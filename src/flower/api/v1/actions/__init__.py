"""The table of routes that act, room by room."""

from flower.api.v1.acting import Action
from flower.api.v1.actions import access, jobs, tasks

ACTIONS: tuple[Action, ...] = (
    *tasks.ACTIONS,
    *jobs.ACTIONS,
    *access.ACTIONS,
)
