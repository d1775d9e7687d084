"""API tokens: making them, and what one is good for. Only a hash is kept: 256 random bits need no slow one."""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from typing import Final

from flower.access.permissions import PERMISSIONS, Permission
from flower.errors import Forbidden, InvalidRequest
from flower.store.ledger.api_tokens import ApiToken, ApiTokens

#: Says what it is to people, and to tools that look for secrets in files.
TOKEN_PREFIX: Final = "bellflower_"  # noqa: S105 - the prefix is public
_TOKEN_FORMAT: Final = re.compile(rf"{TOKEN_PREFIX}[A-Za-z0-9_-]{{43}}")

#: Seconds between two notes of when a token was used.
_USE_RECORD_INTERVAL: Final = 60.0
_MAX_NAME_LENGTH: Final = 200


def create_token(
    tokens: ApiTokens,
    *,
    name: str,
    owner: str,
    auth_method: str,
    permissions: Iterable[Permission],
    allowed: Iterable[Permission],
    lifetime: float | None,
) -> tuple[ApiToken, str]:
    """A new token, and its text, which is nowhere else. `lasts` in seconds, None for ever. Raises Invalid, and
    Forbidden if it were to do more than its maker may."""
    wanted = frozenset(permissions)
    if not wanted:
        raise InvalidRequest("A token needs permissions", hint=f"some of {', '.join(PERMISSIONS)}")
    if beyond := wanted - frozenset(allowed):
        raise Forbidden("A token may do no more than its maker", hint=f"you have not {', '.join(sorted(beyond))}")
    if not name.strip() or len(name) > _MAX_NAME_LENGTH:
        raise InvalidRequest("A token needs a name", hint=f"1 to {_MAX_NAME_LENGTH} characters that say what it is for")
    if lifetime is not None and lifetime <= 0:
        raise InvalidRequest("A token must last for some time", hint="such as 30d")
    text = f"{TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
    now = time.time()
    token = ApiToken(
        id=secrets.token_hex(6),
        name=name.strip(),
        owner=owner,
        auth_method=auth_method,
        permissions=tuple(each for each in PERMISSIONS if each in wanted),
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )
    tokens.add(token, token_digest(text))
    return token, text


def token_digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def authenticate_token(tokens: ApiTokens, text: str, address: str) -> ApiToken | None:
    """The token that this is, if it is good now; notes that it was used. Raises StoreError."""
    if not _TOKEN_FORMAT.fullmatch(text):
        return None
    token, now = tokens.find_by_digest(token_digest(text)), time.time()
    if token is None or token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now):
        return None
    if (
        token.last_used_at is None
        or now - token.last_used_at >= _USE_RECORD_INTERVAL
        or token.last_used_from != address
    ):
        tokens.record_use(token.id, now, address)
    return token


def token_permissions(token: ApiToken) -> frozenset[Permission]:
    return frozenset(each for each in PERMISSIONS if each in token.permissions)
