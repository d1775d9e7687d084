"""`/login` and `/logout`: a form for the users of `basic_auth`, the way to the OAuth provider and back."""

import logging
import secrets
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from flower.access.authenticator import AuthFailure
from flower.access.oauth.provider import LoginAttempt, LoginDenied, OAuthProvider, UserInfo
from flower.access.sessions import SESSION_COOKIE, STATE_COOKIE, LoginState, Session, SessionSigner
from flower.api.context import Context
from flower.api.thread_pool import run_in_thread
from flower.errors import NotFound, StoreError
from flower.http.access_control import has_xsrf, is_same_origin, too_many_attempts
from flower.http.audit_middleware import client_address
from flower.http.flower.routes import HttpRoute
from flower.http.request_params import read_params
from flower.store.ledger.audit import AuditOutcome
from flower.web.cookies import delete_cookie, set_session_cookie, set_state_cookie, set_xsrf_cookie, xsrf_token
from flower.web.rendering import error_page, render_page

log = logging.getLogger(__name__)

#: How an attempt is called in the audit log.
LOGIN_ACTION: Final = "login"


async def show_login(request: Request, context: Context) -> Response:
    provider = context.access.oauth_provider
    if provider is None:
        return _login_form(request, context, 200)
    given = await read_params(request)
    if given.get_text("error"):
        reason = given.get_text("error_description") or given.get_text("error")
        return await _deny_login(request, context, "", f"The login was refused: {reason}")
    if given.get_text("code"):
        return await _handle_callback(request, context, provider)
    return await _redirect_to_provider(request, context, provider)


async def submit_login(request: Request, context: Context) -> Response:
    """The form."""
    if not _has_password_login(context):
        raise NotFound("There is no such page.")
    if not is_same_origin(request) or not await has_xsrf(request):
        return _login_form(
            request, context, 403, "Please try once more: this form did not come from here, or is too old."
        )
    given = await read_params(request)
    name, password = given.get_text("name") or "", given.get_text("password") or ""
    found = await context.access.check_password(name, password, client_address(request))
    if isinstance(found, AuthFailure):
        objected = too_many_attempts(found.retry_after) if found.retry_after else None
        message = objected.message if objected else "This is not a name and password that we know."
        await _audit_login(request, context, name, "basic", "refused", message)
        answer = _login_form(request, context, 429 if objected else 403, message, name)
        answer.headers.update(objected.headers if objected else {})
        return answer
    await _audit_login(request, context, name, "basic", "done")
    return await _start_session(request, context, Session(name, "password"), given.get_text("next") or "")


async def logout(request: Request, context: Context) -> Response:
    answer = render_page(context, "logout.html", 200, {"can_login": context.access.is_required})
    delete_cookie(answer, context, SESSION_COOKIE)
    return answer


#: Never guarded. `/login/` is the one address that may end with a slash, as in Flower.
LOGIN_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", "/login", show_login, "open"),
    HttpRoute("GET", "/login/", show_login, "open"),
    HttpRoute("POST", "/login", submit_login, "open"),
    HttpRoute("GET", "/logout", logout, "open"),
)


async def _redirect_to_provider(request: Request, context: Context, provider: OAuthProvider) -> Response:
    """To the provider, with what is needed when they come back in a cookie of theirs."""
    next_page = (await read_params(request)).get_text("next") or ""
    redirect = context.oauth2_redirect_uri or _callback_url(request, context)
    started = LoginAttempt(redirect, *(secrets.token_urlsafe(32) for _ in range(3)))
    try:
        url = await provider.authorize_url(started)
    except LoginDenied as refused:
        return error_page(request, 403, str(refused))
    except Exception:  # noqa: BLE001 - of a class that anybody may write; logged
        return _provider_error_page(request)
    pending = LoginState(
        started.state, started.nonce, started.verifier, safe_redirect_target(next_page, context), redirect
    )
    answer = RedirectResponse(url, 302)
    set_state_cookie(request, answer, context, await to_thread.run_sync(_sessions(context).sign_login_state, pending))
    return answer


async def _handle_callback(request: Request, context: Context, provider: OAuthProvider) -> Response:
    given = await read_params(request)
    cookie = request.cookies.get(STATE_COOKIE, "")
    pending = await to_thread.run_sync(_sessions(context).read_login_state, cookie)
    if pending is None or not secrets.compare_digest(pending.state.encode(), (given.get_text("state") or "").encode()):
        return error_page(request, 403, "State tokens do not match. Please try logging in again.")
    address = client_address(request)
    if wait := context.access.login_throttle.retry_after("", address):
        objected = too_many_attempts(wait)
        answer = error_page(request, 429, objected.message)
        answer.headers.update(objected.headers)
        return answer
    started = LoginAttempt(pending.redirect_uri, pending.state, pending.nonce, pending.verifier)
    try:
        person = await provider.authenticate(given.require("code"), started)
        name = _allowed_email(person, context)
    except LoginDenied as refused:
        context.access.login_throttle.record_failure("", address)
        return await _deny_login(request, context, "", str(refused))
    except Exception:  # noqa: BLE001 - of a class that anybody may write; logged
        return _provider_error_page(request)
    await _audit_login(request, context, name, "session", "done")
    answer = await _start_session(request, context, Session(name, "oauth", person.groups), pending.next)
    delete_cookie(answer, context, STATE_COOKIE)
    return answer


def _allowed_email(person: UserInfo, context: Context) -> str:
    """The first of their addresses that may log in. Raises Refused."""
    allowed = context.access.email_allowed
    for address in person.emails:
        if allowed is not None and allowed(address):
            return address
    raise LoginDenied(f"Access denied to {', '.join(person.emails) or 'somebody without an address'}.")


async def _start_session(request: Request, context: Context, session: Session, next_page: str) -> Response:
    answer = RedirectResponse(safe_redirect_target(next_page, context) or f"{context.root_path}/", 302)
    set_session_cookie(request, answer, context, await to_thread.run_sync(_sessions(context).sign_session, session))
    return answer


def safe_redirect_target(address: str, context: Context) -> str:
    """The address, if it is a path of ours; else nothing. Browsers take `//x` and `/\\x` for other sites, and leave
    tabs and line feeds out before they look."""
    inside = address == context.root_path or address.startswith(f"{context.root_path}/")
    odd = address.startswith("//") or "\\" in address or any(character < " " for character in address)
    return address if inside and address.startswith("/") and not odd else ""


def _login_form(request: Request, context: Context, status: int, wrong: str = "", name: str = "") -> Response:
    if not _has_password_login(context):
        raise NotFound("There is no such page.")
    next_page = safe_redirect_target(request.query_params.get("next", ""), context)
    values = {"wrong": wrong, "name": name, "next": next_page, "xsrf": xsrf_token(request)}
    answer = render_page(context, "login.html", status, values)
    set_xsrf_cookie(request, answer, context)
    return answer


def _has_password_login(context: Context) -> bool:
    return bool(context.access.passwords) and context.access.email_allowed is None


def _sessions(context: Context) -> SessionSigner:
    sessions = context.access.sessions
    if sessions is None:
        raise NotFound("There is no such page.")
    return sessions


def _callback_url(request: Request, context: Context) -> str:
    """Ours, as the browser knows it."""
    return str(request.url.replace(path=f"{context.root_path}/login", query="", fragment=""))


def _provider_error_page(request: Request) -> Response:
    """Whatever a provider may raise: it must not take the program with it, and its details are not for the public."""
    log.exception("A login failed for a reason of ours or of the provider")
    return error_page(request, 503, "The login provider cannot be reached, or gave an odd answer. Please try again.")


async def _deny_login(request: Request, context: Context, name: str, message: str) -> Response:
    await _audit_login(request, context, name, "session", "refused", message)
    return error_page(request, 403, message)


async def _audit_login(
    request: Request, context: Context, name: str, way: str, outcome: AuditOutcome, message: str = ""
) -> None:
    """A full disk keeps nobody out who has come to make room."""
    address = client_address(request)
    try:
        await run_in_thread(
            lambda: context.ledger.audit.add(
                LOGIN_ACTION, user=name[:200], auth_method=way, outcome=outcome, address=address, message=message[:500]
            )
        )
    except StoreError as error:
        log.error("A login could not be written to the audit log: %s", error)
