"""Audit entries of requests: every route with an `audit_action` is served by `run_audited`.

An entry is written before the action starts; if this fails, the action does not start. The outcome is added when the
action has ended.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.thread_pool import run_in_thread
from flower.errors import FlowerError, Forbidden, InvalidRequest, NotFound, StoreError
from flower.http.access_control import (
    MAX_FORM_SIZE,
    Denial,
    Unauthenticated,
    client_address,
    is_authenticated,
    request_identity,
)
from flower.http.request_params import FORM_TYPES
from flower.http.responses import is_client_error, is_success
from flower.redaction import MASK, Redactor
from flower.store.ledger.audit import AuditOutcome

log = logging.getLogger(__name__)

#: Maximum characters of one recorded text, and items of one recorded list.
_MAX_TEXT: Final = 200
_MAX_ITEMS: Final = 50
#: A form field that the redaction rules, which are for task arguments, do not cover.
_XSRF_FIELD: Final = "_xsrf"
#: Task arguments can hold anything: only their number or their names are recorded.
_ARGUMENT_FIELDS: Final = frozenset({"args", "kwargs"})
#: Parameters that name the target of an action.
_TARGET_FIELDS: Final = ("uuid", "uuids", "task_id", "task_ids", "workername", "worker", "workers", "queue")
#: Members of a response that contain the id of a created task.
_CREATED_ID_FIELDS: Final = ("task-id", "task_id", "uuid")


@dataclass(slots=True)
class AuditNote:
    """What an action adds to its audit entry."""

    targets: list[str] = field(default_factory=list)
    message: str = ""


def audit_note(request: Request) -> AuditNote:
    """The note of this request; without effect if its route has no audit action."""
    if not hasattr(request.state, "note"):
        request.state.note = AuditNote()
    note: AuditNote = request.state.note
    return note


async def run_audited(
    request: Request, context: Context, action: str, serve: Callable[[], Awaitable[Response]]
) -> Response:
    """Serve the request and record it. Raises what `serve` raises, and StoreError before it is served if the audit log
    cannot be written."""
    entry = await _start_entry(request, context, action)
    try:
        response = await serve()
    except FlowerError as error:
        refused = isinstance(error, Forbidden | InvalidRequest | NotFound | Unauthenticated)
        await _finish_entry(request, context, entry, "refused" if refused else "failed", error.message)
        raise
    except BaseException as error:
        message = f"{type(error).__name__}: interrupted, or an internal error"
        await _finish_entry(request, context, entry, "failed", message)
        raise
    outcome = _outcome_of(response.status_code)
    _add_created_targets(request, response)
    await _finish_entry(request, context, entry, outcome, "" if outcome == "done" else _response_text(response))
    return response


def _outcome_of(status: int) -> AuditOutcome:
    if is_success(status):
        return "done"
    return "refused" if is_client_error(status) else "failed"


async def audit_denied(request: Request, context: Context, action: str, denial: Denial) -> None:
    """Record the denial of an authenticated user. Anonymous denials are not recorded: they could fill the disk."""
    if not is_authenticated(request):
        return
    targets = _find_targets(request.path_params, {})
    parameters = redact_parameter(context.redactor, dict(request.query_params))
    try:
        await _add_entry(request, context, action, "refused", targets, parameters, denial.message)
    except StoreError as error:
        log.error("Cannot write a denied request to the audit log: %s", error)


def redact_parameter(redactor: Redactor, value: Any, name: str = "") -> Any:
    """The value with masked secrets, truncated to what is readable in a log."""
    if name == _XSRF_FIELD or redactor.is_secret(name, value):
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
        log.error("An action was rejected because the audit log cannot be written: %s", error)
        message = "Rejected: the audit log cannot be written"
        raise type(error)(message, hint="free disk space, or see the server's log") from error


async def _add_entry(
    request: Request,
    context: Context,
    action: str,
    outcome: AuditOutcome,
    targets: list[str],
    parameters: Mapping[str, Any],
    message: str,
) -> int:
    identity = request_identity(request)
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
    # Also if the client has disconnected.
    with anyio.CancelScope(shield=True):
        try:
            await run_in_thread(lambda: context.ledger.audit.finish(entry, outcome, text, note.targets))
        except StoreError as error:
            log.error("Cannot write the outcome '%s' of audit entry %d: %s", outcome, entry, error)


async def _read_body(request: Request) -> dict[str, Any]:
    """The members of a small form or JSON object. Starlette keeps the body for the endpoint."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_FORM_SIZE:
        return {"body": f"{length[:20]} bytes"}
    if not int(length):
        return {}
    body = await request.body()
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return await _read_form(request)
    return value if isinstance(value, dict) else {}


async def _read_form(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").startswith(FORM_TYPES):
        return {}
    try:
        return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    except Exception:  # noqa: BLE001 - the endpoint reports what is invalid
        return {}


def _find_targets(path: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    targets = [str(value) for value in path.values()]
    for name in _TARGET_FIELDS:
        value = given.get(name)
        if isinstance(value, str) and value:
            targets.append(value)
        elif isinstance(value, list):
            targets += [item for item in value if isinstance(item, str)]
    return list(dict.fromkeys(targets))


def _add_created_targets(request: Request, response: Response) -> None:
    """Add the id of the task that the action created, if the response contains it."""
    note = audit_note(request)
    if note.targets or not response.headers.get("content-type", "").startswith("application/json"):
        return
    try:
        content = json.loads(bytes(response.body)[:MAX_FORM_SIZE])
    except (AttributeError, ValueError, RecursionError):
        return
    if isinstance(content, dict):
        path = {str(value) for value in request.path_params.values()}
        created = [content[name] for name in _CREATED_ID_FIELDS if isinstance(content.get(name), str)]
        note.targets += [task for task in dict.fromkeys(created) if task not in path]


def _response_text(response: Response) -> str:
    text = bytes(getattr(response, "body", b"")).decode("utf-8", "replace")
    return text[:_MAX_TEXT]
