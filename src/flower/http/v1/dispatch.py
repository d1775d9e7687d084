"""The table's routes over HTTP: a request becomes parameters, an answer becomes JSON, an error the one shape that
errors have here."""

import time
from collections.abc import AsyncIterator, Mapping

from msgspec import UNSET
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from flower.api.context import Context
from flower.api.json_encoder import dump_json
from flower.api.thread_pool import CpuTime, iterate_in_thread, measure_cpu_time, run_in_thread
from flower.errors import FlowerError, SearchError
from flower.http.access_control import Denial, request_identity
from flower.http.audit_middleware import audit_note
from flower.http.flower.routes import Endpoint, HttpRoute
from flower.http.responses import JSON, STATUS_BY_CODE
from flower.http.v1.action_routes import ALL_ACTION_ROUTES
from flower.http.v1.docs_page import docs_page
from flower.http.v1.openapi import openapi_document
from flower.http.v1.parsing import parse_body, parse_parameters
from flower.http.v1.route import ActionRoute, RequestContext
from flower.http.v1.routes import PREFIX, READ_ROUTES, ReadRoute
from flower.http.v1.schemas import Error, ErrorResponse
from flower.http.v1.stream import stream
from flower.http.v1.streaming_body import StreamingBody

#: Codes of the errors that the framework raises, by its status.
_FRAMEWORK_CODES = {404: "not_found", 405: "method_not_allowed"}


def read_endpoint(route: ReadRoute) -> Endpoint:
    async def answer(request: Request, context: Context) -> Response:
        began = time.perf_counter()
        asked = parse_parameters(route.params, request.path_params, request.query_params.multi_items())
        with measure_cpu_time() as effort:
            found = await run_in_thread(lambda: _call_handler(context, route, asked))
        if isinstance(found, StreamingBody):
            return await _streaming_response(request, found)
        return Response(found, headers=_response_headers(began, effort))

    return answer


def route_endpoint(action: ActionRoute) -> Endpoint:
    async def answer(request: Request, context: Context) -> Response:
        began = time.perf_counter()
        asked = parse_parameters(action.params, request.path_params, request.query_params.multi_items())
        body = None if action.body is None else parse_body(action.body, await request.body())
        with measure_cpu_time() as effort:
            found = await action.handler(
                RequestContext(context, request_identity(request), audit_note(request)), asked, body
            )
        if isinstance(found, StreamingBody):
            return await _streaming_response(request, found)
        return Response(dump_json(found), headers=_response_headers(began, effort))

    return answer


def _response_headers(began: float, effort: CpuTime) -> Mapping[str, str]:
    """With how long it took and what it cost, as Server Timing has it: pages go by it when they ask again."""
    milliseconds = (time.perf_counter() - began) * 1000
    return {"content-type": JSON, "server-timing": f"app;dur={milliseconds:.1f}, cpu;dur={effort.seconds * 1000:.1f}"}


def _call_handler(context: Context, route: ReadRoute, asked: object) -> bytes | StreamingBody:
    """In a thread, with the JSON: a thousand rows are a megabyte."""
    found = route.handler(context.store, asked)
    return found if isinstance(found, StreamingBody) else dump_json(found)


async def _streaming_response(request: Request, found: StreamingBody) -> Response:
    headers = {"content-type": found.media_type, **found.headers}
    if request.method == "HEAD":
        return Response(headers=headers)
    pieces = iterate_in_thread(found.chunks)
    # The first piece is made before the answer begins, so that a store that fails is an error and not half a file.
    first = await anext(pieces, b"")

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(body(), headers=headers)


async def get_openapi_document(request: Request, context: Context) -> Response:
    return Response(
        await run_in_thread(lambda: dump_json(openapi_document(context.root_path))), headers={"content-type": JSON}
    )


def v1_error_response(error: FlowerError) -> Response:
    """The one shape of all errors."""
    position = error.position if isinstance(error, SearchError) else None
    return _build_error_response(error.code, error.message, error.hint, position=position)


def v1_denied_response(found: Denial) -> Response:
    return _build_error_response(found.code, found.message, found.hint, headers=found.headers)


def v1_http_error_response(error: HTTPException) -> Response:
    code = _FRAMEWORK_CODES.get(error.status_code, "invalid")
    hint = f"{PREFIX}/docs shows what there is"
    message = "There is nothing at this address" if code == "not_found" else error.detail
    return _build_error_response(code, message, hint, headers=error.headers)


def v1_internal_error_response() -> Response:
    """An error of ours: no details."""
    return _build_error_response("error", "Something went wrong here", "the server's log says more")


def _build_error_response(
    code: str,
    message: str,
    hint: str = "",
    *,
    position: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    answer = ErrorResponse(Error(code, message, hint, UNSET if position is None else position))
    return Response(dump_json(answer), STATUS_BY_CODE.get(code, 500), headers={**(headers or {}), "content-type": JSON})


#: The routes as the server mounts them. The document tells nothing of the cluster: it needs no opened API.
V1_ROUTES: tuple[HttpRoute, ...] = (
    # before `/tasks/{uuid:path}`, which would take their last word for a part of the id
    *(
        HttpRoute(
            action.method,
            f"{PREFIX}{action.path}",
            route_endpoint(action),
            "own",
            action.permission,
            action.audit_action,
        )
        for action in ALL_ACTION_ROUTES
    ),
    *(
        HttpRoute("GET", f"{PREFIX}{route.path}", stream if route.events else read_endpoint(route), "own")
        for route in READ_ROUTES
    ),
    HttpRoute("GET", f"{PREFIX}/openapi.json", get_openapi_document, "page"),
    HttpRoute("GET", f"{PREFIX}/docs", docs_page, "page"),
)
