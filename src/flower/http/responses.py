"""HTTP responses: JSON and text bodies, and the one table of status codes."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Send

from flower.api.json_encoder import dump_json
from flower.api.thread_pool import iterate_in_thread
from flower.errors import BackendUnavailable, FlowerError, NoResultBackend, SearchError, StoreDamaged

log = logging.getLogger(__name__)

OK: Final = 200

#: Error code → HTTP status. `FlowerError.code` is one of these; so are the codes of errors that only HTTP has.
STATUS_BY_CODE: Final[Mapping[str, int]] = {
    "invalid_request": 400,
    "invalid_query": 400,
    "truncated_arguments": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "task_not_found": 404,
    "task_not_registered": 404,
    "method_not_allowed": 405,
    "content_too_large": 413,
    "too_many_requests": 429,
    "internal_error": 500,
    "task_failed": 500,
    "backend_unavailable": 503,
    "no_result_backend": 503,
    "provider_unavailable": 503,
    "store_unavailable": 503,
    "store_in_use": 503,
    "invalid_store": 503,
    "store_version_mismatch": 503,
    "store_full": 503,
    "store_damaged": 503,
    "timeout": 504,
}

NO_CONTENT: Final = 204
NOT_MODIFIED: Final = 304
_FOUND: Final = 302
_FIRST_CLIENT_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500

#: Codes of the errors that Starlette raises, by its status.
_FRAMEWORK_CODES: Final = {
    STATUS_BY_CODE[code]: code for code in ("not_found", "method_not_allowed", "content_too_large", "too_many_requests")
}

JSON = "application/json; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"


def status_of(code: str) -> int:
    """The status of an error code; that of an internal error for an unknown code."""
    return STATUS_BY_CODE.get(code, STATUS_BY_CODE["internal_error"])


def framework_code(status: int) -> str:
    """The error code of an error that Starlette raised."""
    return _FRAMEWORK_CODES.get(status, "invalid_request")


def is_client_error(status: int) -> bool:
    return _FIRST_CLIENT_ERROR <= status < _FIRST_SERVER_ERROR


def is_success(status: int) -> bool:
    return status < _FIRST_CLIENT_ERROR


def json_response(value: Any, status: int = OK) -> Response:
    return Response(dump_json(value), status, headers={"content-type": JSON})


def text_response(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, status, headers={"content-type": TEXT, **(headers or {})})


async def streaming_response(
    chunks: Iterator[bytes],
    headers: Mapping[str, str],
    *,
    prefix: bytes = b"",
    separator: bytes = b"",
    suffix: bytes = b"",
) -> Response:
    """Send chunks that are read in worker threads. The first one is read before the response starts, so that an error
    of the store is an error response and not half a body."""
    remaining = iterate_in_thread(chunks)
    first = await anext(remaining, b"")

    async def body() -> AsyncIterator[bytes]:
        yield prefix + first
        async for chunk in remaining:
            yield separator + chunk
        if suffix:
            yield suffix

    return _AbortableResponse(body(), headers=dict(headers))


class _AbortableResponse(StreamingResponse):
    """Ends without the end of the body after an error, so that the server closes the connection and the client does not
    take half a file for a complete one."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except StoreDamaged:
            log.warning("Response aborted: tasks cannot be read")  # the file was logged when the damage was met
        except FlowerError as error:
            log.warning("Response aborted: %s", error)


def redirect(url: str) -> Response:
    return RedirectResponse(url, _FOUND)


def content_too_large() -> HTTPException:
    return HTTPException(STATUS_BY_CODE["content_too_large"])


def too_many_bodies() -> HTTPException:
    detail = "Too many large requests at the same time: try again later"
    return HTTPException(STATUS_BY_CODE["too_many_requests"], detail, {"retry-after": "10"})


def flower_error_response(error: FlowerError) -> Response:
    """An error of Flower's API: one line of text, or JSON for a search that cannot be parsed."""
    status = status_of(error.code)
    match error:
        case SearchError():
            return json_response({"error": error.message, **({"hint": error.hint} if error.hint else {})}, status)
        case NoResultBackend():
            return text_response("", status)
        case BackendUnavailable():  # the message contains host names
            return text_response("Broker or result backend unavailable", status)
        case _:
            return text_response(error.message, status)
