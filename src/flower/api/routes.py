"""The table of routes of the HTTP API. Path elements are percent-decoded; the last one may hold slashes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Literal, TypeAlias, cast

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from flower.access import Permission
from flower.api import records, workers
from flower.api.context import Context
from flower.api.datatable import datatable
from flower.api.guards import Access
from flower.api.metering import metrics

Endpoint: TypeAlias = Callable[[Request, Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """GET answers HEAD too."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    endpoint: Endpoint
    access: Access
    #: who asks must have it, unless the access is open
    permission: Permission = "view"
    #: the name under which the audit log has it; "" if it is not an action
    action: str = ""


def control(name: str, where: str = "flower.api.control") -> Endpoint:
    """A route of this module, imported when it is first asked for: Celery takes long to import, and a server must show
    its first page within a second of being started."""

    async def endpoint(request: Request, context: Context) -> Response:
        module = await to_thread.run_sync(partial(import_module, where))
        return await cast(Endpoint, getattr(module, name))(request, context)

    return endpoint


def command(path: str, name: str) -> Route:
    """A command to the worker that ends the path."""
    endpoint = control(name, "flower.api.worker_commands")
    return Route("POST", f"/api/worker/{path}/{{name:path}}", endpoint, "api", "workers", f"worker.{name}")


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthcheck", records.healthcheck, "open"),
    Route("GET", "/metrics", metrics, "open"),
    Route("GET", "/api/tasks", records.list_tasks, "api"),
    Route("GET", "/tasks/datatable", datatable, "page"),
    Route("POST", "/tasks/datatable", datatable, "page"),
    Route("GET", "/api/task/types", records.task_types, "api"),
    Route("GET", "/api/task/info/{name:path}", records.task_info, "api"),
    Route("GET", "/api/task/result/{name:path}", control("task_result"), "api"),
    Route("GET", "/api/workers", workers.list_workers, "api"),
    command("shutdown", "shutdown"),
    command("pool/restart", "restart"),
    command("pool/grow", "grow"),
    command("pool/shrink", "shrink"),
    command("pool/autoscale", "autoscale"),
    command("queue/add-consumer", "add_consumer"),
    command("queue/cancel-consumer", "cancel_consumer"),
    Route("GET", "/api/queues/length", control("queue_lengths"), "api"),
    Route("POST", "/api/task/apply/{name:path}", control("apply"), "api", "tasks", "task.apply"),
    Route("POST", "/api/task/async-apply/{name:path}", control("async_apply"), "api", "tasks", "task.apply"),
    Route("POST", "/api/task/send-task/{name:path}", control("send_task"), "api", "tasks", "task.send"),
    Route("POST", "/api/task/abort/{name:path}", control("abort"), "api", "tasks", "task.abort"),
    Route("POST", "/api/task/revoke/{name:path}", control("revoke"), "api", "tasks", "task.revoke"),
    Route("POST", "/api/task/timeout/{name:path}", control("timeout"), "api", "tasks", "task.limit"),
    Route("POST", "/api/task/rate-limit/{name:path}", control("rate_limit"), "api", "tasks", "task.limit"),
)
