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
from flower.api.thread_pool import run_in_thread
from flower.errors import FlowerError, Forbidden, InvalidRequest, NotFound, StoreError
from flower.http.access_control import MAX_FORM_SIZE, Denial, is_authenticated, request_identity
from flower.redaction import MASK, Redactor
from flower.store.ledger.audit import AuditOutcome

log = logging.getLogger(__name__)

#: Characters of one noted text, and items of one noted list.
_MAX_TEXT: Final = 200
_MAX_ITEMS: Final = 50
#: Of forms; the rules of redaction know the names of arguments, not this one.
_XSRF_FIELD: Final = "_xsrf"
#: Arguments of tasks may hold anything: of these only how many, or which, is noted.
_ARGUMENT_FIELDS: Final = frozenset({"args", "kwargs"})
#: Parameters that say what is acted on.
_TARGET_FIELDS: Final = ("uuid", "uuids", "task_id", "task_ids", "workername", "worker", "workers", "queue")
#: Where an answer says which task was made.
_CREATED_ID_FIELDS: Final = ("task-id", "task_id", "uuid")


@dataclass(slots=True)
class AuditNote:
    """What an action adds to its own entry; `request.state.note`, and `Acting.note` in `/api/v1`."""

    targets: list[str] = field(default_factory=list)
    message: str = ""


def audit_note(request: Request) -> AuditNote:
    """The note of this request; one that nobody reads if its route is no action."""
    if not hasattr(request.state, "note"):
        request.state.note = AuditNote()
    found: AuditNote = request.state.note
    return found


def client_address(request: Request) -> str:
    return request.client.host if request.client else ""


async def run_audited(
    request: Request, context: Context, action: str, serve: Callable[[], Awaitable[Response]]
) -> Response:
    """Serve it, between its two notes. Raises what `serve` raises, and StoreError if nothing was done because the audit
    log cannot be written."""
    entry = await _start_entry(request, context, action)
    try:
        response = await serve()
    except FlowerError as error:
        refused = isinstance(error, Forbidden | InvalidRequest | NotFound)
        await _finish_entry(request, context, entry, "refused" if refused else "failed", error.message)
        raise
    except BaseException as error:
        await _finish_entry(
            request, context, entry, "failed", f"{type(error).__name__}: cut off, or an error of the server"
        )
        raise
    outcome: AuditOutcome = (
        "done" if response.status_code < 400 else "refused" if response.status_code < 500 else "failed"
    )
    _add_created_targets(request, response)
    await _finish_entry(request, context, entry, outcome, "" if outcome == "done" else _response_text(response))
    return response


async def audit_denied(request: Request, context: Context, action: str, denial: Denial) -> None:
    """Whom we know and refuse. Strangers could fill the disk with their attempts: they are not noted."""
    if not is_authenticated(request):
        return
    targets = _find_targets(request.path_params, {})
    parameters = redact_parameter(context.redactor, dict(request.query_params))
    try:
        await _add_entry(request, context, action, "refused", targets, parameters, denial.message)
    except StoreError as error:
        log.error("A refusal could not be written to the audit log: %s", error)


def redact_parameter(redactor: Redactor, value: Any, name: str = "") -> Any:
    """Without secrets, and not longer than anybody reads."""
    if name == _XSRF_FIELD or redactor.is_secret(name):
        return MASK
    if name in _ARGUMENT_FIELDS and isinstance(value, dict | list):
        return f"{len(value)} values" if isinstance(value, list) else sorted(map(str, value))[:_MAX_ITEMS]
    match value:
        case dict():
            return {
                str(key)[:_MAX_TEXT]: redact_parameter(redactor, item, str(key))
                for key, item in list(value.items())[:_MAX_ITEMS]
            }
        case list() | tuple():
            return [redact_parameter(redactor, item) for item in value[:_MAX_ITEMS]]
        case str():
            value = redactor.mask_text(value)
            return value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}…"
    return value


async def _start_entry(request: Request, context: Context, action: str) -> int:
    body = await _read_body(request)
    parameters = redact_parameter(context.redactor, {**dict(request.query_params), **body})
    targets = _find_targets(request.path_params, {**request.query_params, **body})
    try:
        return await _add_entry(request, context, action, "in_progress", targets, parameters, "")
    except StoreError as error:
        log.error("Nothing was done, for the audit log cannot be written: %s", error)
        message = "Nothing was done: it cannot be written to the audit log"
        raise type(error)(message, hint="free some space, or see the server's log") from error


async def _add_entry(
    request: Request,
    context: Context,
    action: str,
    outcome: AuditOutcome,
    targets: list[str],
    parameters: Mapping[str, Any],
    message: str,
) -> int:
    identity: Identity = request_identity(request)
    return await run_in_thread(
        lambda: context.ledger.audit.add(
            action,
            user=identity.name,
            auth_method=identity.auth_method,
            token=identity.token,
            address=client_address(request),
            outcome=outcome,
            targets=targets,
            parameters=parameters,
            message=message,
        )
    )


async def _finish_entry(request: Request, context: Context, entry: int, outcome: AuditOutcome, message: str) -> None:
    note = audit_note(request)
    text = (note.message or message)[: _MAX_TEXT * 5]
    # also if the client went away meanwhile
    with anyio.CancelScope(shield=True):
        try:
            await run_in_thread(lambda: context.ledger.audit.finish(entry, outcome, text, note.targets))
        except StoreError as error:
            log.error("Entry %d of the audit log stays without its outcome, '%s': %s", entry, outcome, error)


async def _read_body(request: Request) -> dict[str, Any]:
    """Form or JSON object, if it is there and not too long; whoever serves the request reads it again."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_FORM_SIZE:
        return {"body": f"{length[:20]} bytes"}
    if not int(length):
        return {}
    body = await request.body()
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return await _read_form(request)
    return found if isinstance(found, dict) else {}


async def _read_form(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form")):
        return {}
    try:
        return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the route itself says so
        return {}


def _find_targets(path: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    found = [str(value) for value in path.values()]
    for name in _TARGET_FIELDS:
        value = given.get(name)
        if isinstance(value, str) and value:
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, str)]
    return list(dict.fromkeys(found))


def _add_created_targets(request: Request, response: Response) -> None:
    """The task that the action made, by its answer."""
    note = audit_note(request)
    if note.targets or not response.headers.get("content-type", "").startswith("application/json"):
        return
    try:
        answer = json.loads(bytes(response.body)[:MAX_FORM_SIZE])
    except (AttributeError, ValueError, RecursionError):
        return
    if isinstance(answer, dict):
        known = {str(value) for value in request.path_params.values()}
        made = [answer[name] for name in _CREATED_ID_FIELDS if isinstance(answer.get(name), str)]
        note.targets += [each for each in dict.fromkeys(made) if each not in known]


def _response_text(response: Response) -> str:
    text = bytes(getattr(response, "body", b"")).decode("utf-8", "replace")
    return text[:_MAX_TEXT]
