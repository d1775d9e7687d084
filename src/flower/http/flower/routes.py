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
from flower.api.context import Context
from flower.http.access_control import AccessRule
from flower.http.flower import tasks, workers
from flower.http.flower.datatable import get_datatable
from flower.http.flower.metrics import get_metrics

Endpoint: TypeAlias = Callable[[Request, Context], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """GET answers HEAD too."""

    method: Literal["GET", "POST", "DELETE"]
    path: str
    endpoint: Endpoint
    access: AccessRule
    #: who asks must have it, unless the access is open
    permission: Permission = "view"
    #: the name under which the audit log has it; "" if it is not an action
    audit_action: str = ""


def lazy_endpoint(name: str, module_name: str = "flower.http.flower.task_control") -> Endpoint:
    """A route of this module, imported when it is first asked for: Celery takes long to import, and a server must show
    its first page within a second of being started."""

    async def endpoint(request: Request, context: Context) -> Response:
        module = await to_thread.run_sync(partial(import_module, module_name))
        return await cast(Endpoint, getattr(module, name))(request, context)

    return endpoint


def worker_command_route(path: str, name: str) -> HttpRoute:
    """A command to the worker that ends the path."""
    endpoint = lazy_endpoint(name, "flower.http.flower.worker_control")
    return HttpRoute("POST", f"/api/worker/{path}/{{name:path}}", endpoint, "api", "workers", f"worker.{name}")


FLOWER_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/healthcheck", tasks.healthcheck, "open"),
    HttpRoute("GET", "/metrics", get_metrics, "open"),
    HttpRoute("GET", "/api/tasks", tasks.list_flower_tasks, "api"),
    HttpRoute("GET", "/tasks/datatable", get_datatable, "page"),
    HttpRoute("POST", "/tasks/datatable", get_datatable, "page"),
    HttpRoute("GET", "/api/task/types", tasks.list_flower_task_types, "api"),
    HttpRoute("GET", "/api/task/info/{name:path}", tasks.get_flower_task, "api"),
    HttpRoute("GET", "/api/task/result/{name:path}", lazy_endpoint("task_result"), "api"),
    HttpRoute("GET", "/api/workers", workers.list_flower_workers, "api"),
    worker_command_route("shutdown", "shutdown"),
    worker_command_route("pool/restart", "restart"),
    worker_command_route("pool/grow", "grow"),
    worker_command_route("pool/shrink", "shrink"),
    worker_command_route("pool/autoscale", "autoscale"),
    worker_command_route("queue/add-consumer", "add_consumer"),
    worker_command_route("queue/cancel-consumer", "cancel_consumer"),
    HttpRoute("GET", "/api/queues/length", lazy_endpoint("queue_lengths"), "api"),
    HttpRoute("POST", "/api/task/apply/{name:path}", lazy_endpoint("apply"), "api", "tasks", "task.apply"),
    HttpRoute("POST", "/api/task/async-apply/{name:path}", lazy_endpoint("async_apply"), "api", "tasks", "task.apply"),
    HttpRoute("POST", "/api/task/send-task/{name:path}", lazy_endpoint("send_task"), "api", "tasks", "task.send"),
    HttpRoute("POST", "/api/task/abort/{name:path}", lazy_endpoint("abort"), "api", "tasks", "task.abort"),
    HttpRoute("POST", "/api/task/revoke/{name:path}", lazy_endpoint("revoke"), "api", "tasks", "task.revoke"),
    HttpRoute("POST", "/api/task/timeout/{name:path}", lazy_endpoint("timeout"), "api", "tasks", "task.limit"),
    HttpRoute("POST", "/api/task/rate-limit/{name:path}", lazy_endpoint("rate_limit"), "api", "tasks", "task.limit"),
)
