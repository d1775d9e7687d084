"""The routes that tell of workers: what they said when they were asked, and whether events say that they live."""

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
from flower.http.responses import JSON, text_response


async def list_flower_workers(request: Request, context: Context) -> Response:
    asked = await read_params(request)
    refresh, status, name = asked.get_bool("refresh"), asked.get_bool("status"), asked.get_text("workername") or ""
    if refresh:
        try:
            await refresh_inspections(context, *([name] if name else []))
        except BackendUnavailable:  # its message names hosts
            return text_response("Failed to update workers: the broker cannot be reached", 503)
        except FlowerError as error:
            return text_response(f"Failed to update workers: {error.message}", 503)
    if status:
        return await _json_response(await run_in_thread(lambda: _alive_by_worker(context)))
    if not refresh:
        await _inspect_new_workers(context, name)
    found = await run_in_thread(lambda: _worker_dicts(context))
    if name and name not in found:
        raise NotFound(f"Unknown worker '{name}'")
    return await _json_response({name: found[name]} if name else found)


async def _inspect_new_workers(context: Context, name: str) -> None:
    """Whoever came since the last inspection is asked first, so that nobody is missing. Without a broker the answer is
    what was known before."""
    try:
        await inspect_new_workers(context)
        if name:
            await require_worker(context, name)
    except BackendUnavailable:
        pass


def _worker_dicts(context: Context) -> dict[str, Any]:
    """The workers that were ever heard, and those of which only events tell so far."""
    now = time.time()
    alive = (worker.hostname for worker in context.store.workers().values() if worker.is_alive(now))
    heard = {name: _worker_dict(inspected) for name, inspected in context.inspections.all().items()}
    return {**{name: {"timestamp": None} for name in alive}, **heard}


def _worker_dict(inspected: WorkerInspection) -> dict[str, Any]:
    """A kind that was never answered is left out."""
    return {"timestamp": inspected.last_reply_at, **{kind: said.value for kind, said in inspected.replies.items()}}


def _alive_by_worker(context: Context) -> dict[str, bool]:
    now = time.time()
    return {name: worker.is_alive(now) for name, worker in context.store.workers().items()}


async def _json_response(value: Any) -> Response:
    """The settings and statistics of many workers are megabytes."""
    return Response(await run_in_thread(lambda: dump_json(value)), headers={"content-type": JSON})
