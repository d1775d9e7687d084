"""API tokens: creation and authentication. The store has only a hash; 256 random bits need no slow hash function."""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from typing import Final

from flower.access.permissions import PERMISSIONS, Permission
from flower.errors import Forbidden, InvalidRequest
from flower.store.ledger.api_tokens import ApiToken, ApiTokens

#: Identifies a token to readers, and to tools that search files for secrets.
TOKEN_PREFIX: Final = "bellflower_"  # noqa: S105 - the prefix is public
_TOKEN_FORMAT: Final = re.compile(rf"{TOKEN_PREFIX}[A-Za-z0-9_-]{{43}}")

#: Seconds between two updates of the last use of a token.
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
    """A new token and its secret, which is not stored. `lifetime` is in seconds, None is unlimited. `allowed` are the
    permissions of the user. Raises InvalidRequest, and Forbidden for permissions that the user does not have."""
    granted = frozenset(permissions)
    if not granted:
        raise InvalidRequest("At least one permission is required", hint=f"choose from {', '.join(PERMISSIONS)}")
    if missing := granted - frozenset(allowed):
        raise Forbidden(
            "You cannot grant permissions that you do not have", hint=f"missing: {', '.join(sorted(missing))}"
        )
    if not name.strip() or len(name) > _MAX_NAME_LENGTH:
        raise InvalidRequest(f"The name of a token must have 1 to {_MAX_NAME_LENGTH} characters")
    if lifetime is not None and lifetime <= 0:
        raise InvalidRequest("The lifetime of a token must be positive", hint="such as 30d")
    secret = f"{TOKEN_PREFIX}{secrets.token_urlsafe(32)}"
    now = time.time()
    token = ApiToken(
        id=secrets.token_hex(6),
        name=name.strip(),
        owner=owner,
        auth_method=auth_method,
        permissions=tuple(permission for permission in PERMISSIONS if permission in granted),
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )
    tokens.add(token, token_digest(secret))
    return token, secret


def token_digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def authenticate_token(tokens: ApiTokens, secret: str, address: str) -> ApiToken | None:
    """The token of the secret, unless it has expired or was revoked. Records its use from the address. Raises
    StoreError."""
    if not _TOKEN_FORMAT.fullmatch(secret):
        return None
    token, now = tokens.find_by_digest(token_digest(secret)), time.time()
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
    return frozenset(permission for permission in PERMISSIONS if permission in token.permissions)
