"""The audit log's part of a request: every route with an `action` goes through here, and nothing else notes requests.

An action is noted before it is begun; if that cannot be done it is not begun. What it came to is noted afterwards.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from flower.access import Identity
from flower.api.context import Context
from flower.api.guards import FORM_LIMIT, Objection, identity_of, is_identified
from flower.api.reading import read
from flower.errors import FlowerError, Forbidden, Invalid, NotFound, StoreError
from flower.redaction import MASK, Redactor
from flower.store.ledger.audit import Outcome

log = logging.getLogger(__name__)

#: Characters of one noted text, and items of one noted list.
_LONGEST: Final = 200
_MOST: Final = 50
#: Of forms; the rules of redaction know the names of arguments, not this one.
_XSRF: Final = "_xsrf"
#: Arguments of tasks may hold anything: of these only how many, or which, is noted.
_ARGUMENTS: Final = frozenset({"args", "kwargs"})
#: Parameters that say what is acted on.
_TARGETS: Final = ("uuid", "uuids", "task_id", "task_ids", "workername", "worker", "workers", "queue")
#: Where an answer says which task was made.
_MADE: Final = ("task-id", "task_id", "uuid")


@dataclass(slots=True)
class Note:
    """What an action adds to its own entry; `request.state.note`, and `Acting.note` in `/api/v1`."""

    targets: list[str] = field(default_factory=list)
    message: str = ""


def note_of(request: Request) -> Note:
    """The note of this request; one that nobody reads if its route is no action."""
    if not hasattr(request.state, "note"):
        request.state.note = Note()
    found: Note = request.state.note
    return found


def address_of(request: Request) -> str:
    return request.client.host if request.client else ""


async def noted(request: Request, context: Context, action: str, serve: Callable[[], Awaitable[Response]]) -> Response:
    """Serve it, between its two notes. Raises what `serve` raises, and StoreError if nothing was done because the audit
    log cannot be written."""
    entry = await _begin(request, context, action)
    try:
        response = await serve()
    except FlowerError as error:
        refused = isinstance(error, Forbidden | Invalid | NotFound)
        await _finish(request, context, entry, "refused" if refused else "failed", error.message)
        raise
    except BaseException as error:
        await _finish(request, context, entry, "failed", f"{type(error).__name__}: cut off, or an error of the server")
        raise
    outcome: Outcome = "done" if response.status_code < 400 else "refused" if response.status_code < 500 else "failed"
    _add_made(request, response)
    await _finish(request, context, entry, outcome, "" if outcome == "done" else _said(response))
    return response


async def note_refusal(request: Request, context: Context, action: str, objected: Objection) -> None:
    """Whom we know and refuse. Strangers could fill the disk with their attempts: they are not noted."""
    if not is_identified(request):
        return
    targets = _targets(request.path_params, {})
    parameters = masked(context.redactor, dict(request.query_params))
    try:
        await _add(request, context, action, "refused", targets, parameters, objected.message)
    except StoreError as error:
        log.error("A refusal could not be written to the audit log: %s", error)


def masked(redactor: Redactor, value: Any, name: str = "") -> Any:
    """Without secrets, and not longer than anybody reads."""
    if name == _XSRF or redactor.is_secret(name):
        return MASK
    if name in _ARGUMENTS and isinstance(value, dict | list):
        return f"{len(value)} values" if isinstance(value, list) else sorted(map(str, value))[:_MOST]
    match value:
        case dict():
            return {str(key)[:_LONGEST]: masked(redactor, item, str(key)) for key, item in list(value.items())[:_MOST]}
        case list() | tuple():
            return [masked(redactor, item) for item in value[:_MOST]]
        case str():
            value = redactor.text(value)
            return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
    return value


async def _begin(request: Request, context: Context, action: str) -> int:
    body = await _body(request)
    parameters = masked(context.redactor, {**dict(request.query_params), **body})
    targets = _targets(request.path_params, {**request.query_params, **body})
    try:
        return await _add(request, context, action, "begun", targets, parameters, "")
    except StoreError as error:
        log.error("Nothing was done, for the audit log cannot be written: %s", error)
        message = "Nothing was done: it cannot be written to the audit log"
        raise type(error)(message, hint="free some space, or see the server's log") from error


async def _add(
    request: Request,
    context: Context,
    action: str,
    outcome: Outcome,
    targets: list[str],
    parameters: Mapping[str, Any],
    message: str,
) -> int:
    identity: Identity = identity_of(request)
    return await read(
        lambda: context.ledger.audit.add(
            action,
            who=identity.name,
            way=identity.way,
            token=identity.token,
            address=address_of(request),
            outcome=outcome,
            targets=targets,
            parameters=parameters,
            message=message,
        )
    )


async def _finish(request: Request, context: Context, entry: int, outcome: Outcome, message: str) -> None:
    note = note_of(request)
    text = (note.message or message)[: _LONGEST * 5]
    # also if the client went away meanwhile
    with anyio.CancelScope(shield=True):
        try:
            await read(lambda: context.ledger.audit.finish(entry, outcome, text, note.targets))
        except StoreError as error:
            log.error("Entry %d of the audit log stays without its outcome, '%s': %s", entry, outcome, error)


async def _body(request: Request) -> dict[str, Any]:
    """Form or JSON object, if it is there and not too long; whoever serves the request reads it again."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > FORM_LIMIT:
        return {"body": f"{length[:20]} bytes"}
    if not int(length):
        return {}
    body = await request.body()
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return await _form(request)
    return found if isinstance(found, dict) else {}


async def _form(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form")):
        return {}
    try:
        return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the route itself says so
        return {}


def _targets(path: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    found = [str(value) for value in path.values()]
    for name in _TARGETS:
        value = given.get(name)
        if isinstance(value, str) and value:
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, str)]
    return list(dict.fromkeys(found))


def _add_made(request: Request, response: Response) -> None:
    """The task that the action made, by its answer."""
    note = note_of(request)
    if note.targets or not response.headers.get("content-type", "").startswith("application/json"):
        return
    try:
        answer = json.loads(bytes(response.body)[:FORM_LIMIT])
    except (AttributeError, ValueError, RecursionError):
        return
    if isinstance(answer, dict):
        known = {str(value) for value in request.path_params.values()}
        made = [answer[name] for name in _MADE if isinstance(answer.get(name), str)]
        note.targets += [each for each in dict.fromkeys(made) if each not in known]


def _said(response: Response) -> str:
    text = bytes(getattr(response, "body", b"")).decode("utf-8", "replace")
    return text[:_LONGEST]
