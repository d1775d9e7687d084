"""`/tasks/datatable`: rows for a table, by the protocol of DataTables on the server's side."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flower.api.context import Context
from flower.api.json_encoder import dump_json
from flower.api.task_dict import to_flower_task
from flower.api.thread_pool import iterate_in_thread, run_in_thread
from flower.errors import InvalidRequest, SearchError
from flower.http.flower.flower_sort import iter_sorted_by_field
from flower.http.request_params import RequestParams, read_params
from flower.http.responses import JSON, json_response, text_response
from flower.records import Task
from flower.search.parser import parse_search
from flower.search.tree import Node
from flower.store.protocols import Reader, Sort

#: Rows of one answer, also for a `length` of -1, which means all of them.
MAX_ROWS = 100_000

_CHUNK_SIZE = 500
_DEFAULT_SORT = Sort("timestamp", descending=True)
#: Names of a task object's fields that the record calls otherwise.
_FIELD_ALIASES = {"worker": "worker", "root": "root_id", "parent": "parent_id"}
_SORTABLE_FIELDS = frozenset(Task.__struct_fields__) - {"hostname", "earlier", "data"} | {"worker"}


@dataclass(frozen=True, slots=True)
class DataTableRequest:
    draw: int
    start: int
    length: int
    search: str
    sort: Sort


async def get_datatable(request: Request, context: Context) -> Response:
    try:
        asked = _parse_request(await read_params(request))
    except InvalidRequest as error:
        return text_response(error.message, 400)
    try:
        where = parse_search(asked.search)
    except SearchError as error:
        total = await run_in_thread(lambda: context.store.status().tasks)
        answer = {"draw": asked.draw, "data": [], "recordsTotal": total, "recordsFiltered": 0}
        return json_response({**answer, "searchError": error.message})
    return await _table_response(context.store, asked, where)


def _parse_request(given: RequestParams) -> DataTableRequest:
    """Raises Invalid with Flower's words."""
    column = _require_int(given, "order[0][column]")
    field = given.get_text(f"columns[{column}][data]") or ""
    field = _FIELD_ALIASES.get(field, field)
    descending = given.get_text("order[0][dir]") == "desc"
    sort = Sort(field, descending) if field in _SORTABLE_FIELDS else _DEFAULT_SORT
    length = _require_int(given, "length")
    return DataTableRequest(
        draw=_require_int(given, "draw"),
        start=max(0, _require_int(given, "start")),
        length=MAX_ROWS if length < 0 else min(length, MAX_ROWS),
        search=given.get_text("search[value]") or "",
        sort=sort,
    )


def _require_int(given: RequestParams, name: str) -> int:
    given.require(name)
    return given.get_int(name) or 0


async def _table_response(store: Reader, asked: DataTableRequest, where: Node) -> Response:
    total, found = await run_in_thread(lambda: (store.status().tasks, store.count(where)))
    head = {"draw": asked.draw, "recordsTotal": total, "recordsFiltered": found}
    chunks = iterate_in_thread(_row_chunks(store, asked, where))
    # The first rows are read before the answer begins, so that a store that fails is an error and not half a table.
    first = await anext(chunks, b"")

    async def body() -> AsyncIterator[bytes]:
        yield dump_json(head)[:-1] + b',"data":[' + first
        async for chunk in chunks:
            yield b"," + chunk
        yield b"]}"

    return StreamingResponse(body(), headers={"content-type": JSON})


def _row_chunks(store: Reader, asked: DataTableRequest, where: Node) -> Iterator[bytes]:
    """Tasks as JSON, joined by commas, a chunk at a time."""
    tasks = iter_sorted_by_field(store, where, asked.sort, limit=asked.length, offset=asked.start)
    while chunk := list(islice(tasks, _CHUNK_SIZE)):
        children = store.children([task.uuid for task in chunk])
        yield b",".join(dump_json(to_flower_task(task, children.get(task.uuid, ()))) for task in chunk)
