"""Parameters of a request to Flower's API: query string, form and JSON body.

Values are not HTML-escaped here; pages escape what they display, so a queue can be named `a&b`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request

from flower.errors import InvalidRequest
from flower.http.responses import content_too_large
from flower.option_types import FALSE_WORDS, TRUE_WORDS

#: Maximum size of a request body in bytes.
MAX_BODY_SIZE = 100 * 1024 * 1024

#: Maximum size of the body of a request that requires no authentication. All connections together must not reach the
#: limit for all bodies, so that clients without a login cannot keep users from signing in.
MAX_PUBLIC_BODY_SIZE: Final = 32 * 1024

#: Member of the scope: the maximum size of the body, if it is not MAX_BODY_SIZE.
MAX_BODY_KEY: Final = "flower.max_body"

#: Integers are clamped to what JSON and every store can represent.
_MAX_INTEGER = 2**53

FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class RequestParams:
    """Query string and form. The last of repeated values counts. Error messages are those of Flower."""

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

    def require_int(self, name: str) -> int:
        self.require(name)
        number = self.get_int(name)
        assert number is not None
        return number

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
        if value is None or value.lower() in FALSE_WORDS:
            return False
        if value.lower() not in TRUE_WORDS:
            raise InvalidRequest(f"Invalid argument '{value}' of type 'bool'")
        return True


async def read_params(request: Request) -> RequestParams:
    values = {name: value.strip() for name, value in request.query_params.multi_items()}
    if request.headers.get("content-type", "").startswith(FORM_TYPES):
        values |= {
            name: value.strip() for name, value in (await _read_form(request)).multi_items() if isinstance(value, str)
        }
    return RequestParams(values)


async def read_json_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body, whatever its Content-Type; an empty body is an empty object."""
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
    except (LookupError, UnicodeError) as error:  # an unknown charset, or bytes that are invalid in it
        raise InvalidRequest("Invalid form") from error


async def _read_body(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_SIZE:
            raise content_too_large()
        chunks.append(chunk)
    return b"".join(chunks)
