"""The table's routes over HTTP: a request becomes parameters, an answer becomes JSON, an error the one shape that
errors have here."""

import time
from collections.abc import AsyncIterator, Mapping

from msgspec import UNSET
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flower.api.answers import JSON, STATUS, encode
from flower.api.context import Context
from flower.api.guards import Objection, identity_of
from flower.api.noting import note_of
from flower.api.reading import Effort, measured, read, read_all
from flower.api.routes import Endpoint
from flower.api.routes import Route as HttpRoute
from flower.api.v1.acting import Acting, Action
from flower.api.v1.actions import ACTIONS
from flower.api.v1.answers import ErrorAnswer, Problem
from flower.api.v1.document import document
from flower.api.v1.live import follow
from flower.api.v1.parsing import parse_body, parse_parameters
from flower.api.v1.streamed import Streamed
from flower.api.v1.table import PREFIX, ROUTES, Route
from flower.api.v1.viewer import viewer
from flower.errors import FlowerError, SearchError

#: Codes of the errors that the framework raises, by its status.
_CODES = {404: "not_found", 405: "method_not_allowed"}


def endpoint(route: Route) -> Endpoint:
    async def answer(request: Request, context: Context) -> Response:
        began = time.perf_counter()
        asked = parse_parameters(route.asked, request.path_params, request.query_params.multi_items())
        with measured() as effort:
            found = await read(lambda: _answered(context, route, asked))
        if isinstance(found, Streamed):
            return await _streamed(request, found)
        return Response(found, headers=_answer_headers(began, effort))

    return answer


def action_endpoint(action: Action) -> Endpoint:
    async def answer(request: Request, context: Context) -> Response:
        began = time.perf_counter()
        asked = parse_parameters(action.asked, request.path_params, request.query_params.multi_items())
        body = None if action.body is None else parse_body(action.body, await request.body())
        with measured() as effort:
            found = await action.act(Acting(context, identity_of(request), note_of(request)), asked, body)
        if isinstance(found, Streamed):
            return await _streamed(request, found)
        return Response(encode(found), headers=_answer_headers(began, effort))

    return answer


def _answer_headers(began: float, effort: Effort) -> Mapping[str, str]:
    """With how long it took and what it cost, as Server Timing has it: pages go by it when they ask again."""
    milliseconds = (time.perf_counter() - began) * 1000
    return {"content-type": JSON, "server-timing": f"app;dur={milliseconds:.1f}, cpu;dur={effort.seconds * 1000:.1f}"}


def _answered(context: Context, route: Route, asked: object) -> bytes | Streamed:
    """In a thread, with the JSON: a thousand rows are a megabyte."""
    found = route.answer(context.store, asked)
    return found if isinstance(found, Streamed) else encode(found)


async def _streamed(request: Request, found: Streamed) -> Response:
    headers = {"content-type": found.media_type, **found.headers}
    if request.method == "HEAD":
        return Response(headers=headers)
    pieces = read_all(found.pieces)
    # The first piece is made before the answer begins, so that a store that fails is an error and not half a file.
    first = await anext(pieces, b"")

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(body(), headers=headers)


async def openapi(request: Request, context: Context) -> Response:
    return Response(await read(lambda: encode(document(context.root))), headers={"content-type": JSON})


def problem(error: FlowerError) -> Response:
    """The one shape of all errors."""
    position = error.position if isinstance(error, SearchError) else None
    return _problem(error.code, error.message, error.hint, position=position)


def refused(found: Objection) -> Response:
    return _problem(found.code, found.message, found.hint, headers=found.headers)


def no_route(error: HTTPException) -> Response:
    code = _CODES.get(error.status_code, "invalid")
    hint = f"{PREFIX}/docs shows what there is"
    message = "There is nothing at this address" if code == "not_found" else error.detail
    return _problem(code, message, hint, headers=error.headers)


def broken() -> Response:
    """An error of ours: no details."""
    return _problem("error", "Something went wrong here", "the server's log says more")


def _problem(
    code: str,
    message: str,
    hint: str = "",
    *,
    position: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    answer = ErrorAnswer(Problem(code, message, hint, UNSET if position is None else position))
    return Response(encode(answer), STATUS.get(code, 500), headers={**(headers or {}), "content-type": JSON})


#: The routes as the server mounts them. The document tells nothing of the cluster: it needs no opened API.
V1_ROUTES: tuple[HttpRoute, ...] = (
    # before `/tasks/{uuid:path}`, which would take their last word for a part of the id
    *(
        HttpRoute(
            action.method, f"{PREFIX}{action.path}", action_endpoint(action), "own", action.permission, action.action
        )
        for action in ACTIONS
    ),
    *(
        HttpRoute("GET", f"{PREFIX}{route.path}", follow if route.events else endpoint(route), "own")
        for route in ROUTES
    ),
    HttpRoute("GET", f"{PREFIX}/openapi.json", openapi, "page"),
    HttpRoute("GET", f"{PREFIX}/docs", viewer, "page"),
)
