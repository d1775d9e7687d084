"""Routes /login and /logout: the form for users of `basic_auth`, and the redirects to and from the OAuth provider."""

import logging
import secrets
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from flower.access.authenticator import AuthFailure
from flower.access.oauth.provider import LoginAttempt, LoginDenied, OAuthProvider, UserInfo
from flower.access.sessions import SESSION_COOKIE, STATE_COOKIE, LoginState, Session, SessionSigner
from flower.api.context import Context
from flower.api.thread_pool import run_in_thread
from flower.errors import NotFound, StoreError
from flower.http.access_control import Denial, has_xsrf, is_same_origin, too_many_attempts
from flower.http.audit_middleware import client_address
from flower.http.request_params import read_params
from flower.http.responses import OK, STATUS_BY_CODE, redirect
from flower.http.route import HttpRoute
from flower.store.ledger.audit import AuditOutcome
from flower.web.cookies import delete_cookie, set_session_cookie, set_state_cookie, set_xsrf_cookie, xsrf_token
from flower.web.rendering import error_page, render_page

log = logging.getLogger(__name__)

#: The action of a login in the audit log.
LOGIN_ACTION: Final = "login"

_FORBIDDEN: Final = STATUS_BY_CODE["forbidden"]


async def show_login(request: Request, context: Context) -> Response:
    """The form, or with OAuth the redirect to the provider and its callback."""
    provider = context.access.oauth_provider
    if provider is None:
        return _login_form(request, context, OK)
    params = await read_params(request)
    if params.get_text("error"):
        reason = params.get_text("error_description") or params.get_text("error")
        return await _deny_login(request, context, "", f"The provider denied the sign-in: {reason}")
    if params.get_text("code"):
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
        denial = (
            too_many_attempts(result.retry_after)
            if result.retry_after
            else Denial("forbidden", "Wrong name or password")
        )
        await _audit_login(request, context, name, "basic", "refused", denial.message)
        response = _login_form(request, context, STATUS_BY_CODE[denial.code], denial.message, name)
        response.headers.update(denial.headers)
        return response
    await _audit_login(request, context, name, "basic", "done")
    return await _start_session(request, context, Session(name, "password"), params.get_text("next") or "")


async def logout(request: Request, context: Context) -> Response:
    response = render_page(context, "logout.html", OK, {"can_login": context.access.is_required})
    delete_cookie(response, context, SESSION_COOKIE)
    return response


#: `/login/` is the one path that may end with a slash, as in Flower.
LOGIN_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/login", show_login, "public"),
    HttpRoute("GET", "/login/", show_login, "public"),
    HttpRoute("POST", "/login", submit_login, "public"),
    HttpRoute("GET", "/logout", logout, "public"),
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
    set_state_cookie(request, response, context, await to_thread.run_sync(_sessions(context).sign_login_state, state))
    return response


async def _handle_callback(request: Request, context: Context, provider: OAuthProvider) -> Response:
    params = await read_params(request)
    cookie = request.cookies.get(STATE_COOKIE, "")
    state = await to_thread.run_sync(_sessions(context).read_login_state, cookie)
    if state is None or not secrets.compare_digest(state.state.encode(), (params.get_text("state") or "").encode()):
        return error_page(request, _FORBIDDEN, "State tokens do not match. Try to sign in again.")
    address = client_address(request)
    if retry_after := context.access.login_throttle.retry_after("", address):
        denial = too_many_attempts(retry_after)
        response = error_page(request, STATUS_BY_CODE[denial.code], denial.message)
        response.headers.update(denial.headers)
        return response
    attempt = LoginAttempt(state.redirect_uri, state.state, state.nonce, state.verifier)
    try:
        user = await provider.authenticate(params.require("code"), attempt)
        name = _allowed_email(user, context)
    except LoginDenied as denied:
        context.access.login_throttle.record_failure("", address)
        return await _deny_login(request, context, "", str(denied))
    except Exception:  # noqa: BLE001 - a provider can be any class; the error is logged
        return _provider_error_page(request)
    await _audit_login(request, context, name, "session", "done")
    response = await _start_session(request, context, Session(name, "oauth", user.groups), state.next)
    delete_cookie(response, context, STATE_COOKIE)
    return response


def _allowed_email(user: UserInfo, context: Context) -> str:
    """The user's first email address that may sign in. Raises LoginDenied."""
    is_allowed = context.access.email_allowed
    for email in user.emails:
        if is_allowed is not None and is_allowed(email):
            return email
    raise LoginDenied(f"Access denied to {', '.join(user.emails) or 'a user without an email address'}.")


async def _start_session(request: Request, context: Context, session: Session, next_page: str) -> Response:
    response = redirect(safe_redirect_target(next_page, context) or f"{context.root_path}/")
    set_session_cookie(request, response, context, await to_thread.run_sync(_sessions(context).sign_session, session))
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


def _no_page() -> NotFound:
    return NotFound("Page not found")


def _has_password_login(context: Context) -> bool:
    return bool(context.access.passwords) and context.access.email_allowed is None


def _sessions(context: Context) -> SessionSigner:
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


async def _deny_login(request: Request, context: Context, name: str, message: str) -> Response:
    await _audit_login(request, context, name, "session", "refused", message)
    return error_page(request, _FORBIDDEN, message)


async def _audit_login(
    request: Request, context: Context, name: str, auth_method: str, outcome: AuditOutcome, message: str = ""
) -> None:
    """An error is logged and does not prevent the sign-in: the user may need access to free disk space."""
    address = client_address(request)
    try:
        await run_in_thread(
            lambda: context.ledger.audit.add(
                LOGIN_ACTION,
                user=name[:200],
                auth_method=auth_method,
                outcome=outcome,
                address=address,
                message=message[:500],
            )
        )
    except StoreError as error:
        log.error("Cannot write a sign-in to the audit log: %s", error)
