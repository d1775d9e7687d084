"""What a request asks for, out of query string, form and body. Nothing is HTML-escaped here: pages escape what they
show, and a queue named `a&b` is a queue named `a&b`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from flower.errors import InvalidRequest

#: Bytes of a request's body.
MAX_BODY_SIZE = 100 * 1024 * 1024

#: Numbers are cut to what every store can count with.
_MAX_INTEGER = 2**53

_TRUE_WORDS = frozenset({"y", "yes", "t", "true", "on", "1"})
_FALSE_WORDS = frozenset({"n", "no", "f", "false", "off", "0"})
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class RequestParams:
    """Query string and form in one; of values given twice the last one wins. Errors use Flower's words."""

    values: Mapping[str, str]

    def get_text(self, name: str) -> str | None:
        return self.values.get(name)

    def require(self, name: str) -> str:
        value = self.values.get(name)
        if not value:
            raise InvalidRequest(f"Missing argument {name}")
        return value

    def get_int(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return max(-_MAX_INTEGER, min(_MAX_INTEGER, int(value)))
        except ValueError:
            raise InvalidRequest(f"Invalid argument '{value}' of type 'int'") from None

    def get_float(self, name: str) -> float | None:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InvalidRequest(f"Invalid argument '{value}' of type 'float'")
        return number

    def get_bool(self, name: str) -> bool:
        value = self.values.get(name)
        if value is None or value.lower() in _FALSE_WORDS:
            return False
        if value.lower() not in _TRUE_WORDS:
            raise InvalidRequest(f"Invalid argument '{value}' of type 'bool'")
        return True


async def read_params(request: Request) -> RequestParams:
    values = {name: value.strip() for name, value in request.query_params.multi_items()}
    if request.headers.get("content-type", "").startswith(_FORM_TYPES):
        values |= {
            name: value.strip() for name, value in (await _read_form(request)).multi_items() if isinstance(value, str)
        }
    return RequestParams(values)


async def read_json_object(request: Request) -> dict[str, Any]:
    """The body, whatever its Content-Type says: nothing or a JSON object."""
    body = await _read_body(request)
    if not body.strip():
        return {}
    try:
        options = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(str(error)) from error
    if not isinstance(options, dict):
        raise InvalidRequest("invalid options")
    return options


async def _read_form(request: Request) -> FormData:
    try:
        return await request.form()
    except (LookupError, UnicodeError) as error:  # a charset that nobody knows, or bytes that are not in it
        raise InvalidRequest("Invalid form") from error


async def _read_body(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_SIZE:
            raise HTTPException(413)
        chunks.append(chunk)
    return b"".join(chunks)
