"""Who may do what, said once for all routes."""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from flower.access import ANONYMOUS, Identity, Permission
from flower.access.authenticator import AuthFailure, Credentials
from flower.access.sessions import SESSION_COOKIE, XSRF_COOKIE
from flower.api.context import Context
from flower.http.request_params import read_params
from flower.http.responses import STATUS_BY_CODE, text_response

#: open   never guarded
#: page   needs the login, if one is configured
#: api    needs the login, or the environment's word that none is needed
#: own    as api; but pages of ours may read it wherever people may see the pages
AccessRule: TypeAlias = Literal["open", "page", "api", "own"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

API_DISABLED = "FLOWER_UNAUTHENTICATED_API environment variable is required to enable API without authentication"

#: Bytes of a form in which the XSRF token is looked for.
MAX_FORM_SIZE: Final = 1 << 20

_TRUE_WORDS = frozenset({"y", "yes", "t", "true", "on", "1"})
_BASIC_CHALLENGE = {"www-authenticate": 'Basic realm="flower"'}
_BEARER_CHALLENGE = {"www-authenticate": 'Bearer error="invalid_token"'}

#: For scripts of other pages, once the API is open to everybody.
_CORS_HEADERS: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "x-requested-with,access-control-allow-origin,authorization,content-type",
    "access-control-allow-methods": "PUT, DELETE, OPTIONS, POST, GET, PATCH",
}


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is not served. `code` is one of `answers.STATUS`; with an address in `login` people are sent there
    instead."""

    code: Literal["unauthorized", "forbidden", "too_many"]
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    login_url: str = ""


async def authorize(request: Request, access: AccessRule, permission: Permission, context: Context) -> Denial | None:
    """None if the request is served. Who asks is found out here and nowhere else. The order is part of the contract."""
    if access == "open":
        return None
    writes = request.method not in SAFE_METHODS
    if writes and context.read_only and access in ("api", "own"):
        return Denial("forbidden", "Read only mode is enabled")
    objected = await _authenticate(request, access, context)
    if objected is not None:
        return objected
    if writes and not is_same_origin(request):
        return Denial("forbidden", "This request comes from another site")
    identity = request_identity(request)
    if (
        writes
        and identity.auth_method == "session"
        and "authorization" not in request.headers
        and not await has_xsrf(request)
    ):
        return Denial(
            "forbidden",
            "'_xsrf' argument missing or wrong",
            hint="send the cookie _xsrf in the header X-XSRFToken, too",
        )
    if not identity.has_permission(permission):
        return Denial("forbidden", f"You may not do this: it needs the permission '{permission}'")
    return None


def request_identity(request: Request) -> Identity:
    """Who asks; known once `objection` was asked."""
    found: Identity = getattr(request.state, "identity", ANONYMOUS)
    return found


def is_authenticated(request: Request) -> bool:
    return hasattr(request.state, "identity")


def denial_response(denial: Denial) -> Response:
    if denial.login_url:
        return RedirectResponse(denial.login_url, 302)
    return text_response(denial.message, STATUS_BY_CODE[denial.code], denial.headers)


def unauthenticated_api_enabled() -> bool:
    """Whether the API may be used without login: asked at every request, as in Flower."""
    return os.environ.get("FLOWER_UNAUTHENTICATED_API", "").strip().lower() in _TRUE_WORDS


def cors_headers(context: Context) -> Mapping[str, str]:
    return _CORS_HEADERS if not context.login_required and unauthenticated_api_enabled() else {}


def credentials_from(request: Request) -> Credentials:
    client = request.client.host if request.client else ""
    # `flower.peer` is the other end of the connection, where a proxy's word about the client was believed
    peer = request.scope.get("flower.peer", client)
    return Credentials(request.headers, request.cookies.get(SESSION_COOKIE, ""), client, peer)


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
    cookie = request.cookies.get(XSRF_COOKIE, "")
    headers = request.headers
    given = headers.get("x-xsrftoken") or headers.get("x-csrftoken") or request.query_params.get(XSRF_COOKIE)
    if not given and _is_small_form(request):
        await request.body()  # kept, so that whoever serves the request can read it again
        given = (await read_params(request)).get_text(XSRF_COOKIE)
    return bool(cookie and given) and hmac.compare_digest(cookie.encode(), str(given).encode())


async def _authenticate(request: Request, access: AccessRule, context: Context) -> Denial | None:
    """Notes who asks in the request's state, or says that they must log in."""
    by_token = request.headers.get("authorization", "").lower().startswith("bearer ")
    if context.login_required or by_token:
        found = await context.access.authenticate(credentials_from(request))
        if isinstance(found, Identity):
            request.state.identity = found
            return None
        if context.login_required:
            return _login_required(request, access, context, found)
    if (
        access in ("api", "own")
        and not unauthenticated_api_enabled()
        and not (access == "own" and _is_same_origin_page(request))
    ):
        return Denial("unauthorized", API_DISABLED)
    request.state.identity = ANONYMOUS
    return None


def _login_required(request: Request, access: AccessRule, context: Context, found: AuthFailure) -> Denial:
    if found.retry_after:
        return too_many_attempts(found.retry_after)
    if found.missing == "oauth":
        if request.method not in SAFE_METHODS:
            return Denial("forbidden", "Access denied", hint="log in first")
        if access == "page" or "text/html" in request.headers.get("accept", ""):
            return Denial("unauthorized", "Access denied", login_url=login_url(request, context))
        return Denial("unauthorized", "Access denied", hint="log in first, or send an API token")
    if found.missing == "token":
        return Denial(
            "unauthorized", "Access denied", _BEARER_CHALLENGE, hint="the token is wrong, has expired or was revoked"
        )
    return Denial("unauthorized", "Access denied", _BASIC_CHALLENGE if context.access.passwords else {})


def too_many_attempts(wait: int) -> Denial:
    message = f"Too many failed logins: try again in {wait} seconds"
    return Denial("too_many", message, {"retry-after": str(wait)})


def login_url(request: Request, context: Context) -> str:
    """The login, which leads back here."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{context.root_path}/login?{urlencode({'next': request.url.path + query})}"


def _is_same_origin_page(request: Request) -> bool:
    """A reading page of ours: it brings the cookie that every page gives. Where nobody needs to log in it reads no more
    than the pages have always shown to whoever reaches the port; scripts that were given nothing stay outside."""
    return request.method in SAFE_METHODS and XSRF_COOKIE in request.cookies and is_same_origin(request)


def _is_small_form(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    form = request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form"))
    return form and length.isdecimal() and int(length) <= MAX_FORM_SIZE
