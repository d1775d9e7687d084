"""Workers: what they say of themselves, and commands to them."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.api.inspection import refresh_inspections, require_worker
from flower.api.inspection_redaction import redact_inspection
from flower.api.thread_pool import run_in_thread
from flower.cluster.inspection_cache import INSPECT_KINDS, WorkerInspection
from flower.errors import NotFound
from flower.http.v1.params import WorkerParams
from flower.http.v1.route import ActionRoute, NoParams, RequestContext, lazy_handler

_HANDLERS_MODULE: Final = "flower.http.v1.worker_handlers"


class WorkerInspectionParams(WorkerParams, frozen=True, kw_only=True):
    refresh: Annotated[bool, Meta(description="Ask the worker now, and wait for its answer.")] = False


class InspectReply(msgspec.Struct, frozen=True):
    """`at`: when the worker said this."""

    received_at: float
    value: Any


class WorkerInspectionResponse(msgspec.Struct, frozen=True):
    """What the worker last said of itself, kind by kind; a kind that it never answered is left out. `answered`: whether
    it did when it was last asked, at `asked`. `alive` is what its events say. Settings and arguments are shown without
    their secrets, arguments as text."""

    name: str
    alive: bool
    inspected_at: float | None
    answered: bool
    replies: dict[str, InspectReply]


class WorkerSummary(msgspec.Struct, frozen=True):
    """A worker as it last said itself, in short. `at`: when; `slots`: how many tasks it runs at a time; `prefetch`: how
    many messages it takes ahead, 0 for any number; null is what it did not say."""

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
    n: Annotated[int, Meta(ge=1, le=10_000, description="Processes or threads.")] = 1


class AutoscaleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    min: Annotated[int, Meta(ge=0, le=10_000)]
    max: Annotated[int, Meta(ge=1, le=10_000)]


class ConsumerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    queue: Annotated[str, Meta(min_length=1, max_length=255)]


class RateLimitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rate`: `200`, `10/s`, `90/m`, `5/h`; 0 lifts the limit."""

    task: Annotated[str, Meta(min_length=1, max_length=1_000)]
    rate: Annotated[str, Meta(min_length=1, max_length=40)]


class TimeLimitBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds; null lifts a limit. Workers of Celery 5 note new limits at once, but go by them only after they next
    connected to the broker."""

    task: Annotated[str, Meta(min_length=1, max_length=1_000)]
    soft: Annotated[float, Meta(ge=0)] | None = None
    hard: Annotated[float, Meta(ge=0)] | None = None


class WorkerCommandResponse(msgspec.Struct, frozen=True):
    """`answer`: the worker's own words; null for what it does not answer."""

    worker: str
    reply: str | None = None


async def get_inspection(acting: RequestContext, asked: WorkerInspectionParams, body: None) -> WorkerInspectionResponse:
    context = acting.server
    if asked.refresh:
        await refresh_inspections(context, asked.name)
    else:
        await require_worker(context, asked.name)
    worker = (await run_in_thread(context.store.workers)).get(asked.name)
    found = context.inspections.get(asked.name)
    if worker is None and found is None:
        raise NotFound(f"Unknown worker '{asked.name}'")
    known = found or WorkerInspection()
    said: dict[str, InspectReply] = {
        kind: InspectReply(each.received_at, redact_inspection(kind, each.value, context.redactor))
        for kind in INSPECT_KINDS
        if (each := known.replies.get(kind)) is not None
    }
    alive = worker is not None and worker.is_alive(time.time())
    return WorkerInspectionResponse(asked.name, alive, known.requested_at or None, known.is_responding, said)


async def list_inspections(acting: RequestContext, asked: NoParams, body: None) -> WorkerSummaryList:
    return WorkerSummaryList(
        tuple(_worker_summary(name, found) for name, found in acting.server.inspections.all().items())
    )


def _worker_summary(name: str, found: WorkerInspection) -> WorkerSummary:
    stats = _as_mapping(found.get_value("stats"))
    pool = _as_mapping(stats.get("pool"))
    kind = str(pool.get("implementation") or "").rpartition(":")[0].rpartition(".")[2] or None
    return WorkerSummary(
        name,
        found.last_reply_at,
        found.is_responding,
        _as_int(pool.get("max-concurrency")),
        _as_int(stats.get("prefetch_count")),
        kind,
        _as_int(stats.get("uptime")),
        found.queues,
    )


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _command_route(
    path: str, name: str, summary: str, act: str, body: Any, example: str | None, given: Any = None
) -> ActionRoute:
    return ActionRoute(
        "POST",
        f"/workers/{{name}}/{path}",
        name,
        "workers",
        summary,
        "workers",
        WorkerParams,
        body,
        WorkerCommandResponse,
        lazy_handler(_HANDLERS_MODULE, act),
        {"worker": "celery@w1", "answer": example},
        given,
        f"worker.{act}",
    )


WORKER_ROUTES: tuple[ActionRoute, ...] = (
    ActionRoute(
        "GET",
        "/inspections",
        "listInspections",
        "workers",
        "What all workers last said of themselves, in short",
        "view",
        NoParams,
        None,
        WorkerSummaryList,
        list_inspections,
        {
            "workers": [
                {
                    "name": "celery@w1",
                    "at": 1795342590.1,
                    "answered": True,
                    "slots": 8,
                    "prefetch": 32,
                    "pool": "prefork",
                    "uptime": 86400.0,
                    "queues": ["celery"],
                }
            ]
        },
    ),
    ActionRoute(
        "GET",
        "/workers/{name}/inspection",
        "inspectWorker",
        "workers",
        "What a worker says of itself, and since when that is known",
        "view",
        WorkerInspectionParams,
        None,
        WorkerInspectionResponse,
        get_inspection,
        {
            "name": "celery@w1",
            "alive": True,
            "asked": 1795342590.0,
            "answered": True,
            "said": {"active_queues": {"at": 1795342590.1, "value": [{"name": "celery"}]}},
        },
    ),
    _command_route("shutdown", "shutDownWorker", "Shut a worker down", "shutdown", None, None),
    _command_route("pool/restart", "restartPool", "Restart a worker's pool", "restart", None, "reload started"),
    _command_route(
        "pool/grow", "growPool", "Add processes to a worker's pool", "grow", PoolResizeBody, "pool will grow", {"n": 2}
    ),
    _command_route(
        "pool/shrink",
        "shrinkPool",
        "Take processes from a worker's pool; one at least must stay",
        "shrink",
        PoolResizeBody,
        "pool will shrink",
        {"n": 1},
    ),
    _command_route(
        "pool/autoscale",
        "autoscalePool",
        "Set the limits between which a worker's pool scales by itself",
        "autoscale",
        AutoscaleBody,
        "autoscale now max=10 min=3",
        {"min": 3, "max": 10},
    ),
    _command_route(
        "consumers/add",
        "addConsumer",
        "Let a worker consume from a queue",
        "add_consumer",
        ConsumerBody,
        "add consumer mail",
        {"queue": "mail"},
    ),
    _command_route(
        "consumers/cancel",
        "cancelConsumer",
        "Let a worker consume from a queue no longer",
        "cancel_consumer",
        ConsumerBody,
        "no longer consuming from mail",
        {"queue": "mail"},
    ),
    _command_route(
        "limits/rate",
        "limitRate",
        "Set how often a worker may run tasks of a type",
        "rate_limit",
        RateLimitBody,
        "new rate limit set successfully",
        {"task": "shop.charge", "rate": "10/s"},
    ),
    _command_route(
        "limits/time",
        "limitTime",
        "Set for how long a worker may run tasks of a type",
        "time_limit",
        TimeLimitBody,
        "time limits set successfully",
        {"task": "shop.charge", "soft": 20.0, "hard": 30.0},
    ),
)
