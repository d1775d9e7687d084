"""Routes of access control: the current user, API tokens and the audit log."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.access import Identity, Permission
from flower.access.api_tokens import create_token
from flower.access.sessions import end_all_sessions
from flower.api.audit_log import (
    AUDIT_MEDIA_TYPES,
    AuditExportFormat,
    build_audit_filter,
    get_audit_page,
    iter_audit_entries,
    serialize_audit_entries,
)
from flower.errors import Forbidden, InvalidRequest, NotFound
from flower.http.access_control import Unauthenticated
from flower.http.v1.params import END, START
from flower.http.v1.route import NoParams, RequestContext, Route, StreamingBody
from flower.store.ledger.api_tokens import ApiToken
from flower.store.ledger.audit import AuditEntry, AuditFilter, AuditOutcome

_SECONDS_PER_DAY: Final = 86_400.0
#: Ten years.
_MAX_TOKEN_DAYS: Final = 3_653


class CurrentUser(msgspec.Struct, frozen=True):
    """`name` is "" if no login is configured. `auth_method`: how the user was authenticated."""

    name: str
    auth_method: str
    permissions: tuple[str, ...]


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """An API token without its secret. `last_used_at` is precise to the minute."""

    id: str
    name: str
    owner: str
    permissions: tuple[str, ...]
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    last_used_from: str
    revoked_at: float | None
    revoked_by: str


class TokenList(msgspec.Struct, frozen=True):
    tokens: tuple[TokenRow, ...]


class CreateTokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`permissions` are limited to your own. `expires_in_days` null: the token does not expire."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="The purpose of the token.")]
    permissions: Annotated[
        tuple[Permission, ...], Meta(min_length=1, max_length=20, description="Permissions of the token.")
    ]
    expires_in_days: Annotated[
        Annotated[float, Meta(gt=0, le=_MAX_TOKEN_DAYS)] | None, Meta(description="Days until the token expires.")
    ] = 90


class CreatedToken(msgspec.Struct, frozen=True):
    """`secret` is the value for `Authorization: Bearer`. It is returned only once."""

    token: TokenRow
    secret: str


class TokenParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The token's id.", examples=["5f2a9c01d7e4"])]


class EndSessionsParams(msgspec.Struct, frozen=True, kw_only=True):
    user: Annotated[
        str,
        Meta(
            description="End the sessions of this user; of other users than yourself with the permission `tokens`. "
            "Default: your own.",
            examples=["ann"],
        ),
    ] = ""
    all_users: Annotated[
        bool, Meta(description="End the sessions of all users, including your own. Requires the permission `tokens`.")
    ] = False


class SessionsEnded(msgspec.Struct, frozen=True):
    """The sessions of `user` (null: of all users) that began until `ended_at` are ended."""

    user: str | None
    ended_at: float


class AuditFilterParams(msgspec.Struct, frozen=True, kw_only=True):
    user: Annotated[str, Meta(description="Only actions of this user.", examples=["ann"])] = ""
    action: Annotated[
        str,
        Meta(
            description="Only this action; `task` matches `task.revoke` and all other task actions.",
            examples=["task.revoke"],
        ),
    ] = ""
    target: Annotated[
        str, Meta(description="Only actions on this task, worker, queue or job.", examples=["charge-17"])
    ] = ""
    outcome: Annotated[AuditOutcome | None, Meta(description="Only this outcome.")] = None
    address: Annotated[str, Meta(description="Only actions from this IP address.", examples=["10.0.0.7"])] = ""
    start: Annotated[str, Meta(description=START)] = ""
    end: Annotated[str, Meta(description=END)] = ""

    def to_filter(self) -> AuditFilter:
        return build_audit_filter(
            user=self.user, action=self.action, target=self.target, outcome=self.outcome or "", address=self.address,
            start=self.start, end=self.end,
        )  # fmt: skip


class AuditListParams(AuditFilterParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Entries per page.")] = 100
    cursor: Annotated[str, Meta(description="`next_cursor` of the previous page.")] = ""


class AuditExportParams(AuditFilterParams, frozen=True, kw_only=True):
    format: Annotated[AuditExportFormat, Meta(description="`csv` is for spreadsheets.")] = "ndjson"


class AuditList(msgspec.Struct, frozen=True):
    """Newest first."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None


def get_current_user(ctx: RequestContext, params: NoParams, body: None) -> CurrentUser:
    identity = ctx.identity
    return CurrentUser(identity.name, identity.auth_method, tuple(sorted(identity.permissions)))


def list_api_tokens(ctx: RequestContext, params: NoParams, body: None) -> TokenList:
    """The user's own tokens; all with the permission `tokens`."""
    owner = None if ctx.identity.has_permission("tokens") else ctx.identity.name
    return TokenList(tuple(map(_token_row, ctx.server.ledger.tokens.tokens(owner))))


def create_api_token(ctx: RequestContext, params: NoParams, body: CreateTokenBody) -> CreatedToken:
    identity = ctx.identity
    if identity.auth_method == "none":
        raise Unauthenticated(
            "Sign-in required", hint="without a login, create tokens with the command `flower token create`"
        )
    if identity.auth_method == "token":
        raise Forbidden("A token cannot create tokens", hint="sign in to create one")
    token, secret = create_token(
        ctx.server.ledger.tokens,
        name=body.name,
        owner=identity.name,
        auth_method=identity.auth_method,
        permissions=body.permissions,
        allowed=identity.permissions,
        lifetime=None if body.expires_in_days is None else body.expires_in_days * _SECONDS_PER_DAY,
    )
    ctx.audit_note.targets.append(token.id)
    return CreatedToken(_token_row(token), secret)


def revoke_api_token(ctx: RequestContext, params: TokenParams, body: None) -> TokenRow:
    """Raises NotFound also for a token that the user cannot see."""
    tokens, identity = ctx.server.ledger.tokens, ctx.identity
    token = tokens.token(params.id)
    if token is not None and _can_revoke(identity, token):
        tokens.revoke(token.id, time.time(), identity.name)
        token = tokens.token(token.id)
        if token is not None:
            return _token_row(token)
    raise NotFound(f"Unknown token '{params.id}'", hint="GET /api/v1/tokens lists the ids")


def end_sessions(ctx: RequestContext, params: EndSessionsParams, body: None) -> SessionsEnded:
    """Passwords and API tokens remain valid."""
    identity = ctx.identity
    if identity.auth_method == "none":
        raise Unauthenticated("Sign-in required", hint="without a login there are no sessions")
    if params.all_users and params.user:
        raise InvalidRequest("The parameters user and all_users are mutually exclusive")
    user = None if params.all_users else params.user or identity.name
    if not identity.has_permission("tokens"):
        if user != identity.name:
            raise Forbidden("Permission 'tokens' is required", hint="without it you can end your own sessions")
        # a token with few permissions must not be able to sign out its owner
        if identity.auth_method == "token":
            raise Forbidden("A token cannot end sessions", hint="sign in, or use a token with the permission tokens")
    ctx.audit_note.targets.append("*" if user is None else user)
    return SessionsEnded(user, end_all_sessions(ctx.server.ledger.sessions, user))


def list_audit_entries(ctx: RequestContext, params: AuditListParams, body: None) -> AuditList:
    entries, next_cursor = get_audit_page(
        ctx.server.ledger.audit, params.to_filter(), limit=params.limit, cursor=params.cursor
    )
    return AuditList(tuple(entries), next_cursor)


def export_audit_entries(ctx: RequestContext, params: AuditExportParams, body: None) -> StreamingBody:
    name = f"audit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{params.format}"
    entries = iter_audit_entries(ctx.server.ledger.audit, params.to_filter())
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingBody(AUDIT_MEDIA_TYPES[params.format], serialize_audit_entries(entries, params.format), headers)


def _can_revoke(identity: Identity, token: ApiToken) -> bool:
    return identity.has_permission("tokens") or (identity.auth_method != "none" and token.owner == identity.name)


def _token_row(token: ApiToken) -> TokenRow:
    return TokenRow(
        id=token.id,
        name=token.name,
        owner=token.owner,
        permissions=token.permissions,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
        last_used_from=token.last_used_from,
        revoked_at=token.revoked_at,
        revoked_by=token.revoked_by,
    )


_TOKEN_EXAMPLE: Final[dict[str, Any]] = {
    "id": "5f2a9c01d7e4",
    "name": "nightly clean-up",
    "owner": "ann",
    "permissions": ["view", "tasks"],
    "created_at": 1795342500.0,
    "expires_at": 1803118500.0,
    "last_used_at": None,
    "last_used_from": "",
    "revoked_at": None,
    "revoked_by": "",
}
_AUDIT_ENTRY_EXAMPLE: Final[dict[str, Any]] = {
    "id": 41,
    "created_at": 1795342500.0,
    "user": "ann",
    "auth_method": "session",
    "token": "",
    "address": "10.0.0.7",
    "action": "task.revoke",
    "targets": ["charge-17"],
    "target_count": 1,
    "parameters": {"terminate": "true"},
    "outcome": "done",
    "message": "",
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/me", "getCurrentUser", "access", "Get the current user and their permissions", get_current_user,
        response=CurrentUser,
        example={"name": "ann", "auth_method": "session", "permissions": ["tasks", "view", "workers"]},
    ),
    Route(
        "GET", "/tokens", "listTokens", "access",
        "List your API tokens; with the permission `tokens`, those of all users",
        list_api_tokens, response=TokenList, example={"tokens": [_TOKEN_EXAMPLE]},
    ),
    Route(
        "POST", "/tokens", "createToken", "access", "Create an API token", create_api_token,
        body=CreateTokenBody, response=CreatedToken, audit_action="token.create",
        example={"token": _TOKEN_EXAMPLE, "secret": "bellflower_qJm2c5…"},
        body_example={"name": "nightly clean-up", "permissions": ["view", "tasks"], "expires_in_days": 90},
    ),
    Route(
        "DELETE", "/tokens/{id}", "revokeToken", "access", "Revoke an API token", revoke_api_token,
        params=TokenParams, response=TokenRow, audit_action="token.revoke",
        example={**_TOKEN_EXAMPLE, "revoked_at": 1795346100.0, "revoked_by": "ann"},
    ),
    Route(
        "DELETE", "/sessions", "endSessions", "access", "End all your sessions, those of a user, or those of all users",
        end_sessions, params=EndSessionsParams, response=SessionsEnded, audit_action="session.end",
        example={"user": "ann", "ended_at": 1795346100.0},
    ),
    Route(
        "GET", "/audit", "listAuditEntries", "access", "List audit log entries, newest first", list_audit_entries,
        params=AuditListParams, response=AuditList, permission="audit",
        example={"entries": [_AUDIT_ENTRY_EXAMPLE], "next_cursor": "41"},
    ),
    Route(
        "GET", "/audit/export", "exportAuditEntries", "access", "Export the audit log", export_audit_entries,
        params=AuditExportParams, permission="audit", media_types=tuple(AUDIT_MEDIA_TYPES.values()),
    ),
)  # fmt: skip
