"""Route /tasks/datatable: the server side of the DataTables protocol."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.json_encoder import dump_json
from flower.api.task_dict import to_flower_task
from flower.api.thread_pool import run_in_thread
from flower.errors import InvalidRequest, SearchError
from flower.http.flower.flower_sort import iter_sorted_by_field
from flower.http.request_params import RequestParams, read_params
from flower.http.responses import JSON, json_response, status_of, streaming_response, text_response
from flower.records import Task
from flower.search.parser import parse_search
from flower.search.tree import Node
from flower.store.protocols import Reader, Sort

#: Maximum number of rows of one response; a `length` of -1 means all rows.
MAX_ROWS = 100_000

_CHUNK_SIZE = 500
_DEFAULT_SORT = Sort("timestamp", descending=True)
#: Fields of Flower's task object that have another name in the record.
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
        table = _parse_request(await read_params(request))
    except InvalidRequest as error:
        return text_response(error.message, status_of(error.code))
    try:
        where = parse_search(table.search)
    except SearchError as error:
        total = await run_in_thread(lambda: context.store.status().tasks)
        empty = {"draw": table.draw, "data": [], "recordsTotal": total, "recordsFiltered": 0}
        return json_response({**empty, "searchError": error.message})
    return await _table_response(context.store, table, where)


def _parse_request(params: RequestParams) -> DataTableRequest:
    """Raises InvalidRequest with Flower's messages."""
    column = params.require_int("order[0][column]")
    field = params.get_text(f"columns[{column}][data]") or ""
    field = _FIELD_ALIASES.get(field, field)
    descending = params.get_text("order[0][dir]") == "desc"
    length = params.require_int("length")
    return DataTableRequest(
        draw=params.require_int("draw"),
        start=max(0, params.require_int("start")),
        length=MAX_ROWS if length < 0 else min(length, MAX_ROWS),
        search=params.get_text("search[value]") or "",
        sort=Sort(field, descending) if field in _SORTABLE_FIELDS else _DEFAULT_SORT,
    )


async def _table_response(store: Reader, table: DataTableRequest, where: Node) -> Response:
    total, matching = await run_in_thread(lambda: (store.status().tasks, store.count(where)))
    head = {"draw": table.draw, "recordsTotal": total, "recordsFiltered": matching}
    return await streaming_response(
        _row_chunks(store, table, where),
        {"content-type": JSON},
        prefix=dump_json(head)[:-1] + b',"data":[',
        separator=b",",
        suffix=b"]}",
    )


def _row_chunks(store: Reader, table: DataTableRequest, where: Node) -> Iterator[bytes]:
    """Chunks of tasks as JSON, joined by commas."""
    tasks = iter_sorted_by_field(store, where, table.sort, limit=table.length, offset=table.start)
    while chunk := list(islice(tasks, _CHUNK_SIZE)):
        children = store.children([task.uuid for task in chunk])
        yield b",".join(dump_json(to_flower_task(task, children.get(task.uuid, ()))) for task in chunk)
