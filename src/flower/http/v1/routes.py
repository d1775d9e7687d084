"""The table of routes of `/api/v1`, in the order of the document."""

from typing import Final

from flower.http.v1 import (
    access,
    export,
    failures,
    gaps,
    jobs,
    queues,
    search,
    searches,
    statistics,
    stream,
    system,
    tasks,
    workers,
    workflows,
)
from flower.http.v1.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *tasks.ROUTES,
    *export.ROUTES,
    *statistics.ROUTES,
    *workflows.ROUTES,
    *workers.ROUTES,
    *queues.ROUTES,
    *jobs.ROUTES,
    *failures.ROUTES,
    *gaps.ROUTES,
    *search.ROUTES,
    *searches.ROUTES,
    *system.ROUTES,
    *stream.ROUTES,
    *access.ROUTES,
)
