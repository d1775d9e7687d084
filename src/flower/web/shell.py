"""The one page that all addresses of people answer with: a browser loads its modules, which read `/api/v1` and show
what the address says. What the server does itself: the title, the status, and which files to fetch at once."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.guards import is_open
from flower.api.inspecting import check_worker
from flower.api.reading import read
from flower.api.routes import Endpoint, Route
from flower.config import DEFAULTS
from flower.errors import NotFound, Unavailable
from flower.web.assets import Assets, current
from flower.web.columns import columns_of
from flower.web.templates import render
from flower.web.values import visible

log = logging.getLogger(__name__)

#: Gives the title and whether there is such a thing.
Look: TypeAlias = Callable[[Request, Context], Awaitable[tuple[str, bool]]]

#: As that of the other pages, and the base of relative addresses may be ours.
POLICY: Final = "default-src 'self'; base-uri 'self'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"

#: Style sheets, in the order in which they are read.
STYLES: Final = (
    "vendor/uplot.css", "css/tokens.css", "css/base.css", "css/shell.css", "css/controls.css", "css/search.css",
    "css/grid.css", "css/task.css", "css/overview.css", "css/cluster.css",
)  # fmt: skip

#: All of them in one, which a bundle has.
STYLE: Final = "css/all.css"


async def task_look(request: Request, context: Context) -> tuple[str, bool]:
    uuid = request.path_params["name"]
    task = await read(lambda: context.store.task(uuid))
    if task is None:
        return f"Unknown task '{uuid}'", False
    return f"{task.name or 'Task'} {task.uuid[:8]}", True


async def worker_look(request: Request, context: Context) -> tuple[str, bool]:
    """Known by its events, or because it answers: one that sends no events is asked, and waited for."""
    name = request.path_params["name"]
    try:
        await check_worker(context, name)
    except NotFound as error:
        return error.message, False
    except Unavailable as error:
        log.warning("Cannot ask worker '%s': %s", name, error.message)
        return f"Unknown worker '{name}'", False
    return name, True


async def queue_look(request: Request, context: Context) -> tuple[str, bool]:
    """A queue that nobody eats from and that is empty is no longer at the broker: its page says what is known of it."""
    return str(request.path_params["name"]), True


async def job_look(request: Request, context: Context) -> tuple[str, bool]:
    job = request.path_params["name"]
    found = await read(lambda: context.ledger.jobs.job(job))
    return (f"Bulk job {found.id}", True) if found else (f"Unknown job '{job}'", False)


def shell(module: str, title: str = "", look: Look | None = None) -> Endpoint:
    """The page whose module is `js/pages/<module>.js`."""

    async def page(request: Request, context: Context) -> Response:
        shown, found = (title, True) if look is None else await look(request, context)
        known = await read(lambda: current(context))
        values = {
            "root": context.root,
            "title": visible(shown),
            "found": found,
            "settings": json.dumps(_settings(context, known, found)),
            "styles": [known.address(context.root, name) for name in ((STYLE,) if STYLE in known.files else STYLES)],
            "modules": [
                known.address(context.root, name) for name in known.modules("js/main.js", f"js/pages/{module}.js")
            ],
            "file": lambda name: known.address(context.root, name),
        }
        headers = {"content-type": "text/html; charset=UTF-8", "content-security-policy": POLICY}
        return Response(
            render("shell.html", values), 200 if found else 404, headers={**headers, "cache-control": "no-cache"}
        )

    return page


#: Addresses of people. `js/routes.js` says the same to the browser.
SHELL_PAGES: tuple[Route, ...] = (
    Route("GET", "/tasks", shell("tasks", "Tasks"), "page"),
    Route("GET", "/task/{name:path}", shell("task", look=task_look), "page"),
    Route("GET", "/failures", shell("failures", "Failures"), "page"),
    Route("GET", "/failures/{name:path}", shell("failure", "Failure"), "page"),
    Route("GET", "/workflows", shell("workflows", "Workflows"), "page"),
    Route("GET", "/workflows/{name:path}", shell("workflow", "Workflow"), "page"),
    Route("GET", "/audit", shell("audit", "Audit log"), "page"),
    Route("GET", "/jobs", shell("jobs", "Bulk jobs"), "page"),
    Route("GET", "/jobs/{name:path}", shell("job", look=job_look), "page"),
    Route("GET", "/settings", shell("settings", "Settings"), "page"),
)


def _settings(context: Context, known: Assets, found: bool) -> dict[str, Any]:
    """What the modules need to know before they ask."""
    chosen = context.tasks_columns != DEFAULTS.tasks_columns
    return {
        "root": context.root,
        "assets": known.address(context.root, ""),
        "found": found,
        "columns": list(columns_of(context.tasks_columns)) if chosen else [],
        "natural_time": context.natural_time,
        "auto_refresh": context.auto_refresh,
        "log_url": context.log_url,
        "read_only": context.read_only,
        "can_act": not context.read_only and (context.authenticated or is_open()),
        "login": context.authenticated,
        "max_age": context.max_age,
        "max_tasks": context.max_tasks,
        "purge_offline": context.purge_offline_workers,
        "bulk_limit": context.bulk_limit,
    }
