"""The table of routes that act, room by room."""

from flower.http.v1 import access, failures, jobs, searches, system, tasks
from flower.http.v1.queues import QUEUE_ROUTES
from flower.http.v1.route import ActionRoute
from flower.http.v1.workers import WORKER_ROUTES

ALL_ACTION_ROUTES: tuple[ActionRoute, ...] = (
    *tasks.TASK_ACTION_ROUTES,
    *failures.FAILURE_ROUTES,
    *jobs.JOB_ROUTES,
    *WORKER_ROUTES,
    *QUEUE_ROUTES,
    *searches.SAVED_SEARCH_ROUTES,
    *system.SYSTEM_ROUTES,
    *access.ACCESS_ROUTES,
)
