"""Cookies: the session, the state of an OAuth login, and the XSRF token."""

import secrets

from starlette.requests import Request
from starlette.responses import Response

from flower.access.sessions import SESSION_COOKIE, SESSION_MAX_AGE, STATE_COOKIE, STATE_MAX_AGE, XSRF_COOKIE
from flower.api.context import Context

#: Random bytes in an XSRF token.
_XSRF_BYTES = 24


def set_session_cookie(request: Request, response: Response, context: Context, value: str) -> None:
    _set_cookie(request, response, context, SESSION_COOKIE, value, SESSION_MAX_AGE)


def set_state_cookie(request: Request, response: Response, context: Context, value: str) -> None:
    _set_cookie(request, response, context, STATE_COOKIE, value, STATE_MAX_AGE)


def set_xsrf_cookie(request: Request, response: Response, context: Context) -> None:
    """Readable by scripts: the pages send it back in a header."""
    if XSRF_COOKIE not in request.cookies:
        _set_cookie(request, response, context, XSRF_COOKIE, xsrf_token(request), SESSION_MAX_AGE, readable=True)


def xsrf_token(request: Request) -> str:
    """The token of the browser's cookie, or a new one for this request."""
    token = request.cookies.get(XSRF_COOKIE)
    if token:
        return token
    if not hasattr(request.state, "xsrf"):
        request.state.xsrf = secrets.token_urlsafe(_XSRF_BYTES)
    return str(request.state.xsrf)


def delete_cookie(response: Response, context: Context, name: str) -> None:
    response.delete_cookie(name, path=_cookie_path(context), httponly=True, samesite="lax")


def _set_cookie(
    request: Request,
    response: Response,
    context: Context,
    name: str,
    value: str,
    max_age: int,
    *,
    readable: bool = False,
) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(
        name, value, max_age=max_age, path=_cookie_path(context), secure=secure, httponly=not readable, samesite="lax"
    )


def _cookie_path(context: Context) -> str:
    """The root path: two servers on one host with different prefixes have separate cookies."""
    return context.root_path or "/"
