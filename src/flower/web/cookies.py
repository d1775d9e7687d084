"""The cookies that we give and take back."""

import secrets

from starlette.requests import Request
from starlette.responses import Response

from flower.access.sessions import SESSION, SESSION_AGE, STATE, STATE_AGE, XSRF
from flower.api.context import Context

#: Bytes of chance in an XSRF token.
_CHANCE = 24


def give_session(request: Request, response: Response, context: Context, sealed: str) -> None:
    _give(request, response, context, SESSION, sealed, SESSION_AGE)


def give_state(request: Request, response: Response, context: Context, sealed: str) -> None:
    _give(request, response, context, STATE, sealed, STATE_AGE)


def give_xsrf(request: Request, response: Response, context: Context) -> None:
    """Readable by the scripts of our pages, which send it back in a header."""
    if XSRF not in request.cookies:
        _give(request, response, context, XSRF, xsrf_token(request), SESSION_AGE, scripts=True)


def xsrf_token(request: Request) -> str:
    """The one that this browser has, or gets with this answer."""
    known = request.cookies.get(XSRF)
    if known:
        return known
    if not hasattr(request.state, "xsrf"):
        request.state.xsrf = secrets.token_urlsafe(_CHANCE)
    return str(request.state.xsrf)


def take(response: Response, context: Context, name: str) -> None:
    response.delete_cookie(name, path=_path(context), httponly=True, samesite="lax")


def _give(
    request: Request, response: Response, context: Context, name: str, value: str, age: int, *, scripts: bool = False
) -> None:
    secure = request.url.scheme == "https"
    response.set_cookie(
        name, value, max_age=age, path=_path(context), secure=secure, httponly=not scripts, samesite="lax"
    )


def _path(context: Context) -> str:
    """Two servers under one name, each below its own prefix, do not take each other's cookies."""
    return context.root or "/"
