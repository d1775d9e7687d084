"""Routes of the pages: an HTML shell whose scripts load the data from `/api/v1`.

The server determines the title, the status and which files the browser should load first."""

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
from flower.http.request_params import read_params
from flower.http.responses import JSON, OK, STATUS_BY_CODE
from flower.http.route import Endpoint, HttpRoute
from flower.http.v1.task_rows import current_column_name
from flower.web.assets import STYLE_SHEET, Assets, load_current_assets
from flower.web.rendering import escape_invisible, render_template

log = logging.getLogger(__name__)

#: The title of a page, and whether its subject exists.
PageInfo: TypeAlias = Callable[[Request, Context], Awaitable[tuple[str, bool]]]

#: The policy of the other pages, with a <base> of the same origin.
SHELL_POLICY: Final = (
    "default-src 'self'; base-uri 'self'; form-action 'self'; object-src 'none'; frame-ancestors 'none'"
)

#: The request of the tasks page for its first rows, without a query and with the default columns, as
#: `js/explorer/useRows.js` makes it: the browser sends it before the scripts are loaded.
FIRST_ROWS: Final = (
    "/api/v1/tasks?columns=uuid%2Cname%2Cstate%2Ctime_at%2Clost%2Cdouble_run%2Cexception%2Cargs%2Ckwargs%2Cqueue"
    "%2Cworker%2Cruntime%2Cruntime_derived&text_limit=1024&limit=200"
)

#: Words of the option `tasks_columns`: those of Flower, and `queue`.
EXPLORER_COLUMNS: Final = (
    "name", "uuid", "state", "args", "kwargs", "result", "received", "started", "runtime", "worker", "exchange",
    "routing_key", "retries", "revoked", "exception", "expires", "eta", "queue",
)  # fmt: skip


def parse_tasks_columns(option: str) -> tuple[str, ...]:
    """The columns of the option `tasks_columns` by their names in `/api/v1`; unknown words are ignored."""
    words = dict.fromkeys(word.strip().lower() for word in option.split(","))
    return tuple(current_column_name(word) for word in words if word in EXPLORER_COLUMNS)


async def task_page_info(request: Request, context: Context) -> tuple[str, bool]:
    uuid = request.path_params["name"]
    task = await run_in_thread(lambda: context.store.task(uuid))
    if task is None:
        return f"Unknown task '{uuid}'", False
    return f"{task.name or 'Task'} {task.uuid[:8]}", True


async def worker_page_info(request: Request, context: Context) -> tuple[str, bool]:
    """A worker exists if it has sent events or replies to inspection."""
    name = request.path_params["name"]
    try:
        await require_worker(context, name)
    except NotFound as error:
        return error.message, False
    except BackendUnavailable as error:
        log.warning("Worker '%s' cannot be inspected: %s", name, error.message)
        return f"Unknown worker '{name}'", False
    return name, True


async def queue_page_info(request: Request, context: Context) -> tuple[str, bool]:
    """Every queue has a page: brokers delete empty queues without consumers, whose history is still recorded."""
    return str(request.path_params["name"]), True


async def job_page_info(request: Request, context: Context) -> tuple[str, bool]:
    job_id = request.path_params["name"]
    job = await run_in_thread(lambda: context.ledger.jobs.job(job_id))
    return (f"Bulk job {job.id}", True) if job else (f"Unknown job '{job_id}'", False)


def shell_page(module: str, title: str = "", page_info: PageInfo | None = None) -> Endpoint:
    """The page of the module `js/pages/<module>.js`."""

    async def page(request: Request, context: Context) -> Response:
        page_title, exists = (title, True) if page_info is None else await page_info(request, context)
        assets = await load_current_assets(context)
        root = context.root_path
        modules = assets.module_closure("js/main.js", f"js/pages/{module}.js")
        values = {
            "root": root,
            "title": escape_invisible(page_title),
            "found": exists,
            "settings": json.dumps(_bootstrap_data(context, assets, exists)),
            "style": assets.url(root, STYLE_SHEET),
            "modules": [assets.url(root, name) for name in modules],
            "data": [root + FIRST_ROWS] if module == "tasks" and _has_first_rows(request, context) else [],
            "file": lambda name: assets.url(root, name),
        }
        return Response(
            render_template("shell.html", values),
            OK if exists else STATUS_BY_CODE["not_found"],
            headers={
                "content-type": "text/html; charset=UTF-8",
                "content-security-policy": SHELL_POLICY,
            },
        )

    return page


def _has_first_rows(request: Request, context: Context) -> bool:
    return not request.url.query and context.tasks_columns == DEFAULT_CONFIG.tasks_columns


def _bootstrap_data(context: Context, assets: Assets, exists: bool) -> dict[str, Any]:
    """Settings that the scripts need before their first request."""
    has_own_columns = context.tasks_columns != DEFAULT_CONFIG.tasks_columns
    return {
        "root": context.root_path,
        "assets": assets.url(context.root_path, ""),
        "found": exists,
        "columns": list(parse_tasks_columns(context.tasks_columns)) if has_own_columns else [],
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
    """The page with Flower's parameters: `json` returns the rows of all workers, `refresh` inspects the workers in the
    background."""

    async def endpoint(request: Request, context: Context) -> Response:
        params = await read_params(request)
        if params.get_bool("refresh"):
            schedule_inspection(context)
        if params.get_bool("json"):
            content = await run_in_thread(lambda: dump_json({"data": list_worker_rows(context)}))
            return Response(content, headers={"content-type": JSON})
        return await page(request, context)

    return endpoint


def _page(path: str, endpoint: Endpoint) -> HttpRoute:
    return HttpRoute("GET", path, endpoint, "page")


#: The pages. `js/routes.js` has the same paths for navigation in the browser.
PAGE_ROUTES: tuple[HttpRoute, ...] = (
    _page("/", json_variant(shell_page("overview", "Overview"))),
    _page("/tasks", shell_page("tasks", "Tasks")),
    _page("/task/{name:path}", shell_page("task", page_info=task_page_info)),
    _page("/workers", json_variant(shell_page("workers", "Workers"))),
    _page("/worker/{name:path}", shell_page("worker", page_info=worker_page_info)),
    _page("/broker", shell_page("queues", "Broker")),
    _page("/queues", shell_page("queues", "Queues")),
    _page("/queues/{name:path}", shell_page("queue", page_info=queue_page_info)),
    _page("/failures", shell_page("failures", "Failures")),
    _page("/failures/{name:path}", shell_page("failure", "Failure")),
    _page("/workflows", shell_page("workflows", "Workflows")),
    _page("/workflows/{name:path}", shell_page("workflow", "Workflow")),
    _page("/audit", shell_page("audit", "Audit log")),
    _page("/jobs", shell_page("jobs", "Bulk jobs")),
    _page("/jobs/{name:path}", shell_page("job", page_info=job_page_info)),
    _page("/settings", shell_page("settings", "Settings")),
)
