"""The routes that tell of workers: what they said when they were asked, and whether events say that they live."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from flower.api.answers import JSON, encode, text_response
from flower.api.context import Context
from flower.api.inspecting import check_worker, inspect, meet_newcomers
from flower.api.parameters import parameters
from flower.api.reading import read
from flower.cluster.inspected import Inspected
from flower.errors import FlowerError, NotFound, Unavailable


async def list_workers(request: Request, context: Context) -> Response:
    asked = await parameters(request)
    refresh, status, name = asked.boolean("refresh"), asked.boolean("status"), asked.text("workername") or ""
    if refresh:
        try:
            await inspect(context, *([name] if name else []))
        except Unavailable:  # its message names hosts
            return text_response("Failed to update workers: the broker cannot be reached", 503)
        except FlowerError as error:
            return text_response(f"Failed to update workers: {error.message}", 503)
    if status:
        return await _json(await read(lambda: _alive(context)))
    if not refresh:
        await _meet(context, name)
    found = await read(lambda: _known(context))
    if name and name not in found:
        raise NotFound(f"Unknown worker '{name}'")
    return await _json({name: found[name]} if name else found)


async def _meet(context: Context, name: str) -> None:
    """Whoever came since the last inspection is asked first, so that nobody is missing. Without a broker the answer is
    what was known before."""
    try:
        await meet_newcomers(context)
        if name:
            await check_worker(context, name)
    except Unavailable:
        pass


def _known(context: Context) -> dict[str, Any]:
    """The workers that were ever heard, and those of which only events tell so far."""
    now = time.time()
    alive = (worker.hostname for worker in context.store.workers().values() if worker.is_alive(now))
    heard = {name: _answer(inspected) for name, inspected in context.inspections.all().items()}
    return {**{name: {"timestamp": None} for name in alive}, **heard}


def _answer(inspected: Inspected) -> dict[str, Any]:
    """A kind that was never answered is left out."""
    return {"timestamp": inspected.timestamp, **{kind: said.value for kind, said in inspected.said.items()}}


def _alive(context: Context) -> dict[str, bool]:
    now = time.time()
    return {name: worker.is_alive(now) for name, worker in context.store.workers().items()}


async def _json(value: Any) -> Response:
    """The settings and statistics of many workers are megabytes."""
    return Response(await read(lambda: encode(value)), headers={"content-type": JSON})
