"""Routes of Flower's worker list: inspection replies, and whether each worker is alive."""

import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.inspection import refresh_inspections, schedule_missing_inspections
from flower.api.json_encoder import dump_json
from flower.api.thread_pool import run_in_thread
from flower.api.worker_states import read_worker_states
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
        return await _json_response(lambda: _alive_by_worker(context))
    if not refresh:
        await schedule_missing_inspections(context, name)
    return await _json_response(lambda: _worker_dicts(context, name))


def _worker_dicts(context: Context, name: str) -> dict[str, Any]:
    """This worker, by default all: those with inspection replies, and those alive without. Raises NotFound."""
    online = (worker for worker, is_alive in _alive_by_worker(context).items() if is_alive)
    inspected = {worker: _worker_dict(inspection) for worker, inspection in context.inspections.all().items()}
    workers = {**{worker: {"timestamp": None} for worker in online}, **inspected}
    if name and name not in workers:
        raise NotFound(f"Unknown worker '{name}'")
    return {name: workers[name]} if name else workers


def _worker_dict(inspection: WorkerInspection) -> dict[str, Any]:
    """The replies by kind; a kind without a reply is absent."""
    replies: dict[str, Any] = {kind: reply.value for kind, reply in inspection.replies.items()}
    return {"timestamp": inspection.last_reply_at, **replies}


def _alive_by_worker(context: Context) -> dict[str, bool]:
    return {name: state.alive for name, state in read_worker_states(context.store, time.time()).items()}


async def _json_response(read: Callable[[], Any]) -> Response:
    """What `read` returns, encoded in the same thread: the settings and statistics of many workers are megabytes."""
    return Response(await run_in_thread(lambda: dump_json(read())), headers={"content-type": JSON})
