"""The pages: what to read, and which template shows it. They work without any script."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.listing import query_from
from flower.api.parameters import Parameters, parameters
from flower.api.reading import read
from flower.api.routes import Route
from flower.errors import SearchError
from flower.records import FAILURE, PENDING, RECEIVED, REJECTED, RETRY, REVOKED, STARTED, SUCCESS, Task
from flower.store.ledger.reruns import Rerun
from flower.store.port import Query
from flower.web.columns import columns_of
from flower.web.status import RecorderLine, recorder_line
from flower.web.templates import render

#: Tasks on one page.
PAGE = 100

#: The states that can be chosen, as people would look for trouble.
STATES = (FAILURE, RETRY, STARTED, RECEIVED, PENDING, SUCCESS, REVOKED, REJECTED)

#: Fields of a task that the page shows elsewhere than in the list of all fields.
_SHOWN_APART = frozenset(
    {"uuid", "name", "state", "args", "kwargs", "result", "exception", "traceback", "earlier", "data"}
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of the tasks page says."""

    search: str
    state: str
    worker: str
    name: str
    offset: int

    def query(self) -> Query:
        """Raises SearchError."""
        return query_from(
            type=self.name, worker=self.worker, state=self.state, search=self.search, sort_by="-received", compare="is"
        )

    def address(self, **changes: object) -> str:
        """The query string of this page with something changed; what is empty is left out."""
        values = {"search": self.search, "state": self.state, "worker": self.worker, "name": self.name, "offset": 0}
        given = {key: value for key, value in {**values, **changes}.items() if value}
        return f"?{urlencode(given, errors='replace')}" if given else "?"


@dataclass(frozen=True, slots=True)
class Found:
    tasks: tuple[Task, ...] = ()
    more: bool = False
    total: int | None = None
    error: SearchError | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A task and what belongs to it: those that it started, what it is a re-run of, and its own re-runs."""

    task: Task
    children: tuple[str, ...]
    origin: Rerun | None
    again: tuple[Rerun, ...]


async def tasks_page(request: Request, context: Context) -> Response:
    asked = _asked(await parameters(request))
    found = await read(lambda: _find(context, asked))
    status = 200 if found.error is None else 400
    shown = {"columns": columns_of(context.tasks_columns), "natural": context.natural_time}
    return await page(context, "tasks.html", status, asked=asked, found=found, states=STATES, page=PAGE, **shown)


async def task_page(request: Request, context: Context) -> Response:
    task_id = request.path_params["name"]

    def look() -> Known | None:
        task = context.store.task(task_id)
        if task is None:
            return None
        reruns = context.ledger.reruns
        children = tuple(context.store.children([task_id]).get(task_id, ()))
        return Known(task, children, reruns.origin(task_id), tuple(reruns.of(task_id)))

    known = await read(look)
    if known is None:
        return error_page(request, 404, f"Unknown task '{task_id}'")
    return await page(context, "task.html", 200, task=known.task, known=known, fields=_fields(known.task))


def error_page(request: Request, status: int, message: str, details: str = "") -> Response:
    context: Context = request.app.state.context
    values = {"root": context.root, "status": status, "message": message, "details": details, "recorder": None}
    return html("error.html", status, values)


PAGES: tuple[Route, ...] = (
    Route("GET", "/tasks", tasks_page, "page"),
    Route("GET", "/task/{name:path}", task_page, "page"),
)


async def page(context: Context, template: str, status: int, **values: Any) -> Response:
    line = await read(lambda: _recorder_line(context))
    # Rendering a hundred rows takes a few milliseconds, a megabyte of arguments more: not on the event loop.
    return await read(lambda: html(template, status, {"root": context.root, "recorder": line, **values}))


def html(template: str, status: int, values: Mapping[str, Any]) -> Response:
    return Response(render(template, values), status, headers={"content-type": "text/html; charset=UTF-8"})


def _recorder_line(context: Context) -> RecorderLine:
    return recorder_line(context.store.recorder_status(), context.store.gaps())


def _asked(given: Parameters) -> Asked:
    return Asked(
        search=given.text("search") or "",
        state=given.text("state") or "",
        worker=given.text("worker") or "",
        name=given.text("name") or "",
        offset=max(given.integer("offset") or 0, 0),
    )


def _find(context: Context, asked: Asked) -> Found:
    try:
        query = asked.query()
    except SearchError as error:
        return Found(error=error)
    tasks = tuple(context.store.tasks(query, limit=PAGE + 1, offset=asked.offset))
    counted = context.store.counted(query.where)
    total = None if counted.partial else counted.count
    return Found(tasks[:PAGE], len(tasks) > PAGE, total)


def _fields(task: Task) -> dict[str, Any]:
    """The remaining fields that are known, in the record's order."""
    values = ((name, getattr(task, name)) for name in Task.__struct_fields__ if name not in _SHOWN_APART)
    return {name: value for name, value in values if value is not None}
