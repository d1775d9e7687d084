"""Authentication and authorization of requests: one function for all routes."""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from flower.access import ANONYMOUS, Identity, Permission
from flower.access.authenticator import AuthFailure, Credentials
from flower.access.sessions import SESSION_COOKIE, XSRF_COOKIE
from flower.api.context import Context
from flower.errors import FlowerError
from flower.http.request_params import FORM_TYPES, read_params
from flower.http.responses import redirect, status_of, text_response
from flower.option_types import TRUE_WORDS

#: public  no authentication
#: page    requires the login, if one is configured
#: api     requires the login, or without one the variable FLOWER_UNAUTHENTICATED_API
#: v1      as api; without a login also readable by Bellflower's own pages
AccessRule: TypeAlias = Literal["public", "page", "api", "v1"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

API_DISABLED = "FLOWER_UNAUTHENTICATED_API environment variable is required to enable API without authentication"

#: Maximum size of a form that is searched for the XSRF token, in bytes.
MAX_FORM_SIZE: Final = 1 << 20

_BASIC_CHALLENGE = {"www-authenticate": 'Basic realm="flower"'}
_BEARER_CHALLENGE = {"www-authenticate": 'Bearer error="invalid_token"'}

#: For scripts of other origins, where the API requires no authentication.
_CORS_HEADERS: Mapping[str, str] = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "x-requested-with,access-control-allow-origin,authorization,content-type",
    "access-control-allow-methods": "PUT, DELETE, OPTIONS, POST, GET, PATCH",
}


class Unauthenticated(FlowerError, PermissionError):
    """The action requires a user, and the request has none."""

    code = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is rejected. `code` is an error code of `responses.STATUS_BY_CODE`; with a `login_url` the browser
    is redirected to the login instead."""

    code: Literal["unauthenticated", "forbidden", "too_many_requests"]
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    login_url: str = ""


async def authorize(request: Request, access: AccessRule, permission: Permission, context: Context) -> Denial | None:
    """None if the request is allowed. Sets the identity of the request. The order of the checks is part of the
    compatibility contract. Raises StoreError."""
    if access == "public":
        return None
    is_write = request.method not in SAFE_METHODS
    if is_write and context.read_only and access in ("api", "v1"):
        return Denial("forbidden", "Read only mode is enabled")
    denial = await _authenticate(request, access, context)
    if denial is not None:
        return denial
    if is_write and not is_same_origin(request):
        return Denial("forbidden", "Cross-site requests are not allowed")
    identity = request_identity(request)
    if is_write and identity.auth_method == "session" and not await has_xsrf(request):
        return Denial(
            "forbidden",
            "'_xsrf' argument missing or wrong",
            hint="send the value of the cookie _xsrf in the header X-XSRFToken",
        )
    if not identity.has_permission(permission):
        return Denial("forbidden", f"Permission '{permission}' is required")
    return None


def request_identity(request: Request) -> Identity:
    """The identity that `authorize` set."""
    identity: Identity = getattr(request.state, "identity", ANONYMOUS)
    return identity


def is_authenticated(request: Request) -> bool:
    """Whether `authorize` identified the user, or no login is required."""
    return hasattr(request.state, "identity")


def denial_response(denial: Denial) -> Response:
    if denial.login_url:
        return redirect(denial.login_url)
    return text_response(denial.message, status_of(denial.code), denial.headers)


def unauthenticated_api_enabled() -> bool:
    """Read for every request, as in Flower."""
    return os.environ.get("FLOWER_UNAUTHENTICATED_API", "").strip().lower() in TRUE_WORDS


def cors_headers(context: Context) -> Mapping[str, str]:
    return _CORS_HEADERS if not context.login_required and unauthenticated_api_enabled() else {}


def client_address(request: Request) -> str:
    """The address of the client, with the option `xheaders` as reported by the proxy; "" for a Unix socket."""
    return request.client.host if request.client else ""


def credentials_from(request: Request) -> Credentials:
    client = client_address(request)
    # `flower.peer` is the address of the connection, where `client` was taken from a proxy's header.
    peer = request.scope.get("flower.peer", client)
    return Credentials(request.headers, request.cookies.get(SESSION_COOKIE, ""), client, peer)


def is_same_origin(request: Request) -> bool:
    """False if a browser reports that another site sent the request. Other clients send no such header."""
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
    """Whether the value of the cookie `_xsrf` is repeated in a header, the query string or a form field, which only
    Bellflower's own pages can do."""
    cookie = request.cookies.get(XSRF_COOKIE, "")
    headers = request.headers
    token = headers.get("x-xsrftoken") or headers.get("x-csrftoken") or request.query_params.get(XSRF_COOKIE)
    if not token and _is_small_form(request):
        await request.body()  # Starlette keeps it for the endpoint
        token = (await read_params(request)).get_text(XSRF_COOKIE)
    return bool(cookie and token) and hmac.compare_digest(cookie.encode(), str(token).encode())


async def _authenticate(request: Request, access: AccessRule, context: Context) -> Denial | None:
    has_token = request.headers.get("authorization", "").lower().startswith("bearer ")
    if context.login_required or has_token:
        result = await context.access.authenticate(credentials_from(request))
        if isinstance(result, Identity):
            request.state.identity = result
            return None
        if context.login_required:
            return _login_required(request, access, context, result)
    is_enabled = unauthenticated_api_enabled() or (access == "v1" and _is_same_origin_page(request))
    if access in ("api", "v1") and not is_enabled:
        return Denial("unauthenticated", API_DISABLED)
    request.state.identity = ANONYMOUS
    return None


def _login_required(request: Request, access: AccessRule, context: Context, failure: AuthFailure) -> Denial:
    if failure.retry_after:
        return too_many_attempts(failure.retry_after)
    if failure.missing == "oauth":
        if request.method not in SAFE_METHODS and access != "v1":  # as in Flower
            return Denial("forbidden", "Access denied", hint="sign in first")
        if access == "page" or "text/html" in request.headers.get("accept", ""):
            return Denial("unauthenticated", "Access denied", login_url=login_url(request, context))
        return Denial("unauthenticated", "Access denied", hint="sign in, or send an API token")
    if failure.missing == "token":
        hint = "the token is invalid, has expired or was revoked"
        return Denial("unauthenticated", "Access denied", _BEARER_CHALLENGE, hint=hint)
    return Denial("unauthenticated", "Access denied", _BASIC_CHALLENGE if context.access.passwords else {})


def too_many_attempts(retry_after: int) -> Denial:
    message = f"Too many failed sign-ins: try again in {retry_after} seconds"
    return Denial("too_many_requests", message, {"retry-after": str(retry_after)})


def login_url(request: Request, context: Context) -> str:
    """The URL of the login, with the requested URL as the target of the redirect after it."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{context.root_path}/login?{urlencode({'next': request.url.path + query})}"


def _is_same_origin_page(request: Request) -> bool:
    """Whether the request is from one of Bellflower's own pages, which send the cookie that every page sets.

    Without a login, pages are visible to every client that reaches the port; this gives them no access to more than
    they display."""
    return request.method in SAFE_METHODS and XSRF_COOKIE in request.cookies and is_same_origin(request)


def _is_small_form(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    is_form = request.headers.get("content-type", "").startswith(FORM_TYPES)
    return is_form and length.isdecimal() and int(length) <= MAX_FORM_SIZE
