"""Routes of `/api/v1` about people: who one is, API tokens, the audit log."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.access import Identity, Permission
from flower.access.tokens import make
from flower.api.audit import MEDIA, Form, every, page, pieces, wanted
from flower.api.reading import read
from flower.api.v1.acting import Acting, Action, Nothing
from flower.api.v1.streamed import Streamed
from flower.errors import Forbidden, NotFound
from flower.store.ledger.audit import Entry, Outcome, Wanted
from flower.store.ledger.tokens import Token

_DAY: Final = 86_400.0
#: Days that a token may last: ten years.
_LONGEST: Final = 3_653


class Me(msgspec.Struct, frozen=True):
    """`name` is "" where nobody has to log in."""

    name: str
    way: str
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


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`permissions` may be no more than your own; `days` is how long it lasts, null for ever."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    permissions: Annotated[tuple[Permission, ...], Meta(min_length=1, max_length=20)]
    days: Annotated[float, Meta(gt=0, le=_LONGEST)] | None = 90


class MadeToken(msgspec.Struct, frozen=True):
    """`text` is what goes behind `Authorization: Bearer`. It is shown now and never again."""

    token: TokenRow
    text: str


class OneToken(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The token's id.", examples=["5f2a9c01d7e4"])]


class AuditAsked(msgspec.Struct, frozen=True, kw_only=True):
    who: Annotated[str, Meta(description="Only what this person did.", examples=["ann"])] = ""
    action: Annotated[
        str, Meta(description="Only this action; `task` finds `task.revoke` and the others.", examples=["task.revoke"])
    ] = ""
    target: Annotated[
        str, Meta(description="Only what was done to this task, worker or queue.", examples=["charge-17"])
    ] = ""
    outcome: Annotated[Outcome | None, Meta(description="Only with this outcome.")] = None
    address: Annotated[str, Meta(description="Only from this address.", examples=["10.0.0.7"])] = ""
    start: Annotated[str, Meta(description="From then on: `-1h`, `today`, `2026-11-22T10:15Z`, epoch seconds.")] = ""
    end: Annotated[str, Meta(description="Until then.")] = ""

    def wanted(self) -> Wanted:
        return wanted(
            who=self.who, action=self.action, target=self.target, outcome=self.outcome or "", address=self.address,
            start=self.start, end=self.end,
        )  # fmt: skip


class AuditPage(AuditAsked, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Entries of a page.")] = 100
    cursor: Annotated[str, Meta(description="`next` of the page before.")] = ""


class AuditFile(AuditAsked, frozen=True, kw_only=True):
    format: Annotated[Form, Meta(description="`ndjson`, or `csv` for spreadsheets.")] = "ndjson"


class AuditList(msgspec.Struct, frozen=True):
    """Newest first. `next` is the cursor of the next page, null on the last one."""

    entries: tuple[Entry, ...]
    next: str | None


async def me(acting: Acting, asked: Nothing, body: None) -> Me:
    identity = acting.identity
    return Me(identity.name, identity.way, tuple(sorted(identity.permissions)))


async def list_tokens(acting: Acting, asked: Nothing, body: None) -> TokenList:
    """One's own; everybody's with the permission `tokens`."""
    owner = None if acting.identity.may("tokens") else acting.identity.name
    found = await read(lambda: acting.context.ledger.tokens.tokens(owner))
    return TokenList(tuple(_row(token) for token in found))


async def make_token(acting: Acting, asked: Nothing, body: NewToken) -> MadeToken:
    identity = acting.identity
    if identity.way == "token":
        raise Forbidden("A token cannot make tokens", hint="log in to make one")
    if identity.way == "nobody":
        raise Forbidden("Nobody is logged in", hint="`flower token create` makes one where nobody has to log in")
    made, text = await read(
        lambda: make(
            acting.context.ledger.tokens,
            name=body.name,
            owner=identity.name,
            way=identity.way,
            permissions=body.permissions,
            allowed=identity.permissions,
            lasts=None if body.days is None else body.days * _DAY,
        )
    )
    acting.note.targets.append(made.id)
    return MadeToken(_row(made), text)


async def revoke_token(acting: Acting, asked: OneToken, body: None) -> TokenRow:
    """One's own, or anybody's with the permission `tokens`. What one may not see is not there."""
    tokens, identity = acting.context.ledger.tokens, acting.identity

    def revoke() -> Token | None:
        token = tokens.token(asked.id)
        if token is None or not _may_revoke(identity, token):
            return None
        tokens.revoke(token.id, _now(), identity.name)
        return tokens.token(token.id)

    token = await read(revoke)
    if token is None:
        raise NotFound(f"Unknown token '{asked.id}'", hint="the list of tokens tells their ids")
    return _row(token)


async def list_audit(acting: Acting, asked: AuditPage, body: None) -> AuditList:
    audit, sought = acting.context.ledger.audit, asked.wanted()
    entries, after = await read(lambda: page(audit, sought, limit=asked.limit, cursor=asked.cursor))
    return AuditList(tuple(entries), after)


async def export_audit(acting: Acting, asked: AuditFile, body: None) -> Streamed:
    name = f"audit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{asked.format}"
    entries = every(acting.context.ledger.audit, asked.wanted())
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Streamed(MEDIA[asked.format], pieces(entries, asked.format), headers)


def _may_revoke(identity: Identity, token: Token) -> bool:
    return identity.may("tokens") or (identity.way != "nobody" and token.owner == identity.name)


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _row(token: Token) -> TokenRow:
    return TokenRow(**{name: getattr(token, name) for name in TokenRow.__struct_fields__})


_TOKEN: Final[dict[str, Any]] = {
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

_ENTRY: Final[dict[str, Any]] = {
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

ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "GET", "/me", "getMe", "access", "Who you are here, and what you may do", "view", Nothing, None, Me, me,
        {"name": "ann", "way": "session", "permissions": ["tasks", "view", "workers"]},
    ),
    Action(
        "GET", "/tokens", "listTokens", "access", "Your API tokens, or everybody's if you may see them", "view",
        Nothing, None, TokenList, list_tokens, {"tokens": [_TOKEN]},
    ),
    Action(
        "POST", "/tokens", "makeToken", "access", "Make an API token", "view", Nothing, NewToken, MadeToken, make_token,
        {"token": _TOKEN, "text": "bellflower_qJm2c5…"},
        {"name": "nightly clean-up", "permissions": ["view", "tasks"], "days": 90},
        action="token.create",
    ),
    Action(
        "DELETE", "/tokens/{id}", "revokeToken", "access", "Revoke an API token", "view", OneToken, None, TokenRow,
        revoke_token, {**_TOKEN, "revoked": 1795346100.0, "revoked_by": "ann"}, action="token.revoke",
    ),
    Action(
        "GET", "/audit", "listAudit", "access", "Who did what, page by page", "audit", AuditPage, None, AuditList,
        list_audit, {"entries": [_ENTRY], "next": "41"},
    ),
    Action(
        "GET", "/audit/export", "exportAudit", "access", "The audit log as a file", "audit", AuditFile, None, None,
        export_audit, {}, media_types=tuple(MEDIA.values()),
    ),
)  # fmt: skip
