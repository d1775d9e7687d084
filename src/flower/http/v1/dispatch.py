"""The endpoint of a route: decode the request, call the handler, encode the response or the error."""

import inspect
import time
from collections.abc import Awaitable, Mapping
from typing import cast

from msgspec import UNSET
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.json_encoder import dump_json
from flower.api.thread_pool import CpuTime, measure_cpu_time, run_in_thread
from flower.errors import FlowerError, SearchError
from flower.http.access_control import Denial, request_identity
from flower.http.audit_middleware import audit_note
from flower.http.responses import JSON, framework_code, status_of, streaming_response
from flower.http.route import Endpoint, HttpRoute
from flower.http.v1.docs_page import docs_page
from flower.http.v1.openapi import encode_document, encoded_document
from flower.http.v1.parsing import parse_body, parse_params
from flower.http.v1.route import PREFIX, HandlerResult, RequestContext, Route, StreamingBody
from flower.http.v1.routes import ROUTES
from flower.http.v1.schemas import Error, ErrorResponse


def make_endpoint(route: Route) -> Endpoint:
    async def endpoint(request: Request, context: Context) -> Response:
        started = time.perf_counter()
        params = parse_params(route.params, request.path_params, request.query_params.multi_items())
        body = None if route.body is None else parse_body(route.body, await request.body())
        ctx = RequestContext(context, request_identity(request), audit_note(request), request)
        with measure_cpu_time() as cpu_time:
            result = await _call_handler(route, ctx, params, body)
        if isinstance(result, Response):
            return result
        if isinstance(result, StreamingBody):
            headers = {"content-type": result.media_type, **result.headers}
            if request.method == "HEAD":
                return Response(headers=headers)
            return await streaming_response(result.chunks, headers)
        return Response(result, headers=_response_headers(started, cpu_time))

    return endpoint


async def _call_handler(
    route: Route, ctx: RequestContext, params: object, body: object
) -> bytes | StreamingBody | Response:
    """The result, with a struct encoded as JSON in a worker thread: a page of a thousand rows is a megabyte."""
    if inspect.iscoroutinefunction(route.handler):
        result = await cast(Awaitable[HandlerResult], route.handler(ctx, params, body))
        if isinstance(result, StreamingBody | Response):
            # without a thread: an event stream must not wait for a free one, nor be cancelled while it waits
            return result
        return await run_in_thread(lambda: _encode(result))
    return await run_in_thread(lambda: _encode(cast(HandlerResult, route.handler(ctx, params, body))))


def _encode(result: HandlerResult) -> bytes | StreamingBody | Response:
    return result if isinstance(result, StreamingBody | Response) else dump_json(result)


def _response_headers(started: float, cpu_time: CpuTime) -> Mapping[str, str]:
    """The headers, with the time of the request in Server-Timing: pages choose their refresh interval by it."""
    milliseconds = (time.perf_counter() - started) * 1000
    return {"content-type": JSON, "server-timing": f"app;dur={milliseconds:.1f}, cpu;dur={cpu_time.seconds * 1000:.1f}"}


def error_response(error: FlowerError) -> Response:
    position = error.position if isinstance(error, SearchError) else None
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
    return _build_error_response(error.code, error.message, error.hint, position=position, headers=headers)


def denied_response(denial: Denial) -> Response:
    return _build_error_response(denial.code, denial.message, denial.hint, headers=denial.headers)


def http_error_response(error: HTTPException) -> Response:
    """An error that the framework raised: unknown path, wrong method, body too large."""
    code = framework_code(error.status_code)
    message = "Not found: no such route" if code == "not_found" else error.detail
    return _build_error_response(code, message, f"see {PREFIX}/docs", headers=error.headers)


def internal_error_response() -> Response:
    """The response to an internal error. The details are in the log only."""
    return _build_error_response("internal_error", "Internal server error", "see the server's log")


def _build_error_response(
    code: str,
    message: str,
    hint: str = "",
    *,
    position: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = ErrorResponse(Error(code, message, hint, UNSET if position is None else position))
    return Response(dump_json(body), status_of(code), headers={**(headers or {}), "content-type": JSON})


async def get_openapi_document(request: Request, context: Context) -> Response:
    content = encoded_document(context.root_path)
    if content is None:
        # One request builds it. The others wait here: in the threads they would delay all other requests.
        async with context.openapi_lock:
            content = await run_in_thread(lambda: encode_document(context.root_path))
    return Response(content, headers={"content-type": JSON})


#: The routes as the server mounts them. An id can contain slashes: paths that end with one come last, otherwise the
#: last word of `/tasks/{uuid:path}/rerun` would be a part of the id. The document contains no data of the cluster and
#: does not require that the API is enabled.
V1_HTTP_ROUTES: tuple[HttpRoute, ...] = (
    *(
        HttpRoute(
            route.method, f"{PREFIX}{route.path}", make_endpoint(route), "v1", route.permission, route.audit_action
        )
        for route in sorted(ROUTES, key=lambda route: route.path.endswith(":path}"))
    ),
    HttpRoute("GET", f"{PREFIX}/openapi.json", get_openapi_document, "page"),
    HttpRoute("GET", f"{PREFIX}/docs", docs_page, "page"),
)
