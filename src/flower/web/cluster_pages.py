"""The pages of workers and queues, and the data behind the workers' table."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from flower.api.answers import JSON, encode
from flower.api.context import Context
from flower.api.guards import identity_of
from flower.api.inspecting import check_worker, inspect, inspect_soon
from flower.api.parameters import parameters
from flower.api.reading import read
from flower.api.routes import Route
from flower.api.worker_rows import rows
from flower.cluster.inspected import KINDS, Inspected
from flower.errors import FlowerError, NotFound, Unavailable
from flower.records import RECEIVED, STARTED, Task, Worker
from flower.search.tree import Term, all_of, any_of
from flower.store.ledger.samples import SAMPLE_EVERY, QueueSample
from flower.store.port import Query
from flower.web.pages import error_page, page

log = logging.getLogger(__name__)

#: Lines of every list of a worker's page, if the address does not say.
LINES = 50

#: Seconds for which what was last noted of the queues is shown without asking the broker.
FRESH = 4.0 * SAMPLE_EVERY


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that a worker consumes: its name and the rest of what is said of it."""

    name: str
    facts: Mapping[str, Any]


async def workers_page(request: Request, context: Context) -> Response:
    asked = await parameters(request)
    if asked.boolean("refresh"):
        inspect_soon(context)
    found = await read(lambda: rows(context))
    if asked.boolean("json"):
        return Response(await read(lambda: encode({"data": found})), headers={"content-type": JSON})
    return await page(context, "workers.html", 200, workers=found)


async def worker_page(request: Request, context: Context) -> Response:
    """Waits for the worker only if something that is shown was never known."""
    name = request.path_params["name"]
    limit = (await parameters(request)).integer("limit")
    limit = LINES if limit is None else max(limit, 0)
    known = context.inspections.of(name)
    worker = (await read(context.store.workers)).get(name)
    try:
        if known is None or not known.knows(KINDS):
            await _ask(context, name, worker)
        else:
            inspect_soon(context, name)
    except NotFound as error:
        return error_page(request, 404, error.message)
    except Unavailable as error:
        log.warning("Cannot ask worker '%s': %s", name, error.message)
    inspected = context.inspections.of(name)
    if inspected is None and worker is None:
        return error_page(request, 404, f"Unknown worker '{name}'")
    now = time.time()
    alive = worker is not None and worker.is_alive(now)
    ran = () if alive else await read(lambda: _unfinished(context, name, limit))
    return await page(
        context,
        "worker.html",
        200,
        name=name,
        worker=worker,
        alive=alive,
        inspected=inspected or Inspected(),
        age=None if inspected is None or inspected.timestamp is None else now - inspected.timestamp,
        silent=inspected is not None and not inspected.answered,
        queues=_queues(inspected, limit),
        ran=ran,
        limit=limit,
        may=not context.read_only and identity_of(request).may("workers"),
    )


async def broker_page(request: Request, context: Context) -> Response:
    return await page(context, "broker.html", 200, url=await _broker_url(context), queues=await _newest(context))


CLUSTER_PAGES: tuple[Route, ...] = (
    Route("GET", "/", workers_page, "page"),
    Route("GET", "/workers", workers_page, "page"),
    Route("GET", "/worker/{name:path}", worker_page, "page"),
    Route("GET", "/broker", broker_page, "page"),
)


async def _ask(context: Context, name: str, worker: Worker | None) -> None:
    """One that is dead for its events is not waited for."""
    if worker is None:
        await check_worker(context, name)
    elif worker.is_alive(time.time()):
        await inspect(context, name)


def _unfinished(context: Context, name: str, limit: int) -> Sequence[Task]:
    """What ran or lay there when it was last heard."""
    states = any_of([Term("state", "equals", state) for state in (STARTED, RECEIVED)])
    return tuple(context.store.tasks(Query(all_of([Term("worker", "equals", name), states])), limit=limit))


def _queues(inspected: Inspected | None, limit: int) -> list[Queue]:
    said = inspected.value("active_queues") if inspected is not None else None
    if not isinstance(said, Sequence):
        return []
    return [Queue(str(each.get("name")), each) for each in said[:limit] if isinstance(each, Mapping)]


async def _newest(context: Context) -> Sequence[QueueSample]:
    """As they were last noted; if that is long ago the broker is asked. Errors are logged, the page is there."""
    try:
        found = await read(partial(context.ledger.samples.newest, time.time() - FRESH))
        if not found:
            module = await to_thread.run_sync(import_module, "flower.api.queue_figures")
            found = await module.samples_now(context)
    except FlowerError as error:
        log.warning("Cannot ask the broker for its queues: %s", error.message)
        return ()
    return found


async def _broker_url(context: Context) -> str:
    def look() -> str:
        from flower.redaction import masked  # noqa: PLC0415 - brings kombu in

        return masked(context.app().conf.broker_read_url)

    return await read(look)
