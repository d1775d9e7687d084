"""The addresses of workers and queues that Flower has, and the data behind Flower's table of workers."""

from starlette.requests import Request
from starlette.responses import Response

from flower.api.answers import JSON
from flower.api.context import Context
from flower.api.inspecting import schedule_inspection
from flower.api.json_encoder import dump_json
from flower.api.parameters import read_params
from flower.api.reading import run_in_thread
from flower.api.routes import Endpoint, HttpRoute
from flower.api.worker_rows import list_worker_rows
from flower.web.shell import queue_page_info, shell_page, worker_page_info


def json_variant(page: Endpoint) -> Endpoint:
    """The page; with `json` the rows of all workers instead, and with `refresh` they are asked how they are, as in
    Flower."""

    async def endpoint(request: Request, context: Context) -> Response:
        asked = await read_params(request)
        if asked.get_bool("refresh"):
            schedule_inspection(context)
        if asked.get_bool("json"):
            return Response(
                await run_in_thread(lambda: dump_json({"data": list_worker_rows(context)})),
                headers={"content-type": JSON},
            )
        return await page(request, context)

    return endpoint


CLUSTER_PAGE_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/", json_variant(shell_page("overview", "Overview")), "page"),
    HttpRoute("GET", "/workers", json_variant(shell_page("workers", "Workers")), "page"),
    HttpRoute("GET", "/worker/{name:path}", shell_page("worker", page_info=worker_page_info), "page"),
    HttpRoute("GET", "/broker", shell_page("queues", "Broker"), "page"),
    HttpRoute("GET", "/queues", shell_page("queues", "Queues"), "page"),
    HttpRoute("GET", "/queues/{name:path}", shell_page("queue", page_info=queue_page_info), "page"),
)
