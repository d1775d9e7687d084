"""Routes /login and /logout: the form for users of `basic_auth`, and the redirects to and from the OAuth provider."""

import logging
import secrets
from typing import Final, Literal, TypeAlias

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from flower.access.authenticator import AuthFailure
from flower.access.login_throttle import AttemptOutcome
from flower.access.oauth.provider import LoginAttempt, LoginDenied, OAuthProvider, UserInfo
from flower.access.sessions import SESSION_COOKIE, STATE_COOKIE, LoginState, Session, Sessions
from flower.api.context import Context
from flower.api.login_audit import write_failure, write_logout, write_success
from flower.api.thread_pool import run_in_thread
from flower.errors import NotFound
from flower.http.access_control import Denial, client_address, has_xsrf, is_same_origin, too_many_attempts
from flower.http.request_params import RequestParams, read_params
from flower.http.responses import OK, STATUS_BY_CODE, redirect
from flower.http.route import HttpRoute
from flower.log_rate_limit import limit_log_rate
from flower.web.cookies import delete_cookie, set_session_cookie, set_state_cookie, set_xsrf_cookie, xsrf_token
from flower.web.rendering import error_page, render_page

#: Errors of the login provider that are logged per minute, with their tracebacks.
MAX_ERRORS_PER_MINUTE: Final = 5

log = logging.getLogger(__name__)
# Every client can begin a sign-in while the provider is unreachable.
limit_log_rate(log, burst=MAX_ERRORS_PER_MINUTE, tracebacks=True)

_FORBIDDEN: Final = STATUS_BY_CODE["forbidden"]

#: How a sign-in is named in the audit log: by password, or at a provider.
LoginMethod: TypeAlias = Literal["basic", "session"]


async def show_login(request: Request, context: Context) -> Response:
    """The form, or with OAuth the redirect to the provider and its callback."""
    provider = context.access.oauth_provider
    if provider is None:
        return _login_form(request, context, OK)
    params = await read_params(request)
    if params.get_text("error") or params.get_text("code"):
        return await _handle_callback(request, context, provider)
    return await _redirect_to_provider(request, context, provider)


async def submit_login(request: Request, context: Context) -> Response:
    if not _has_password_login(context):
        raise _no_page()
    if not is_same_origin(request) or not await has_xsrf(request):
        return _login_form(
            request, context, _FORBIDDEN, "The form has expired or was sent from another site. Try again."
        )
    params = await read_params(request)
    name, password = params.get_text("name") or "", params.get_text("password") or ""
    result = await context.access.check_password(name, password, client_address(request))
    if isinstance(result, AuthFailure):
        rejected = bool(result.retry_after)
        denial = too_many_attempts(result.retry_after) if rejected else Denial("forbidden", "Wrong name or password")
        await _audit_failure(request, context, name, "basic", denial.message, rejected=rejected)
        response = _login_form(request, context, STATUS_BY_CODE[denial.code], denial.message, name)
        response.headers.update(denial.headers)
        return response
    await _audit_success(request, context, name, "basic")
    cookie = await to_thread.run_sync(lambda: _sessions(context).start(name, "password"))
    return _signed_in(request, context, cookie, params.get_text("next") or "")


async def show_logout(request: Request, context: Context) -> Response:
    """A signed-in user must confirm: other sites can link to this page, and browsers load links in advance."""
    if await _load_session(request, context) is not None:
        return _logout_form(request, context, OK)
    response = render_page(context, "logout.html", OK, {"signed_in": False, "can_login": context.access.is_required})
    delete_cookie(response, context, SESSION_COOKIE)
    return response


async def submit_logout(request: Request, context: Context) -> Response:
    """End the session: a copy of the cookie is not accepted any more, by any web server of the store."""
    session = await _load_session(request, context)
    if session is not None:
        if not is_same_origin(request) or not await has_xsrf(request):
            return _logout_form(request, context, _FORBIDDEN)
        await to_thread.run_sync(_sessions(context).end, session)
        address = client_address(request)
        await run_in_thread(lambda: write_logout(context.ledger.audit, session.name, address))
    response = redirect(f"{context.root_path}/logout")
    delete_cookie(response, context, SESSION_COOKIE)
    return response


#: `/login/` is the one path that may end with a slash, as in Flower.
LOGIN_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/login", show_login, "public"),
    HttpRoute("GET", "/login/", show_login, "public"),
    HttpRoute("POST", "/login", submit_login, "public"),
    HttpRoute("GET", "/logout", show_logout, "public"),
    HttpRoute("POST", "/logout", submit_logout, "public"),
)


async def _redirect_to_provider(request: Request, context: Context, provider: OAuthProvider) -> Response:
    """The state of the login is stored in a signed cookie."""
    next_page = (await read_params(request)).get_text("next") or ""
    redirect_uri = context.oauth2_redirect_uri or _callback_url(request, context)
    attempt = LoginAttempt(redirect_uri, *(secrets.token_urlsafe(32) for _ in range(3)))
    try:
        url = await provider.authorize_url(attempt)
    except LoginDenied as denied:
        return error_page(request, _FORBIDDEN, str(denied))
    except Exception:  # noqa: BLE001 - a provider can be any class; the error is logged
        return _provider_error_page(request)
    state = LoginState(
        attempt.state, attempt.nonce, attempt.verifier, safe_redirect_target(next_page, context), redirect_uri
    )
    response = redirect(url)
    cookie = await to_thread.run_sync(_sessions(context).signer.sign_login_state, state)
    set_state_cookie(request, response, context, cookie)
    return response


async def _handle_callback(request: Request, context: Context, provider: OAuthProvider) -> Response:
    """The browser returns from the provider with a code or an error. Without the state of a login that this browser
    began, neither has an effect: every site can link to this URL."""
    params = await read_params(request)
    signer = _sessions(context).signer
    state = await to_thread.run_sync(signer.read_login_state, request.cookies.get(STATE_COOKIE, ""))
    if state is None or not secrets.compare_digest(state.state.encode(), (params.get_text("state") or "").encode()):
        return error_page(request, _FORBIDDEN, "State tokens do not match. Try to sign in again.")
    throttle, address = context.access.login_throttle, client_address(request)
    if retry_after := throttle.start_attempt("", address):
        denial = too_many_attempts(retry_after)
        await _audit_failure(request, context, "", "session", denial.message, rejected=True)
        response = error_page(request, STATUS_BY_CODE[denial.code], denial.message)
        response.headers.update(denial.headers)
        return response
    outcome: AttemptOutcome = "abandoned"
    try:
        user = await _authenticate(params, state, provider)
        name = _allowed_email(user, context)
        outcome = "success"
    except LoginDenied as denied:
        outcome = "failure"
        await _audit_failure(request, context, "", "session", str(denied))
        response = error_page(request, _FORBIDDEN, str(denied))
    except Exception:  # noqa: BLE001 - a provider can be any class; the error is logged
        return _provider_error_page(request)
    else:
        await _audit_success(request, context, name, "session")
        cookie = await to_thread.run_sync(lambda: _sessions(context).start(name, "oauth", user.groups))
        response = _signed_in(request, context, cookie, state.next)
    finally:
        throttle.end_attempt("", address, outcome)
    delete_cookie(response, context, STATE_COOKIE)
    return response


async def _authenticate(params: RequestParams, state: LoginState, provider: OAuthProvider) -> UserInfo:
    """Raises LoginDenied."""
    if error := params.get_text("error"):
        raise LoginDenied(f"The provider denied the sign-in: {params.get_text('error_description') or error}")
    attempt = LoginAttempt(state.redirect_uri, state.state, state.nonce, state.verifier)
    return await provider.authenticate(params.require("code"), attempt)


def _allowed_email(user: UserInfo, context: Context) -> str:
    """The user's first email address that may sign in. Raises LoginDenied."""
    is_allowed = context.access.email_allowed
    for email in user.emails:
        if is_allowed is not None and is_allowed(email):
            return email
    raise LoginDenied(f"Access denied to {', '.join(user.emails) or 'a user without an email address'}.")


def _signed_in(request: Request, context: Context, cookie: str, next_page: str) -> Response:
    response = redirect(safe_redirect_target(next_page, context) or f"{context.root_path}/")
    set_session_cookie(request, response, context, cookie)
    return response


def safe_redirect_target(url: str, context: Context) -> str:
    """The URL if it is a path of this server, otherwise "". Browsers treat `//x` and `/\\x` as other sites, and ignore
    tabs and line feeds."""
    is_below_root = url == context.root_path or url.startswith(f"{context.root_path}/")
    is_ambiguous = url.startswith("//") or "\\" in url or any(character < " " for character in url)
    return url if is_below_root and url.startswith("/") and not is_ambiguous else ""


def _login_form(request: Request, context: Context, status: int, error: str = "", name: str = "") -> Response:
    if not _has_password_login(context):
        raise _no_page()
    next_page = safe_redirect_target(request.query_params.get("next", ""), context)
    values = {"error": error, "name": name, "next": next_page, "xsrf": xsrf_token(request)}
    response = render_page(context, "login.html", status, values)
    set_xsrf_cookie(request, response, context)
    return response


def _logout_form(request: Request, context: Context, status: int) -> Response:
    response = render_page(context, "logout.html", status, {"signed_in": True, "xsrf": xsrf_token(request)})
    set_xsrf_cookie(request, response, context)
    return response


async def _load_session(request: Request, context: Context) -> Session | None:
    return await context.access.load_session(request.cookies.get(SESSION_COOKIE, ""))


def _no_page() -> NotFound:
    return NotFound("Page not found")


def _has_password_login(context: Context) -> bool:
    return bool(context.access.passwords) and context.access.email_allowed is None


def _sessions(context: Context) -> Sessions:
    sessions = context.access.sessions
    if sessions is None:
        raise _no_page()
    return sessions


def _callback_url(request: Request, context: Context) -> str:
    """The URL of /login as the browser requested it."""
    return str(request.url.replace(path=f"{context.root_path}/login", query="", fragment=""))


def _provider_error_page(request: Request) -> Response:
    """The details of an unexpected error are in the log, not on the page."""
    log.exception("Sign-in failed: an error of the server or of the login provider")
    message = "The login provider is unreachable or sent an invalid response. Try again."
    return error_page(request, STATUS_BY_CODE["provider_unavailable"], message)


async def _audit_success(request: Request, context: Context, name: str, auth_method: LoginMethod) -> None:
    address = client_address(request)
    await run_in_thread(lambda: write_success(context.ledger.audit, name, auth_method, address))


async def _audit_failure(
    request: Request, context: Context, name: str, auth_method: LoginMethod, message: str, *, rejected: bool = False
) -> None:
    address = client_address(request)
    if context.login_audit.admit_failure(address, auth_method, rejected=rejected):
        await run_in_thread(lambda: write_failure(context.ledger.audit, name, auth_method, address, message))
