"""`/login` and `/logout`: a form for the users of `basic_auth`, the way to the OAuth provider and back."""

import logging
import secrets
from typing import Final

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from flower.access.authenticator import Unknown
from flower.access.oauth.protocol import Login, Person, Provider, Refused
from flower.access.sessions import SESSION, STATE, Pending, Session, Sessions
from flower.api.context import Context
from flower.api.guards import has_xsrf, is_same_origin, too_many
from flower.api.noting import address_of
from flower.api.parameters import parameters
from flower.api.reading import read
from flower.api.routes import Route
from flower.errors import NotFound, StoreError
from flower.store.ledger.audit import Outcome
from flower.web.cookies import give_session, give_state, give_xsrf, take, xsrf_token
from flower.web.pages import error_page, plain_page

log = logging.getLogger(__name__)

#: How an attempt is called in the audit log.
ACTION: Final = "login"


async def login(request: Request, context: Context) -> Response:
    provider = context.access.provider
    if provider is None:
        return _form(request, context, 200)
    given = await parameters(request)
    if given.text("error"):
        reason = given.text("error_description") or given.text("error")
        return await _refuse(request, context, "", f"The login was refused: {reason}")
    if given.text("code"):
        return await _returned(request, context, provider)
    return await _sent_away(request, context, provider)


async def sign_in(request: Request, context: Context) -> Response:
    """The form."""
    if not _by_password(context):
        raise NotFound("There is no such page.")
    if not is_same_origin(request) or not await has_xsrf(request):
        return _form(request, context, 403, "Please try once more: this form did not come from here, or is too old.")
    given = await parameters(request)
    name, password = given.text("name") or "", given.text("password") or ""
    found = await context.access.check(name, password, address_of(request))
    if isinstance(found, Unknown):
        objected = too_many(found.wait) if found.wait else None
        message = objected.message if objected else "This is not a name and password that we know."
        await _note(request, context, name, "basic", "refused", message)
        answer = _form(request, context, 429 if objected else 403, message, name)
        answer.headers.update(objected.headers if objected else {})
        return answer
    await _note(request, context, name, "basic", "done")
    return await _welcome(request, context, Session(name, "password"), given.text("next") or "")


async def logout(request: Request, context: Context) -> Response:
    answer = plain_page(context, "logout.html", 200, {"can_login": context.access.needed})
    take(answer, context, SESSION)
    return answer


#: Never guarded. `/login/` is the one address that may end with a slash, as in Flower.
LOGIN: tuple[Route, ...] = (
    Route("GET", "/login", login, "open"),
    Route("GET", "/login/", login, "open"),
    Route("POST", "/login", sign_in, "open"),
    Route("GET", "/logout", logout, "open"),
)


async def _sent_away(request: Request, context: Context, provider: Provider) -> Response:
    """To the provider, with what is needed when they come back in a cookie of theirs."""
    next_page = (await parameters(request)).text("next") or ""
    redirect = context.oauth2_redirect_uri or _address(request, context)
    started = Login(redirect, *(secrets.token_urlsafe(32) for _ in range(3)))
    try:
        url = await provider.authorize_url(started)
    except Refused as refused:
        return error_page(request, 403, str(refused))
    except Exception:  # noqa: BLE001 - of a class that anybody may write; logged
        return _unreachable(request)
    pending = Pending(started.state, started.nonce, started.verifier, local(next_page, context), redirect)
    answer = RedirectResponse(url, 302)
    give_state(request, answer, context, await to_thread.run_sync(_sessions(context).pending_sealed, pending))
    return answer


async def _returned(request: Request, context: Context, provider: Provider) -> Response:
    given = await parameters(request)
    cookie = request.cookies.get(STATE, "")
    pending = await to_thread.run_sync(_sessions(context).pending, cookie)
    if pending is None or not secrets.compare_digest(pending.state.encode(), (given.text("state") or "").encode()):
        return error_page(request, 403, "State tokens do not match. Please try logging in again.")
    address = address_of(request)
    if wait := context.access.attempts.wait("", address):
        objected = too_many(wait)
        answer = error_page(request, 429, objected.message)
        answer.headers.update(objected.headers)
        return answer
    started = Login(pending.redirect_uri, pending.state, pending.nonce, pending.verifier)
    try:
        person = await provider.person(given.required("code"), started)
        name = _name(person, context)
    except Refused as refused:
        context.access.attempts.failed("", address)
        return await _refuse(request, context, "", str(refused))
    except Exception:  # noqa: BLE001 - of a class that anybody may write; logged
        return _unreachable(request)
    await _note(request, context, name, "session", "done")
    answer = await _welcome(request, context, Session(name, "oauth", person.groups), pending.next)
    take(answer, context, STATE)
    return answer


def _name(person: Person, context: Context) -> str:
    """The first of their addresses that may log in. Raises Refused."""
    allowed = context.access.allowed
    for address in person.addresses:
        if allowed is not None and allowed(address):
            return address
    raise Refused(f"Access denied to {', '.join(person.addresses) or 'somebody without an address'}.")


async def _welcome(request: Request, context: Context, session: Session, next_page: str) -> Response:
    answer = RedirectResponse(local(next_page, context) or f"{context.root}/", 302)
    give_session(request, answer, context, await to_thread.run_sync(_sessions(context).sealed, session))
    return answer


def local(address: str, context: Context) -> str:
    """The address, if it is a path of ours; else nothing. Browsers take `//x` and `/\\x` for other sites, and leave
    tabs and line feeds out before they look."""
    inside = address == context.root or address.startswith(f"{context.root}/")
    odd = address.startswith("//") or "\\" in address or any(character < " " for character in address)
    return address if inside and address.startswith("/") and not odd else ""


def _form(request: Request, context: Context, status: int, wrong: str = "", name: str = "") -> Response:
    if not _by_password(context):
        raise NotFound("There is no such page.")
    next_page = local(request.query_params.get("next", ""), context)
    values = {"wrong": wrong, "name": name, "next": next_page, "xsrf": xsrf_token(request)}
    answer = plain_page(context, "login.html", status, values)
    give_xsrf(request, answer, context)
    return answer


def _by_password(context: Context) -> bool:
    return bool(context.access.passwords) and context.access.allowed is None


def _sessions(context: Context) -> Sessions:
    sessions = context.access.sessions
    if sessions is None:
        raise NotFound("There is no such page.")
    return sessions


def _address(request: Request, context: Context) -> str:
    """Ours, as the browser knows it."""
    return str(request.url.replace(path=f"{context.root}/login", query="", fragment=""))


def _unreachable(request: Request) -> Response:
    """Whatever a provider may raise: it must not take the program with it, and its details are not for the public."""
    log.exception("A login failed for a reason of ours or of the provider")
    return error_page(request, 503, "The login provider cannot be reached, or gave an odd answer. Please try again.")


async def _refuse(request: Request, context: Context, name: str, message: str) -> Response:
    await _note(request, context, name, "session", "refused", message)
    return error_page(request, 403, message)


async def _note(request: Request, context: Context, name: str, way: str, outcome: Outcome, message: str = "") -> None:
    """A full disk keeps nobody out who has come to make room."""
    address = address_of(request)
    try:
        await read(
            lambda: context.ledger.audit.add(
                ACTION, who=name[:200], way=way, outcome=outcome, address=address, message=message[:500]
            )
        )
    except StoreError as error:
        log.error("A login could not be written to the audit log: %s", error)
