"""Routes of `/api/v1` about people: who one is, API tokens, the audit log."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.access import Identity, Permission
from flower.access.api_tokens import create_token
from flower.api.audit_log import (
    AUDIT_MEDIA_TYPES,
    AuditExportFormat,
    build_audit_filter,
    get_audit_page,
    iter_audit_entries,
    serialize_audit_entries,
)
from flower.api.thread_pool import run_in_thread
from flower.errors import Forbidden, NotFound
from flower.http.v1.route import ActionRoute, NoParams, RequestContext
from flower.http.v1.streaming_body import StreamingBody
from flower.store.ledger.api_tokens import ApiToken
from flower.store.ledger.audit import AuditEntry, AuditFilter, AuditOutcome

_SECONDS_PER_DAY: Final = 86_400.0
#: Days that a token may last: ten years.
_MAX_TOKEN_DAYS: Final = 3_653


class CurrentUser(msgspec.Struct, frozen=True):
    """`name` is "" where nobody has to log in."""

    name: str
    auth_method: str
    permissions: tuple[str, ...]


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its text, which was shown once. Times are epoch seconds; `used` is to the minute."""

    id: str
    name: str
    owner: str
    permissions: tuple[str, ...]
    made: float
    expires: float | None
    used: float | None
    used_from: str
    revoked: float | None
    revoked_by: str


class TokenList(msgspec.Struct, frozen=True):
    tokens: tuple[TokenRow, ...]


class CreateTokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`permissions` may be no more than your own; `days` is how long it lasts, null for ever."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    permissions: Annotated[tuple[Permission, ...], Meta(min_length=1, max_length=20)]
    expires_in_days: Annotated[float, Meta(gt=0, le=_MAX_TOKEN_DAYS)] | None = 90


class CreatedToken(msgspec.Struct, frozen=True):
    """`text` is what goes behind `Authorization: Bearer`. It is shown now and never again."""

    token: TokenRow
    secret: str


class TokenParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The token's id.", examples=["5f2a9c01d7e4"])]


class AuditFilterParams(msgspec.Struct, frozen=True, kw_only=True):
    user: Annotated[str, Meta(description="Only what this person did.", examples=["ann"])] = ""
    action: Annotated[
        str, Meta(description="Only this action; `task` finds `task.revoke` and the others.", examples=["task.revoke"])
    ] = ""
    target: Annotated[
        str, Meta(description="Only what was done to this task, worker or queue.", examples=["charge-17"])
    ] = ""
    outcome: Annotated[AuditOutcome | None, Meta(description="Only with this outcome.")] = None
    address: Annotated[str, Meta(description="Only from this address.", examples=["10.0.0.7"])] = ""
    start: Annotated[str, Meta(description="From then on: `-1h`, `today`, `2026-11-22T10:15Z`, epoch seconds.")] = ""
    end: Annotated[str, Meta(description="Until then.")] = ""

    def to_filter(self) -> AuditFilter:
        return build_audit_filter(
            user=self.user, action=self.action, target=self.target, outcome=self.outcome or "", address=self.address,
            start=self.start, end=self.end,
        )  # fmt: skip


class AuditListParams(AuditFilterParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Entries of a page.")] = 100
    cursor: Annotated[str, Meta(description="`next` of the page before.")] = ""


class AuditExportParams(AuditFilterParams, frozen=True, kw_only=True):
    format: Annotated[AuditExportFormat, Meta(description="`ndjson`, or `csv` for spreadsheets.")] = "ndjson"


class AuditList(msgspec.Struct, frozen=True):
    """Newest first. `next` is the cursor of the next page, null on the last one."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None


async def get_current_user(acting: RequestContext, asked: NoParams, body: None) -> CurrentUser:
    identity = acting.identity
    return CurrentUser(identity.name, identity.auth_method, tuple(sorted(identity.permissions)))


async def list_api_tokens(acting: RequestContext, asked: NoParams, body: None) -> TokenList:
    """One's own; everybody's with the permission `tokens`."""
    owner = None if acting.identity.has_permission("tokens") else acting.identity.name
    found = await run_in_thread(lambda: acting.server.ledger.tokens.tokens(owner))
    return TokenList(tuple(_token_row(token) for token in found))


async def create_api_token(acting: RequestContext, asked: NoParams, body: CreateTokenBody) -> CreatedToken:
    identity = acting.identity
    if identity.auth_method == "token":
        raise Forbidden("A token cannot make tokens", hint="log in to make one")
    if identity.auth_method == "none":
        raise Forbidden("Nobody is logged in", hint="`flower token create` makes one where nobody has to log in")
    made, text = await run_in_thread(
        lambda: create_token(
            acting.server.ledger.tokens,
            name=body.name,
            owner=identity.name,
            auth_method=identity.auth_method,
            permissions=body.permissions,
            allowed=identity.permissions,
            lifetime=None if body.expires_in_days is None else body.expires_in_days * _SECONDS_PER_DAY,
        )
    )
    acting.audit_note.targets.append(made.id)
    return CreatedToken(_token_row(made), text)


async def revoke_api_token(acting: RequestContext, asked: TokenParams, body: None) -> TokenRow:
    """One's own, or anybody's with the permission `tokens`. What one may not see is not there."""
    tokens, identity = acting.server.ledger.tokens, acting.identity

    def revoke() -> ApiToken | None:
        token = tokens.token(asked.id)
        if token is None or not _may_revoke(identity, token):
            return None
        tokens.revoke(token.id, _current_time(), identity.name)
        return tokens.token(token.id)

    token = await run_in_thread(revoke)
    if token is None:
        raise NotFound(f"Unknown token '{asked.id}'", hint="the list of tokens tells their ids")
    return _token_row(token)


async def list_audit_entries(acting: RequestContext, asked: AuditListParams, body: None) -> AuditList:
    audit, sought = acting.server.ledger.audit, asked.to_filter()
    entries, after = await run_in_thread(lambda: get_audit_page(audit, sought, limit=asked.limit, cursor=asked.cursor))
    return AuditList(tuple(entries), after)


async def export_audit_entries(acting: RequestContext, asked: AuditExportParams, body: None) -> StreamingBody:
    name = f"audit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{asked.format}"
    entries = iter_audit_entries(acting.server.ledger.audit, asked.to_filter())
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingBody(AUDIT_MEDIA_TYPES[asked.format], serialize_audit_entries(entries, asked.format), headers)


def _may_revoke(identity: Identity, token: ApiToken) -> bool:
    return identity.has_permission("tokens") or (identity.auth_method != "none" and token.owner == identity.name)


def _current_time() -> float:
    return datetime.now(UTC).timestamp()


def _token_row(token: ApiToken) -> TokenRow:
    return TokenRow(**{name: getattr(token, name) for name in TokenRow.__struct_fields__})


_TOKEN_EXAMPLE: Final[dict[str, Any]] = {
    "id": "5f2a9c01d7e4",
    "name": "nightly clean-up",
    "owner": "ann",
    "permissions": ["view", "tasks"],
    "made": 1795342500.0,
    "expires": 1803118500.0,
    "used": None,
    "used_from": "",
    "revoked": None,
    "revoked_by": "",
}

_AUDIT_ENTRY_EXAMPLE: Final[dict[str, Any]] = {
    "id": 41,
    "at": 1795342500.0,
    "who": "ann",
    "way": "session",
    "token": "",
    "address": "10.0.0.7",
    "action": "task.revoke",
    "targets": ["charge-17"],
    "target_count": 1,
    "parameters": {"terminate": "true"},
    "outcome": "done",
    "message": "",
}

ACCESS_ROUTES: Final[tuple[ActionRoute, ...]] = (
    ActionRoute(
        "GET", "/me", "getMe", "access", "Who you are here, and what you may do", "view", NoParams, None, CurrentUser,
        get_current_user,
        {"name": "ann", "way": "session", "permissions": ["tasks", "view", "workers"]},
    ),
    ActionRoute(
        "GET", "/tokens", "listTokens", "access", "Your API tokens, or everybody's if you may see them", "view",
        NoParams, None, TokenList, list_api_tokens, {"tokens": [_TOKEN_EXAMPLE]},
    ),
    ActionRoute(
        "POST", "/tokens", "makeToken", "access", "Make an API token", "view", NoParams, CreateTokenBody,
        CreatedToken, create_api_token,
        {"token": _TOKEN_EXAMPLE, "text": "bellflower_qJm2c5…"},
        {"name": "nightly clean-up", "permissions": ["view", "tasks"], "days": 90},
        audit_action="token.create",
    ),
    ActionRoute(
        "DELETE", "/tokens/{id}", "revokeToken", "access", "Revoke an API token", "view", TokenParams, None, TokenRow,
        revoke_api_token, {**_TOKEN_EXAMPLE, "revoked": 1795346100.0, "revoked_by": "ann"}, audit_action="token.revoke",
    ),
    ActionRoute(
        "GET", "/audit", "listAudit", "access", "Who did what, page by page", "audit", AuditListParams, None, AuditList,
        list_audit_entries, {"entries": [_AUDIT_ENTRY_EXAMPLE], "next": "41"},
    ),
    ActionRoute(
        "GET", "/audit/export", "exportAudit", "access", "The audit log as a file", "audit", AuditExportParams, None,
        None,
        export_audit_entries, {}, media_types=tuple(AUDIT_MEDIA_TYPES.values()),
    ),
)  # fmt: skip
