"""What goes back: JSON, and errors as one-line texts with the status of their code."""

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from flower.errors import FlowerError, NoResultBackend, SearchError, Unavailable

#: The one table from the code of an error to the status of its answer.
STATUS: Mapping[str, int] = {
    "invalid": 400,
    "invalid_search": 400,
    "arguments_not_whole": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_registered": 404,
    "no_such_task": 404,
    "timeout": 504,
    "forbidden": 403,
    "too_many": 429,
    "task_failed": 500,
    "unavailable": 503,
    "no_result_backend": 503,
    "store": 503,
    "store_in_use": 503,
    "not_a_store": 503,
    "wrong_version": 503,
    "store_full": 503,
    "error": 500,
}

JSON = "application/json; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"

_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """JSON, quickly; and for what the quick way refuses (lone surrogates, odd keys) the patient one."""
    try:
        return _encoder.encode(value)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        plain = msgspec.to_builtins(value, builtin_types=(msgspec.Raw,), str_keys=True, enc_hook=str)
        return json.dumps(_finite(plain), ensure_ascii=True).encode()


def _finite(value: Any) -> Any:
    """Numbers that JSON does not have become null, as the quick way does it; what is JSON already becomes a value."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case msgspec.Raw():
            return json.loads(bytes(value))
    return value


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
            return json_response({"error": error.message, **({"hint": error.hint} if error.hint else {})}, status)
        case NoResultBackend():
            return text_response("", status)
        case Unavailable():  # the rest of the message names hosts
            return text_response("Broker or result backend unavailable", status)
        case _:
            return text_response(error.message, status)
