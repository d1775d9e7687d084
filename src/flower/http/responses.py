"""What goes back: JSON, and errors as one-line texts with the status of their code."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from flower.api.json_encoder import dump_json
from flower.errors import BackendUnavailable, FlowerError, NoResultBackend, SearchError

#: The one table from the code of an error to the status of its answer.
STATUS_BY_CODE: Mapping[str, int] = {
    "invalid_request": 400,
    "invalid_query": 400,
    "truncated_arguments": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "task_not_registered": 404,
    "task_not_found": 404,
    "timeout": 504,
    "forbidden": 403,
    "too_many": 429,
    "task_failed": 500,
    "backend_unavailable": 503,
    "no_result_backend": 503,
    "store_unavailable": 503,
    "store_in_use": 503,
    "invalid_store": 503,
    "store_version_mismatch": 503,
    "store_full": 503,
    "internal_error": 500,
}

JSON = "application/json; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"


def json_response(value: Any, status: int = 200) -> Response:
    return Response(dump_json(value), status, headers={"content-type": JSON})


def text_response(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, status, headers={"content-type": TEXT, **(headers or {})})


def flower_error_response(error: FlowerError) -> Response:
    status = STATUS_BY_CODE.get(error.code, 500)
    match error:
        case SearchError():
            return json_response({"error": error.message, **({"hint": error.hint} if error.hint else {})}, status)
        case NoResultBackend():
            return text_response("", status)
        case BackendUnavailable():  # the rest of the message names hosts
            return text_response("Broker or result backend unavailable", status)
        case _:
            return text_response(error.message, status)
