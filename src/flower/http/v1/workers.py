"""Routes of workers: records, history, inspection and remote control."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower import cluster
from flower.api import queries
from flower.api.inspection import refresh_inspections, require_worker
from flower.api.inspection_redaction import redact_inspection
from flower.api.thread_pool import run_in_thread
from flower.cluster.inspection_cache import INSPECT_KINDS, WorkerInspection
from flower.errors import NotFound
from flower.http.v1.params import WorkerParams
from flower.http.v1.route import Handler, NoParams, RequestContext, Route
from flower.http.v1.schemas import WorkerList, WorkerRow, read_worker_rows, worker_row
from flower.http.worker_commands import send_worker_command
from flower.recorder_status import RecorderStatus
from flower.running_tasks import count_running_tasks
from flower.search.did_you_mean import did_you_mean
from flower.search.tree import Term
from flower.store.query_results import WorkerSnapshot
from flower.worker_state import judge_worker

if TYPE_CHECKING:
    from celery import Celery

#: Worker names in a hint.
_MAX_SUGGESTIONS: Final = 20


class WorkerHistoryParams(WorkerParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Maximum number of entries, newest first.")] = 1_000


class WorkerInspectionParams(WorkerParams, frozen=True, kw_only=True):
    refresh: Annotated[bool, Meta(description="Inspect the worker now, and wait for its reply.")] = False


class WorkerDetail(msgspec.Struct, frozen=True):
    """`states` is the number of its tasks in each state, `task_count` their sum."""

    worker: WorkerRow
    task_count: int
    states: dict[str, int]
    partial: str | None = None


class WorkerHistory(msgspec.Struct, frozen=True):
    """Newest first."""

    events: tuple[WorkerSnapshot, ...]


class InspectReply(msgspec.Struct, frozen=True):
    received_at: float
    value: Any


class WorkerInspectionResponse(msgspec.Struct, frozen=True):
    """The worker's last reply to each kind of `celery inspect`; a kind without a reply is absent. `answered`: whether
    it replied to the last inspection, at `inspected_at`. `alive` is as in `WorkerRow`. Secrets in settings and
    arguments are masked; arguments are text."""

    name: str
    alive: bool | None
    inspected_at: float | None
    answered: bool
    replies: dict[str, InspectReply]


class WorkerSummary(msgspec.Struct, frozen=True):
    """The last inspection of a worker in short. `concurrency` is the size of its pool, `prefetch_count` the number of
    messages it prefetches (0: no limit), `uptime` in seconds. Null: not in the reply."""

    name: str
    inspected_at: float | None
    answered: bool
    concurrency: int | None
    prefetch_count: int | None
    pool: str | None
    uptime: float | None
    queues: tuple[str, ...]


class WorkerSummaryList(msgspec.Struct, frozen=True):
    workers: tuple[WorkerSummary, ...]


class PoolResizeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    n: Annotated[int, Meta(ge=1, le=10_000, description="Number of processes or threads.")] = 1


class AutoscaleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    min: Annotated[int, Meta(ge=0, le=10_000, description="Minimum number of processes.")]
    max: Annotated[int, Meta(ge=1, le=10_000, description="Maximum number of processes.")]


class ConsumerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    queue: Annotated[str, Meta(min_length=1, max_length=255, description="The queue's name.")]


class RateLimitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rate` is a number with an optional unit: `200`, `10/s`, `90/m`, `5/h`; 0 removes the limit."""

    task: Annotated[str, Meta(min_length=1, max_length=1_000, description="The task's name.")]
    rate: Annotated[str, Meta(min_length=1, max_length=40, description="The rate limit.")]


class TimeLimitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits in seconds; null removes a limit. Workers of Celery 5 store new limits at once, but apply them only after
    they reconnect to the broker."""

    task: Annotated[str, Meta(min_length=1, max_length=1_000, description="The task's name.")]
    soft: Annotated[Annotated[float, Meta(ge=0)] | None, Meta(description="Soft time limit.")] = None
    hard: Annotated[Annotated[float, Meta(ge=0)] | None, Meta(description="Hard time limit.")] = None


class WorkerCommandResponse(msgspec.Struct, frozen=True):
    """`reply` is the worker's own message; null for a command without a reply."""

    worker: str
    reply: str | None = None


def list_workers(ctx: RequestContext, params: NoParams, body: None) -> WorkerList:
    return WorkerList(tuple(read_worker_rows(ctx.server.recorded_reader, time.time())))


def get_worker(ctx: RequestContext, params: WorkerParams, body: None) -> WorkerDetail:
    workers = ctx.store.workers()
    worker = workers.get(params.name)
    if worker is None:
        hint = did_you_mean(params.name, sorted(workers)[:_MAX_SUGGESTIONS])
        raise NotFound(f"Unknown worker '{params.name}'", hint=hint)
    tasks = ctx.store.facets(Term("worker", "equals", params.name), ("state",))
    states = {str(value.value): value.count for value in tasks.facets["state"].values}
    now, reader = time.time(), ctx.server.recorded_reader
    state = judge_worker(worker, RecorderStatus.from_dict(reader.recorder_status()), now)
    row = worker_row(worker, state, count_running_tasks(reader), now)
    return WorkerDetail(row, tasks.count, states, tasks.partial)


def get_worker_history(ctx: RequestContext, params: WorkerHistoryParams, body: None) -> WorkerHistory:
    return WorkerHistory(queries.worker_history(ctx.store, params.name, limit=params.limit))


async def get_inspection(ctx: RequestContext, params: WorkerInspectionParams, body: None) -> WorkerInspectionResponse:
    server = ctx.server
    if params.refresh:
        await refresh_inspections(server, params.name)
    else:
        await require_worker(server, params.name)
    worker = (await run_in_thread(server.store.workers)).get(params.name)
    cached = server.inspections.get(params.name)
    if worker is None and cached is None:
        raise NotFound(f"Unknown worker '{params.name}'")
    inspection = cached or WorkerInspection()
    replies: dict[str, InspectReply] = {
        kind: InspectReply(reply.received_at, redact_inspection(kind, reply.value, server.redactor))
        for kind in INSPECT_KINDS
        if (reply := inspection.replies.get(kind)) is not None
    }
    status = RecorderStatus.from_dict(await run_in_thread(server.store.recorder_status))
    state = None if worker is None else judge_worker(worker, status, time.time())
    alive = False if state is None else None if state.name == "unknown" else state.alive
    return WorkerInspectionResponse(
        params.name, alive, inspection.requested_at or None, inspection.is_responding, replies
    )


async def list_inspections(ctx: RequestContext, params: NoParams, body: None) -> WorkerSummaryList:
    await ctx.server.worker_stats.refresh(ctx.server)
    return WorkerSummaryList(
        tuple(_worker_summary(name, inspection) for name, inspection in ctx.server.inspections.all().items())
    )


def _worker_summary(name: str, inspection: WorkerInspection) -> WorkerSummary:
    stats = _as_mapping(inspection.get_value("stats"))
    pool = _as_mapping(stats.get("pool"))
    # "celery.concurrency.prefork:TaskPool" → "prefork"
    pool_name = str(pool.get("implementation") or "").rpartition(":")[0].rpartition(".")[2] or None
    return WorkerSummary(
        name=name,
        inspected_at=inspection.last_reply_at,
        answered=inspection.is_responding,
        concurrency=_pool_size(pool),
        prefetch_count=_as_int(stats.get("prefetch_count")),
        pool=pool_name,
        uptime=_as_int(stats.get("uptime")),
        queues=inspection.queues,
    )


def _pool_size(pool: Mapping[str, Any]) -> int | None:
    """The number of pool processes. Celery's `max-concurrency` remains that of the start when the pool grows."""
    processes = pool.get("processes")
    if isinstance(processes, list) and processes:
        return len(processes)
    return _as_int(pool.get("max-concurrency"))


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


async def shutdown_worker(ctx: RequestContext, params: WorkerParams, body: None) -> WorkerCommandResponse:
    await require_worker(ctx.server, params.name)
    await send_worker_command(
        ctx.server, params.name, lambda app: cluster.workers.shutdown(app, params.name), inspect_after=False
    )
    return WorkerCommandResponse(params.name)


async def restart_worker_pool(ctx: RequestContext, params: WorkerParams, body: None) -> WorkerCommandResponse:
    return await _send(
        ctx, params, lambda app, timeout: cluster.workers.restart_pool(app, params.name, timeout=timeout)
    )


async def grow_worker_pool(ctx: RequestContext, params: WorkerParams, body: PoolResizeBody) -> WorkerCommandResponse:
    return await _send(
        ctx, params, lambda app, timeout: cluster.workers.grow_pool(app, params.name, body.n, timeout=timeout)
    )


async def shrink_worker_pool(ctx: RequestContext, params: WorkerParams, body: PoolResizeBody) -> WorkerCommandResponse:
    return await _send(
        ctx, params, lambda app, timeout: cluster.workers.shrink_pool(app, params.name, body.n, timeout=timeout)
    )


async def autoscale_worker_pool(
    ctx: RequestContext, params: WorkerParams, body: AutoscaleBody
) -> WorkerCommandResponse:
    return await _send(
        ctx,
        params,
        lambda app, timeout: cluster.workers.autoscale_pool(app, params.name, body.min, body.max, timeout=timeout),
    )


async def add_worker_consumer(ctx: RequestContext, params: WorkerParams, body: ConsumerBody) -> WorkerCommandResponse:
    return await _send(
        ctx, params, lambda app, timeout: cluster.workers.add_consumer(app, params.name, body.queue, timeout=timeout)
    )


async def cancel_worker_consumer(
    ctx: RequestContext, params: WorkerParams, body: ConsumerBody
) -> WorkerCommandResponse:
    return await _send(
        ctx, params, lambda app, timeout: cluster.workers.cancel_consumer(app, params.name, body.queue, timeout=timeout)
    )


async def set_worker_rate_limit(
    ctx: RequestContext, params: WorkerParams, body: RateLimitBody
) -> WorkerCommandResponse:
    await require_worker(ctx.server, params.name)
    replies = await send_worker_command(
        ctx.server,
        params.name,
        lambda app: cluster.task_limits.task_rate_limit(body.task, body.rate, params.name, app=app),
    )
    return WorkerCommandResponse(params.name, replies["message"])


async def set_worker_time_limit(
    ctx: RequestContext, params: WorkerParams, body: TimeLimitBody
) -> WorkerCommandResponse:
    await require_worker(ctx.server, params.name)
    replies = await send_worker_command(
        ctx.server,
        params.name,
        lambda app: cluster.task_limits.task_timeout(body.task, body.soft, body.hard, params.name, app=app),
    )
    return WorkerCommandResponse(params.name, replies["message"])


async def _send(
    ctx: RequestContext,
    params: WorkerParams,
    command: "Callable[[Celery, float], Awaitable[cluster.workers.ControlReply]]",
) -> WorkerCommandResponse:
    """Send a command whose reply is awaited for the server's reply timeout."""
    await require_worker(ctx.server, params.name)
    timeout = ctx.server.reply_timeout
    reply = await send_worker_command(ctx.server, params.name, lambda app: command(app, timeout))
    return WorkerCommandResponse(reply["worker"], reply["answer"])


def _command_route(
    path: str,
    name: str,
    summary: str,
    handler: Handler,
    audit_action: str,
    reply: str | None,
    body: type[msgspec.Struct] | None = None,
    body_example: Mapping[str, Any] | None = None,
) -> Route:
    return Route(
        "POST", f"/workers/{{name}}/{path}", name, "workers", summary, handler,
        params=WorkerParams, body=body, response=WorkerCommandResponse, permission="workers",
        audit_action=audit_action, example={"worker": "celery@w1", "reply": reply}, body_example=body_example,
    )  # fmt: skip


_SUMMARIES_EXAMPLE: Final[dict[str, Any]] = {
    "workers": [
        {
            "name": "celery@w1",
            "inspected_at": 1795342590.1,
            "answered": True,
            "concurrency": 8,
            "prefetch_count": 32,
            "pool": "prefork",
            "uptime": 86400.0,
            "queues": ["celery"],
        }
    ]
}
_INSPECTION_EXAMPLE: Final[dict[str, Any]] = {
    "name": "celery@w1",
    "alive": True,
    "inspected_at": 1795342590.0,
    "answered": True,
    "replies": {"active_queues": {"received_at": 1795342590.1, "value": [{"name": "celery"}]}},
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/workers", "listWorkers", "workers", "List all recorded workers", list_workers,
        response=WorkerList, example="workers",
    ),
    Route(
        "GET", "/workers/{name}", "getWorker", "workers", "Get a worker with the states of its tasks", get_worker,
        params=WorkerParams, response=WorkerDetail, example="workers/celery@w1",
    ),
    Route(
        "GET", "/workers/{name}/history", "getWorkerHistory", "workers",
        "Get the history of a worker: online, offline and periodic heartbeats", get_worker_history,
        params=WorkerHistoryParams, response=WorkerHistory, example="workers/celery@w1/history?limit=2",
    ),
    Route(
        "GET", "/inspections", "listWorkerInspections", "workers", "List summaries of the last worker inspections",
        list_inspections, response=WorkerSummaryList, example=_SUMMARIES_EXAMPLE,
    ),
    Route(
        "GET", "/workers/{name}/inspection", "getWorkerInspection", "workers",
        "Get a worker's last replies to inspection, or inspect it now", get_inspection,
        params=WorkerInspectionParams, response=WorkerInspectionResponse, example=_INSPECTION_EXAMPLE,
    ),
    _command_route("shutdown", "shutdownWorker", "Shut down a worker", shutdown_worker, "worker.shutdown", None),
    _command_route(
        "pool/restart", "restartWorkerPool", "Restart a worker's pool", restart_worker_pool, "worker.restart",
        "reload started",
    ),
    _command_route(
        "pool/grow", "growWorkerPool", "Add processes to a worker's pool", grow_worker_pool, "worker.grow",
        "pool will grow", PoolResizeBody, {"n": 2},
    ),
    _command_route(
        "pool/shrink", "shrinkWorkerPool", "Remove processes from a worker's pool; at least one must remain",
        shrink_worker_pool, "worker.shrink", "pool will shrink", PoolResizeBody, {"n": 1},
    ),
    _command_route(
        "pool/autoscale", "autoscaleWorkerPool", "Set the limits of a worker's autoscaler", autoscale_worker_pool,
        "worker.autoscale", "autoscale now max=10 min=3", AutoscaleBody, {"min": 3, "max": 10},
    ),
    _command_route(
        "consumers/add", "addWorkerConsumer", "Add a consumer: the worker starts consuming a queue",
        add_worker_consumer, "worker.add_consumer", "add consumer mail", ConsumerBody, {"queue": "mail"},
    ),
    _command_route(
        "consumers/cancel", "cancelWorkerConsumer", "Remove a consumer: the worker stops consuming a queue",
        cancel_worker_consumer, "worker.cancel_consumer", "no longer consuming from mail", ConsumerBody,
        {"queue": "mail"},
    ),
    _command_route(
        "limits/rate", "setWorkerRateLimit", "Set the rate limit of a task type on a worker", set_worker_rate_limit,
        "worker.rate_limit", "new rate limit set successfully", RateLimitBody, {"task": "shop.charge", "rate": "10/s"},
    ),
    _command_route(
        "limits/time", "setWorkerTimeLimit", "Set the time limits of a task type on a worker", set_worker_time_limit,
        "worker.time_limit", "time limits set successfully", TimeLimitBody,
        {"task": "shop.charge", "soft": 20.0, "hard": 30.0},
    ),
)  # fmt: skip
