"""Routes of Flower's API that read task records, and the health check."""

from collections.abc import Iterator
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.json_encoder import dump_json
from flower.api.task_dict import to_flower_task
from flower.api.task_lists import build_list_query, parse_sort
from flower.api.thread_pool import run_in_thread
from flower.errors import InvalidRequest, NoSuchTask
from flower.http.flower.flower_sort import iter_flower_order
from flower.http.request_params import RequestParams, read_params
from flower.http.responses import JSON, json_response, streaming_response
from flower.search.parser import parse_search
from flower.store.protocols import Query, Reader, Sort

SORT_FIELDS = ("name", "received", "started", "state")

#: Flower's default order: last activity first.
DEFAULT_SORT = (Sort("timestamp", descending=True),)

#: Tasks that are read, joined with their children and sent as one chunk.
CHUNK_SIZE = 500


async def list_flower_tasks(request: Request, context: Context) -> Response:
    params = await read_params(request)
    query = read_task_query(params)
    limit, offset = params.get_int("limit"), max(params.get_int("offset") or 0, 0)
    if request.method == "HEAD":
        return Response(headers={"content-type": JSON})
    chunks = _task_chunks(context.store, query, limit, offset)
    return await streaming_response(chunks, {"content-type": JSON}, prefix=b"{", separator=b",", suffix=b"}")


async def get_flower_task(request: Request, context: Context) -> Response:
    task_id = request.path_params["name"]

    def read() -> dict[str, object]:
        task = context.store.task(task_id)
        if task is None:
            raise NoSuchTask(f"Unknown task '{task_id}'")
        return to_flower_task(task, context.store.children([task_id]).get(task_id, ()))

    return json_response(await run_in_thread(read))


async def list_flower_task_types(request: Request, context: Context) -> Response:
    return json_response({"task-types": list(await run_in_thread(context.store.names))})


async def healthcheck(request: Request, context: Context) -> Response:
    """Liveness: it uses neither the store nor the broker nor a thread."""
    return Response("OK", media_type="text/html")


def read_task_query(params: RequestParams) -> Query:
    """Flower's parameters as a store query. Raises InvalidRequest and SearchError with Flower's messages."""
    search = params.get_text("search")
    parse_search(search)  # a SearchError has a response of its own; the errors below are replaced
    sort_by = params.get_text("sort_by")
    sort = parse_sort(sort_by, SORT_FIELDS) if sort_by else DEFAULT_SORT
    times = (params.get_text("received_start") or None, params.get_text("received_end") or None)
    try:
        query = build_list_query(
            type=_filter_value(params, "taskname"),
            worker=_filter_value(params, "workername"),
            state=_filter_value(params, "state"),
            received=times,
            search=search,
            compare="is",
        )
    except InvalidRequest as error:
        message = "Invalid received_start or received_end, expected format 'YYYY-MM-DD HH:MM'"
        raise InvalidRequest(message) from error
    return Query(query.where, sort)


def _filter_value(params: RequestParams, name: str) -> str | None:
    value = params.get_text(name)
    return None if value == "All" else value


def _task_chunks(store: Reader, query: Query, limit: int | None, offset: int) -> Iterator[bytes]:
    """Chunks of `"uuid": {task}` members, joined by commas."""
    tasks = iter_flower_order(store, query, limit=limit, offset=offset)
    while chunk := list(islice(tasks, CHUNK_SIZE)):
        children = store.children([task.uuid for task in chunk])
        yield b",".join(
            dump_json(task.uuid) + b":" + dump_json(to_flower_task(task, children.get(task.uuid, ()))) for task in chunk
        )
