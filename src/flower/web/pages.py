"""The columns of the explorer by the words of the option `tasks_columns`.

The one page that all addresses of people answer with: a browser loads its modules, which read `/api/v1` and show
what the address says. What the server does itself: the title, the status, and which files to fetch at once.

The addresses of workers and queues that Flower has, and the data behind Flower's table of workers."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.inspection import require_worker, schedule_inspection
from flower.api.json_encoder import dump_json
from flower.api.thread_pool import run_in_thread
from flower.api.worker_table import list_worker_rows
from flower.config import DEFAULT_CONFIG
from flower.errors import BackendUnavailable, NotFound
from flower.http.access_control import unauthenticated_api_enabled
from flower.http.flower.routes import Endpoint, HttpRoute
from flower.http.request_params import read_params
from flower.http.responses import JSON
from flower.web.assets import Assets, current_assets
from flower.web.rendering import escape_invisible, render_template

#: As Flower has them, and `queue`. The pages know more; these can be the first ones.
EXPLORER_COLUMNS: Final = (
    "name", "uuid", "state", "args", "kwargs", "result", "received", "started", "runtime", "worker", "exchange",
    "routing_key", "retries", "revoked", "exception", "expires", "eta", "queue",
)  # fmt: skip


def parse_tasks_columns(option: str) -> tuple[str, ...]:
    """In the order of the option; words that name no column are left out."""
    words = dict.fromkeys(word.strip().lower() for word in option.split(","))
    return tuple(word for word in words if word in EXPLORER_COLUMNS)


log = logging.getLogger(__name__)

#: Gives the title and whether there is such a thing.
PageInfo: TypeAlias = Callable[[Request, Context], Awaitable[tuple[str, bool]]]

#: As that of the other pages, and the base of relative addresses may be ours.
SHELL_POLICY: Final = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"
)

#: Style sheets, in the order in which they are read.
STYLE_SHEETS: Final = (
    "vendor/uplot.css", "css/tokens.css", "css/base.css", "css/shell.css", "css/controls.css", "css/search.css",
    "css/grid.css", "css/task.css", "css/overview.css", "css/cluster.css",
)  # fmt: skip

#: All of them in one, which a bundle has.
BUNDLED_STYLE_SHEET: Final = "css/all.css"


async def task_page_info(request: Request, context: Context) -> tuple[str, bool]:
    uuid = request.path_params["name"]
    task = await run_in_thread(lambda: context.store.task(uuid))
    if task is None:
        return f"Unknown task '{uuid}'", False
    return f"{task.name or 'Task'} {task.uuid[:8]}", True


async def worker_page_info(request: Request, context: Context) -> tuple[str, bool]:
    """Known by its events, or because it answers: one that sends no events is asked, and waited for."""
    name = request.path_params["name"]
    try:
        await require_worker(context, name)
    except NotFound as error:
        return error.message, False
    except BackendUnavailable as error:
        log.warning("Cannot ask worker '%s': %s", name, error.message)
        return f"Unknown worker '{name}'", False
    return name, True


async def queue_page_info(request: Request, context: Context) -> tuple[str, bool]:
    """A queue that nobody eats from and that is empty is no longer at the broker: its page says what is known of it."""
    return str(request.path_params["name"]), True


async def job_page_info(request: Request, context: Context) -> tuple[str, bool]:
    job = request.path_params["name"]
    found = await run_in_thread(lambda: context.ledger.jobs.job(job))
    return (f"Bulk job {found.id}", True) if found else (f"Unknown job '{job}'", False)


def shell_page(module: str, title: str = "", page_info: PageInfo | None = None) -> Endpoint:
    """The page whose module is `js/pages/<module>.js`."""

    async def page(request: Request, context: Context) -> Response:
        shown, found = (title, True) if page_info is None else await page_info(request, context)
        known = await run_in_thread(lambda: current_assets(context))
        values = {
            "root": context.root_path,
            "title": escape_invisible(shown),
            "found": found,
            "settings": json.dumps(_bootstrap_data(context, known, found)),
            "styles": [
                known.url(context.root_path, name)
                for name in ((BUNDLED_STYLE_SHEET,) if BUNDLED_STYLE_SHEET in known.files else STYLE_SHEETS)
            ],
            "modules": [
                known.url(context.root_path, name)
                for name in known.module_closure("js/main.js", f"js/pages/{module}.js")
            ],
            "file": lambda name: known.url(context.root_path, name),
        }
        headers = {"content-type": "text/html; charset=UTF-8", "content-security-policy": SHELL_POLICY}
        return Response(
            render_template("shell.html", values),
            200 if found else 404,
            headers={**headers, "cache-control": "no-cache"},
        )

    return page


#: Addresses of people. `js/routes.js` says the same to the browser.
SHELL_PAGE_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/tasks", shell_page("tasks", "Tasks"), "page"),
    HttpRoute("GET", "/task/{name:path}", shell_page("task", page_info=task_page_info), "page"),
    HttpRoute("GET", "/failures", shell_page("failures", "Failures"), "page"),
    HttpRoute("GET", "/failures/{name:path}", shell_page("failure", "Failure"), "page"),
    HttpRoute("GET", "/workflows", shell_page("workflows", "Workflows"), "page"),
    HttpRoute("GET", "/workflows/{name:path}", shell_page("workflow", "Workflow"), "page"),
    HttpRoute("GET", "/audit", shell_page("audit", "Audit log"), "page"),
    HttpRoute("GET", "/jobs", shell_page("jobs", "Bulk jobs"), "page"),
    HttpRoute("GET", "/jobs/{name:path}", shell_page("job", page_info=job_page_info), "page"),
    HttpRoute("GET", "/settings", shell_page("settings", "Settings"), "page"),
)


def _bootstrap_data(context: Context, known: Assets, found: bool) -> dict[str, Any]:
    """What the modules need to know before they ask."""
    chosen = context.tasks_columns != DEFAULT_CONFIG.tasks_columns
    return {
        "root": context.root_path,
        "assets": known.url(context.root_path, ""),
        "found": found,
        "columns": list(parse_tasks_columns(context.tasks_columns)) if chosen else [],
        "natural_time": context.natural_time,
        "auto_refresh": context.auto_refresh,
        "log_url": context.log_url,
        "read_only": context.read_only,
        "can_act": not context.read_only and (context.login_required or unauthenticated_api_enabled()),
        "login": context.login_required,
        "max_age": context.max_age,
        "max_tasks": context.max_tasks,
        "purge_offline": context.purge_offline_workers,
        "bulk_limit": context.bulk_limit,
    }


def json_variant(page: Endpoint) -> Endpoint:
    """The page; with `json` the rows of all workers instead, and with `refresh` they are asked how they are, as in
    Flower."""

    async def endpoint(request: Request, context: Context) -> Response:
        asked = await read_params(request)
        if asked.get_bool("refresh"):
            schedule_inspection(context)
        if asked.get_bool("json"):
            return Response(
                await run_in_thread(lambda: dump_json({"data": list_worker_rows(context)})),
                headers={"content-type": JSON},
            )
        return await page(request, context)

    return endpoint


CLUSTER_PAGE_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/", json_variant(shell_page("overview", "Overview")), "page"),
    HttpRoute("GET", "/workers", json_variant(shell_page("workers", "Workers")), "page"),
    HttpRoute("GET", "/worker/{name:path}", shell_page("worker", page_info=worker_page_info), "page"),
    HttpRoute("GET", "/broker", shell_page("queues", "Broker"), "page"),
    HttpRoute("GET", "/queues", shell_page("queues", "Queues"), "page"),
    HttpRoute("GET", "/queues/{name:path}", shell_page("queue", page_info=queue_page_info), "page"),
)
