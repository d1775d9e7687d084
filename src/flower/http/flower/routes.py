"""The table of routes of Flower's HTTP API. Path elements are percent-decoded; the last one may contain slashes."""

from flower.http.flower import task_control, tasks, worker_control, workers
from flower.http.flower.datatable import get_datatable
from flower.http.flower.metrics import get_metrics
from flower.http.route import Endpoint, HttpRoute


def _worker_command(path: str, endpoint: Endpoint, audit_action: str) -> HttpRoute:
    return HttpRoute("POST", f"/api/worker/{path}/{{name:path}}", endpoint, "api", "workers", audit_action)


def _task_action(path: str, endpoint: Endpoint, audit_action: str) -> HttpRoute:
    return HttpRoute("POST", f"/api/task/{path}/{{name:path}}", endpoint, "api", "tasks", audit_action)


FLOWER_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/healthcheck", tasks.healthcheck, "public"),
    HttpRoute("GET", "/metrics", get_metrics, "public"),
    HttpRoute("GET", "/api/tasks", tasks.list_flower_tasks, "api"),
    HttpRoute("GET", "/tasks/datatable", get_datatable, "page"),
    HttpRoute("POST", "/tasks/datatable", get_datatable, "page"),
    HttpRoute("GET", "/api/task/types", tasks.list_flower_task_types, "api"),
    HttpRoute("GET", "/api/task/info/{name:path}", tasks.get_flower_task, "api"),
    HttpRoute("GET", "/api/task/result/{name:path}", task_control.get_flower_result, "api"),
    HttpRoute("GET", "/api/workers", workers.list_flower_workers, "api"),
    _worker_command("shutdown", worker_control.worker_shutdown, "worker.shutdown"),
    _worker_command("pool/restart", worker_control.pool_restart, "worker.restart"),
    _worker_command("pool/grow", worker_control.pool_grow, "worker.grow"),
    _worker_command("pool/shrink", worker_control.pool_shrink, "worker.shrink"),
    _worker_command("pool/autoscale", worker_control.pool_autoscale, "worker.autoscale"),
    _worker_command("queue/add-consumer", worker_control.queue_add_consumer, "worker.add_consumer"),
    _worker_command("queue/cancel-consumer", worker_control.queue_cancel_consumer, "worker.cancel_consumer"),
    HttpRoute("GET", "/api/queues/length", task_control.get_queue_lengths, "api"),
    _task_action("apply", task_control.apply_flower_task, "task.apply"),
    _task_action("async-apply", task_control.async_apply_flower_task, "task.apply"),
    _task_action("send-task", task_control.send_flower_task, "task.send"),
    _task_action("abort", task_control.abort_flower_task, "task.abort"),
    _task_action("revoke", task_control.revoke_flower_task, "task.revoke"),
    _task_action("timeout", task_control.set_flower_time_limit, "task.limit"),
    _task_action("rate-limit", task_control.set_flower_rate_limit, "task.limit"),
)
