"""Who may do what, said once for all routes."""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from flower.access import ANYONE, Identity, Permission
from flower.access.authenticator import Shown, Unknown
from flower.access.sessions import SESSION, XSRF
from flower.api.answers import STATUS, text_response
from flower.api.context import Context
from flower.api.parameters import parameters

#: open   never guarded
#: page   needs the login, if one is configured
#: api    needs the login, or the environment's word that none is needed
#: own    as api; but pages of ours may read it wherever people may see the pages
Access: TypeAlias = Literal["open", "page", "api", "own"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CLOSED = "FLOWER_UNAUTHENTICATED_API environment variable is required to enable API without authentication"

#: Bytes of a form in which the XSRF token is looked for.
FORM_LIMIT: Final = 1 << 20

_YES = frozenset({"y", "yes", "t", "true", "on", "1"})
_LOGIN = {"www-authenticate": 'Basic realm="flower"'}
_TOKEN = {"www-authenticate": 'Bearer error="invalid_token"'}

#: For scripts of other pages, once the API is open to everybody.
_SHARED: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "x-requested-with,access-control-allow-origin,authorization,content-type",
    "access-control-allow-methods": "PUT, DELETE, OPTIONS, POST, GET, PATCH",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a request is not served. `code` is one of `answers.STATUS`; with an address in `login` people are sent there
    instead."""

    code: Literal["unauthorized", "forbidden", "too_many"]
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    login: str = ""


async def objection(request: Request, access: Access, permission: Permission, context: Context) -> Objection | None:
    """None if the request is served. Who asks is found out here and nowhere else. The order is part of the contract."""
    if access == "open":
        return None
    writes = request.method not in SAFE_METHODS
    if writes and context.read_only and access in ("api", "own"):
        return Objection("forbidden", "Read only mode is enabled")
    objected = await _unidentified(request, access, context)
    if objected is not None:
        return objected
    if writes and not is_same_origin(request):
        return Objection("forbidden", "This request comes from another site")
    identity = identity_of(request)
    if writes and identity.way == "session" and "authorization" not in request.headers and not await has_xsrf(request):
        return Objection(
            "forbidden",
            "'_xsrf' argument missing or wrong",
            hint="send the cookie _xsrf in the header X-XSRFToken, too",
        )
    if not identity.may(permission):
        return Objection("forbidden", f"You may not do this: it needs the permission '{permission}'")
    return None


def identity_of(request: Request) -> Identity:
    """Who asks; known once `objection` was asked."""
    found: Identity = getattr(request.state, "identity", ANYONE)
    return found


def is_identified(request: Request) -> bool:
    return hasattr(request.state, "identity")


def refusal(found: Objection) -> Response:
    if found.login:
        return RedirectResponse(found.login, 302)
    return text_response(found.message, STATUS[found.code], found.headers)


def is_open() -> bool:
    """Whether the API may be used without login: asked at every request, as in Flower."""
    return os.environ.get("FLOWER_UNAUTHENTICATED_API", "").strip().lower() in _YES


def shared_headers(context: Context) -> Mapping[str, str]:
    return _SHARED if not context.authenticated and is_open() else {}


def shown_by(request: Request) -> Shown:
    client = request.client.host if request.client else ""
    # `flower.peer` is the other end of the connection, where a proxy's word about the client was believed
    peer = request.scope.get("flower.peer", client)
    return Shown(request.headers, request.cookies.get(SESSION, ""), client, peer)


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


async def has_xsrf(request: Request) -> bool:
    """Whether the cookie `_xsrf` is shown a second time, where only a page of ours can put it."""
    cookie = request.cookies.get(XSRF, "")
    headers = request.headers
    given = headers.get("x-xsrftoken") or headers.get("x-csrftoken") or request.query_params.get(XSRF)
    if not given and _is_small_form(request):
        await request.body()  # kept, so that whoever serves the request can read it again
        given = (await parameters(request)).text(XSRF)
    return bool(cookie and given) and hmac.compare_digest(cookie.encode(), str(given).encode())


async def _unidentified(request: Request, access: Access, context: Context) -> Objection | None:
    """Notes who asks in the request's state, or says that they must log in."""
    by_token = request.headers.get("authorization", "").lower().startswith("bearer ")
    if context.authenticated or by_token:
        found = await context.access.find(shown_by(request))
        if isinstance(found, Identity):
            request.state.identity = found
            return None
        if context.authenticated:
            return _login_needed(request, access, context, found)
    if access in ("api", "own") and not is_open() and not (access == "own" and _is_page_of_ours(request)):
        return Objection("unauthorized", CLOSED)
    request.state.identity = ANYONE
    return None


def _login_needed(request: Request, access: Access, context: Context, found: Unknown) -> Objection:
    if found.wait:
        return too_many(found.wait)
    if found.needs == "oauth":
        if request.method not in SAFE_METHODS:
            return Objection("forbidden", "Access denied", hint="log in first")
        if access == "page" or "text/html" in request.headers.get("accept", ""):
            return Objection("unauthorized", "Access denied", login=login_address(request, context))
        return Objection("unauthorized", "Access denied", hint="log in first, or send an API token")
    if found.needs == "token":
        return Objection("unauthorized", "Access denied", _TOKEN, hint="the token is wrong, has expired or was revoked")
    return Objection("unauthorized", "Access denied", _LOGIN if context.access.passwords else {})


def too_many(wait: int) -> Objection:
    message = f"Too many failed logins: try again in {wait} seconds"
    return Objection("too_many", message, {"retry-after": str(wait)})


def login_address(request: Request, context: Context) -> str:
    """The login, which leads back here."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{context.root}/login?{urlencode({'next': request.url.path + query})}"


def _is_page_of_ours(request: Request) -> bool:
    """A reading page of ours: it brings the cookie that every page gives. Where nobody needs to log in it reads no more
    than the pages have always shown to whoever reaches the port; scripts that were given nothing stay outside."""
    return request.method in SAFE_METHODS and XSRF in request.cookies and is_same_origin(request)


def _is_small_form(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    form = request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form"))
    return form and length.isdecimal() and int(length) <= FORM_LIMIT
