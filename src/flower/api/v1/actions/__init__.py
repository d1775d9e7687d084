"""The table of routes that act, room by room."""

from flower.api.v1.acting import ActionRoute
from flower.api.v1.actions import access, failures, jobs, searches, standing, tasks
from flower.api.v1.actions.queues import QUEUE_ROUTES
from flower.api.v1.actions.workers import WORKER_ROUTES

ALL_ACTION_ROUTES: tuple[ActionRoute, ...] = (
    *tasks.TASK_ACTION_ROUTES,
    *failures.FAILURE_ROUTES,
    *jobs.JOB_ROUTES,
    *WORKER_ROUTES,
    *QUEUE_ROUTES,
    *searches.SAVED_SEARCH_ROUTES,
    *standing.SYSTEM_ROUTES,
    *access.ACCESS_ROUTES,
)
