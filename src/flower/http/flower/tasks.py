"""The routes that read the records: request in, response out."""

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flower.api.context import Context
from flower.api.json_encoder import dump_json
from flower.api.task_dict import to_flower_task
from flower.api.task_lists import build_list_query, parse_sort
from flower.api.thread_pool import iterate_in_thread, run_in_thread
from flower.errors import InvalidRequest, NoSuchTask
from flower.http.flower.flower_sort import iter_flower_order
from flower.http.request_params import RequestParams, read_params
from flower.http.responses import JSON, json_response
from flower.search.parser import parse_search
from flower.store.protocols import Query, Reader, Sort

SORT_FIELDS = ("name", "received", "started", "state")

#: Flower's order if none is asked for: last activity first.
DEFAULT_SORT = (Sort("timestamp", descending=True),)

#: Rows that are read, joined with their children and sent together.
CHUNK_SIZE = 500


async def list_flower_tasks(request: Request, context: Context) -> Response:
    asked = await read_params(request)
    query = read_task_query(asked)
    limit, offset = asked.get_int("limit"), max(asked.get_int("offset") or 0, 0)
    if request.method == "HEAD":
        return Response(headers={"content-type": JSON})
    chunks = iterate_in_thread(_task_chunks(context.store, query, limit, offset))
    # The first rows are read before the answer begins, so that a store that fails is an error and not half a list.
    first = await anext(chunks, b"")

    async def body() -> AsyncIterator[bytes]:
        yield b"{" + first
        async for chunk in chunks:
            yield b"," + chunk
        yield b"}"

    return StreamingResponse(body(), headers={"content-type": JSON})


async def get_flower_task(request: Request, context: Context) -> Response:
    task_id = request.path_params["name"]

    def look() -> dict[str, object] | None:
        task = context.store.task(task_id)
        return None if task is None else to_flower_task(task, context.store.children([task_id]).get(task_id, ()))

    found = await run_in_thread(look)
    if found is None:
        raise NoSuchTask(f"Unknown task '{task_id}'")
    return json_response(found)


async def list_flower_task_types(request: Request, context: Context) -> Response:
    return json_response({"task-types": list(await run_in_thread(context.store.names))})


async def healthcheck(request: Request, context: Context) -> Response:
    """Says that this server answers, and waits for nothing: no store, no broker, no thread."""
    return Response("OK", media_type="text/html")


def read_task_query(asked: RequestParams) -> Query:
    """Flower's parameters as a query of the store. Raises Invalid and SearchError with Flower's words."""
    search = asked.get_text("search")
    parse_search(search)  # what is wrong with the search is said in a form of its own
    sort_by = asked.get_text("sort_by")
    sort = parse_sort(sort_by, SORT_FIELDS) if sort_by else DEFAULT_SORT
    times = (asked.get_text("received_start") or None, asked.get_text("received_end") or None)
    try:
        query = build_list_query(
            type=_filter_value(asked, "taskname"),
            worker=_filter_value(asked, "workername"),
            state=_filter_value(asked, "state"),
            received=times,
            search=search,
            compare="is",
        )
    except InvalidRequest as error:
        text = "Invalid received_start or received_end, expected format 'YYYY-MM-DD HH:MM'"
        raise InvalidRequest(text) from error
    return Query(query.where, sort)


def _filter_value(asked: RequestParams, name: str) -> str | None:
    value = asked.get_text(name)
    return None if value == "All" else value


def _task_chunks(store: Reader, query: Query, limit: int | None, offset: int) -> Iterator[bytes]:
    """`"uuid": {task}` pairs, joined by commas, a chunk at a time."""
    tasks = iter_flower_order(store, query, limit=limit, offset=offset)
    while chunk := list(islice(tasks, CHUNK_SIZE)):
        children = store.children([task.uuid for task in chunk])
        yield b",".join(
            dump_json(task.uuid) + b":" + dump_json(to_flower_task(task, children.get(task.uuid, ()))) for task in chunk
        )
