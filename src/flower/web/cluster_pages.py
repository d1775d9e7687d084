"""The addresses of workers and queues that Flower has, and the data behind Flower's table of workers."""

from starlette.requests import Request
from starlette.responses import Response

from flower.api.answers import JSON, encode
from flower.api.context import Context
from flower.api.inspecting import inspect_soon
from flower.api.parameters import parameters
from flower.api.reading import read
from flower.api.routes import Endpoint, Route
from flower.api.worker_rows import rows
from flower.web.shell import queue_look, shell, worker_look


def with_rows(page: Endpoint) -> Endpoint:
    """The page; with `json` the rows of all workers instead, and with `refresh` they are asked how they are, as in
    Flower."""

    async def endpoint(request: Request, context: Context) -> Response:
        asked = await parameters(request)
        if asked.boolean("refresh"):
            inspect_soon(context)
        if asked.boolean("json"):
            return Response(await read(lambda: encode({"data": rows(context)})), headers={"content-type": JSON})
        return await page(request, context)

    return endpoint


CLUSTER_PAGES: tuple[Route, ...] = (
    Route("GET", "/", with_rows(shell("overview", "Overview")), "page"),
    Route("GET", "/workers", with_rows(shell("workers", "Workers")), "page"),
    Route("GET", "/worker/{name:path}", shell("worker", look=worker_look), "page"),
    Route("GET", "/broker", shell("queues", "Broker"), "page"),
    Route("GET", "/queues", shell("queues", "Queues"), "page"),
    Route("GET", "/queues/{name:path}", shell("queue", look=queue_look), "page"),
)
