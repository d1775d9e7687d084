"""Routes of Flower's worker list: inspection replies, and whether each worker is alive."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.inspection import inspect_new_workers, refresh_inspections, require_worker
from flower.api.json_encoder import dump_json
from flower.api.thread_pool import run_in_thread
from flower.cluster.inspection_cache import WorkerInspection
from flower.errors import BackendUnavailable, FlowerError, NotFound
from flower.http.request_params import read_params
from flower.http.responses import JSON, status_of, text_response


async def list_flower_workers(request: Request, context: Context) -> Response:
    params = await read_params(request)
    refresh, status, name = params.get_bool("refresh"), params.get_bool("status"), params.get_text("workername") or ""
    if refresh:
        try:
            await refresh_inspections(context, *([name] if name else []))
        except FlowerError as error:
            # The message of BackendUnavailable contains host names.
            reason = "broker unreachable" if isinstance(error, BackendUnavailable) else error.message
            return text_response(f"Failed to update workers: {reason}", status_of("backend_unavailable"))
    if status:
        return await _json_response(await run_in_thread(lambda: _alive_by_worker(context)))
    if not refresh:
        await _inspect_missing(context, name)
    workers = await run_in_thread(lambda: _worker_dicts(context))
    if name and name not in workers:
        raise NotFound(f"Unknown worker '{name}'")
    return await _json_response({name: workers[name]} if name else workers)


async def _inspect_missing(context: Context, name: str) -> None:
    """Inspect the workers that came online since the last inspection, so that the list is complete. If the broker is
    unreachable, the list contains the last replies."""
    try:
        await inspect_new_workers(context)
        if name:
            await require_worker(context, name)
    except BackendUnavailable:
        pass


def _worker_dicts(context: Context) -> dict[str, Any]:
    """All workers with inspection replies, and the online ones without."""
    now = time.time()
    online = (worker.hostname for worker in context.store.workers().values() if worker.is_alive(now))
    inspected = {name: _worker_dict(inspection) for name, inspection in context.inspections.all().items()}
    return {**{name: {"timestamp": None} for name in online}, **inspected}


def _worker_dict(inspection: WorkerInspection) -> dict[str, Any]:
    """The replies by kind; a kind without a reply is absent."""
    replies: dict[str, Any] = {kind: reply.value for kind, reply in inspection.replies.items()}
    return {"timestamp": inspection.last_reply_at, **replies}


def _alive_by_worker(context: Context) -> dict[str, bool]:
    now = time.time()
    return {name: worker.is_alive(now) for name, worker in context.store.workers().items()}


async def _json_response(value: Any) -> Response:
    """Encoded in a worker thread: the settings and statistics of many workers are megabytes."""
    return Response(await run_in_thread(lambda: dump_json(value)), headers={"content-type": JSON})
