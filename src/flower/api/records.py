"""The routes that read the records: request in, response out."""

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flower.api.answers import JSON, encode, json_response
from flower.api.context import Context
from flower.api.listing import parse_sort, query_from
from flower.api.ordering import in_order
from flower.api.parameters import Parameters, parameters
from flower.api.reading import read, read_all
from flower.api.wire import flower_task
from flower.errors import Invalid, NoSuchTask
from flower.search.syntax import parse
from flower.store.port import Query, Reader, Sort

SORT_BY = ("name", "received", "started", "state")

#: Flower's order if none is asked for: last activity first.
LAST_ACTIVITY = (Sort("timestamp", descending=True),)

#: Rows that are read, joined with their children and sent together.
CHUNK = 500


async def list_tasks(request: Request, context: Context) -> Response:
    asked = await parameters(request)
    query = query_of(asked)
    limit, offset = asked.integer("limit"), max(asked.integer("offset") or 0, 0)
    if request.method == "HEAD":
        return Response(headers={"content-type": JSON})
    chunks = read_all(_rows(context.store, query, limit, offset))
    # The first rows are read before the answer begins, so that a store that fails is an error and not half a list.
    first = await anext(chunks, b"")

    async def body() -> AsyncIterator[bytes]:
        yield b"{" + first
        async for chunk in chunks:
            yield b"," + chunk
        yield b"}"

    return StreamingResponse(body(), headers={"content-type": JSON})


async def task_info(request: Request, context: Context) -> Response:
    task_id = request.path_params["name"]

    def look() -> dict[str, object] | None:
        task = context.store.task(task_id)
        return None if task is None else flower_task(task, context.store.children([task_id]).get(task_id, ()))

    found = await read(look)
    if found is None:
        raise NoSuchTask(f"Unknown task '{task_id}'")
    return json_response(found)


async def task_types(request: Request, context: Context) -> Response:
    return json_response({"task-types": list(await read(context.store.names))})


async def healthcheck(request: Request, context: Context) -> Response:
    """Says that this server answers, and waits for nothing: no store, no broker, no thread."""
    return Response("OK", media_type="text/html")


def query_of(asked: Parameters) -> Query:
    """Flower's parameters as a query of the store. Raises Invalid and SearchError with Flower's words."""
    search = asked.text("search")
    parse(search)  # what is wrong with the search is said in a form of its own
    sort_by = asked.text("sort_by")
    sort = parse_sort(sort_by, SORT_BY) if sort_by else LAST_ACTIVITY
    times = (asked.text("received_start") or None, asked.text("received_end") or None)
    try:
        query = query_from(
            type=_filter(asked, "taskname"),
            worker=_filter(asked, "workername"),
            state=_filter(asked, "state"),
            received=times,
            search=search,
            compare="is",
        )
    except Invalid as error:
        text = "Invalid received_start or received_end, expected format 'YYYY-MM-DD HH:MM'"
        raise Invalid(text) from error
    return Query(query.where, sort)


def _filter(asked: Parameters, name: str) -> str | None:
    value = asked.text(name)
    return None if value == "All" else value


def _rows(store: Reader, query: Query, limit: int | None, offset: int) -> Iterator[bytes]:
    """`"uuid": {task}` pairs, joined by commas, a chunk at a time."""
    tasks = in_order(store, query, limit=limit, offset=offset)
    while chunk := list(islice(tasks, CHUNK)):
        children = store.children([task.uuid for task in chunk])
        yield b",".join(
            encode(task.uuid) + b":" + encode(flower_task(task, children.get(task.uuid, ()))) for task in chunk
        )
