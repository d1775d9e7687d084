"""What goes back: JSON, and errors as one-line texts with the status of their code."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from flower.errors import FlowerError, NoResultBackend, SearchError, Unavailable

#: The one table from the code of an error to the status of its answer.
STATUS: Mapping[str, int] = {
    "invalid": 400,
    "invalid_search": 400,
    "not_found": 404,
    "not_registered": 404,
    "no_such_task": 404,
    "timeout": 504,
    "forbidden": 403,
    "task_failed": 500,
    "unavailable": 503,
    "no_result_backend": 503,
    "store": 503,
    "store_in_use": 503,
    "not_a_store": 503,
    "wrong_version": 503,
    "store_full": 503,
}

JSON = "application/json; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"

_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """JSON, quickly; and for what the quick way refuses (lone surrogates, numbers beyond 64 bits) the patient one."""
    try:
        return _encoder.encode(value)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        return json.dumps(value, ensure_ascii=True).encode()


def presentable(value: Any) -> Any:
    """A task's result as JSON can carry it; anything else as its repr, as Flower does."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)
    return value


def json_response(value: Any, status: int = 200) -> Response:
    return Response(encode(value), status, headers={"content-type": JSON})


def text_response(text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, status, headers={"content-type": TEXT, **(headers or {})})


def error_response(error: FlowerError) -> Response:
    status = STATUS.get(error.code, 500)
    match error:
        case SearchError():
            return json_response({"error": str(error)}, status)
        case NoResultBackend():
            return text_response("", status)
        case Unavailable():  # the rest of the message names hosts
            return text_response("Broker or result backend unavailable", status)
        case _:
            return text_response(error.message, status)
