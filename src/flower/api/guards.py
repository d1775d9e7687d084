"""Who may do what, said once for all routes."""

import base64
import binascii
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from flower.access import ANYONE, Identity
from flower.api.answers import STATUS, text_response
from flower.api.context import Context

#: open   never guarded
#: page   needs the login, if one is configured
#: api    needs the login, or the environment's word that none is needed
Access: TypeAlias = Literal["open", "page", "api"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CLOSED = "FLOWER_UNAUTHENTICATED_API environment variable is required to enable API without authentication"

_YES = frozenset({"y", "yes", "t", "true", "on", "1"})
_LOGIN = {"www-authenticate": 'Basic realm="flower"'}

#: For scripts of other pages, once the API is open to everybody.
_SHARED: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "x-requested-with,access-control-allow-origin,authorization,content-type",
    "access-control-allow-methods": "PUT, DELETE, OPTIONS, POST, GET, PATCH",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a request is not served. `code` is one of `answers.STATUS`."""

    code: Literal["unauthorized", "forbidden"]
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


def objection(request: Request, access: Access, context: Context) -> Objection | None:
    """None if the request is served. The order is part of the contract."""
    if access == "open":
        return None
    writes = request.method not in SAFE_METHODS
    if writes and context.read_only and access == "api":
        return Objection("forbidden", "Read only mode is enabled")
    if context.authenticated and not is_logged_in(request, context.basic_auth):
        return Objection("unauthorized", "Access denied", _LOGIN)
    if access == "api" and not context.authenticated and not is_open():
        return Objection("unauthorized", CLOSED)
    if writes and not is_same_origin(request):
        return Objection("forbidden", "This request comes from another site")
    return None


def identity_of(request: Request) -> Identity:
    """Who asks; known once `objection` was asked."""
    found: Identity = getattr(request.state, "identity", ANYONE)
    return found


def refusal(found: Objection) -> Response:
    return text_response(found.message, STATUS[found.code], found.headers)


def is_open() -> bool:
    """Whether the API may be used without login: asked at every request, as in Flower."""
    return os.environ.get("FLOWER_UNAUTHENTICATED_API", "").strip().lower() in _YES


def shared_headers(context: Context) -> Mapping[str, str]:
    return _SHARED if not context.authenticated and is_open() else {}


def is_logged_in(request: Request, pairs: tuple[str, ...]) -> bool:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    if scheme.lower() != "basic":
        return False
    # All pairs are compared, each in constant time: how long it takes tells nothing.
    return any([hmac.compare_digest(given, pair.encode()) for pair in pairs])  # noqa: C419


def is_same_origin(request: Request) -> bool:
    """False if a browser says that another site made this request. Scripts and tools say nothing of the kind."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    except ValueError:
        return False
