"""The table of routes that act, room by room."""

from flower.api.v1.acting import Action
from flower.api.v1.actions import access, failures, jobs, searches, standing, tasks
from flower.api.v1.actions.queues import QUEUES
from flower.api.v1.actions.workers import WORKERS

ACTIONS: tuple[Action, ...] = (
    *tasks.ACTIONS,
    *failures.ACTIONS,
    *jobs.ACTIONS,
    *WORKERS,
    *QUEUES,
    *searches.ACTIONS,
    *standing.ACTIONS,
    *access.ACTIONS,
)
