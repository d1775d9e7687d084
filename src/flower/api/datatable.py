"""`/tasks/datatable`: rows for a table, by the protocol of DataTables on the server's side."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flower.api.answers import JSON, encode, json_response, text_response
from flower.api.context import Context
from flower.api.ordering import by_any_field
from flower.api.parameters import Parameters, parameters
from flower.api.reading import read, read_all
from flower.api.wire import flower_task
from flower.errors import Invalid, SearchError
from flower.records import Task
from flower.search.syntax import parse
from flower.search.tree import Node
from flower.store.port import Reader, Sort

#: Rows of one answer, also for a `length` of -1, which means all of them.
MOST_ROWS = 100_000

_CHUNK = 500
_BY_ACTIVITY = Sort("timestamp", descending=True)
#: Names of a task object's fields that the record calls otherwise.
_FIELDS = {"worker": "worker", "root": "root_id", "parent": "parent_id"}
_SORTABLE = frozenset(Task.__struct_fields__) - {"hostname", "earlier", "data"} | {"worker"}


@dataclass(frozen=True, slots=True)
class Asked:
    draw: int
    start: int
    length: int
    search: str
    sort: Sort


async def datatable(request: Request, context: Context) -> Response:
    try:
        asked = _asked(await parameters(request))
    except Invalid as error:
        return text_response(error.message, 400)
    try:
        where = parse(asked.search)
    except SearchError as error:
        total = await read(lambda: context.store.status().tasks)
        answer = {"draw": asked.draw, "data": [], "recordsTotal": total, "recordsFiltered": 0}
        return json_response({**answer, "searchError": error.message})
    return await _answer(context.store, asked, where)


def _asked(given: Parameters) -> Asked:
    """Raises Invalid with Flower's words."""
    column = _whole(given, "order[0][column]")
    field = given.text(f"columns[{column}][data]") or ""
    field = _FIELDS.get(field, field)
    descending = given.text("order[0][dir]") == "desc"
    sort = Sort(field, descending) if field in _SORTABLE else _BY_ACTIVITY
    length = _whole(given, "length")
    return Asked(
        draw=_whole(given, "draw"),
        start=max(0, _whole(given, "start")),
        length=MOST_ROWS if length < 0 else min(length, MOST_ROWS),
        search=given.text("search[value]") or "",
        sort=sort,
    )


def _whole(given: Parameters, name: str) -> int:
    given.required(name)
    return given.integer(name) or 0


async def _answer(store: Reader, asked: Asked, where: Node) -> Response:
    total, found = await read(lambda: (store.status().tasks, store.count(where)))
    head = {"draw": asked.draw, "recordsTotal": total, "recordsFiltered": found}
    chunks = read_all(_rows(store, asked, where))
    # The first rows are read before the answer begins, so that a store that fails is an error and not half a table.
    first = await anext(chunks, b"")

    async def body() -> AsyncIterator[bytes]:
        yield encode(head)[:-1] + b',"data":[' + first
        async for chunk in chunks:
            yield b"," + chunk
        yield b"]}"

    return StreamingResponse(body(), headers={"content-type": JSON})


def _rows(store: Reader, asked: Asked, where: Node) -> Iterator[bytes]:
    """Tasks as JSON, joined by commas, a chunk at a time."""
    tasks = by_any_field(store, where, asked.sort, limit=asked.length, offset=asked.start)
    while chunk := list(islice(tasks, _CHUNK)):
        children = store.children([task.uuid for task in chunk])
        yield b",".join(encode(flower_task(task, children.get(task.uuid, ()))) for task in chunk)
