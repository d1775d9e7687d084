"""API tokens: making them, and what one is good for. Only a hash is kept: 256 random bits need no slow one."""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from typing import Final

from flower.access.permissions import PERMISSIONS, Permission
from flower.errors import Forbidden, Invalid
from flower.store.ledger.tokens import Token, Tokens

#: Says what it is to people, and to tools that look for secrets in files.
PREFIX: Final = "bellflower_"
_FORM: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")

#: Seconds between two notes of when a token was used.
_NOTED: Final = 60.0
_NAME: Final = 200


def make(
    tokens: Tokens,
    *,
    name: str,
    owner: str,
    way: str,
    permissions: Iterable[Permission],
    allowed: Iterable[Permission],
    lasts: float | None,
) -> tuple[Token, str]:
    """A new token, and its text, which is nowhere else. `lasts` in seconds, None for ever. Raises Invalid, and
    Forbidden if it were to do more than its maker may."""
    wanted = frozenset(permissions)
    if not wanted:
        raise Invalid("A token needs permissions", hint=f"some of {', '.join(PERMISSIONS)}")
    if beyond := wanted - frozenset(allowed):
        raise Forbidden("A token may do no more than its maker", hint=f"you have not {', '.join(sorted(beyond))}")
    if not name.strip() or len(name) > _NAME:
        raise Invalid("A token needs a name", hint=f"1 to {_NAME} characters that say what it is for")
    if lasts is not None and lasts <= 0:
        raise Invalid("A token must last for some time", hint="such as 30d")
    text = f"{PREFIX}{secrets.token_urlsafe(32)}"
    now = time.time()
    token = Token(
        id=secrets.token_hex(6),
        name=name.strip(),
        owner=owner,
        way=way,
        permissions=tuple(each for each in PERMISSIONS if each in wanted),
        made=now,
        expires=None if lasts is None else now + lasts,
    )
    tokens.add(token, digest(text))
    return token, text


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def valid(tokens: Tokens, text: str, address: str) -> Token | None:
    """The token that this is, if it is good now; notes that it was used. Raises StoreError."""
    if not _FORM.fullmatch(text):
        return None
    token, now = tokens.by_digest(digest(text)), time.time()
    if token is None or token.revoked is not None or (token.expires is not None and token.expires <= now):
        return None
    if token.used is None or now - token.used >= _NOTED or token.used_from != address:
        tokens.use(token.id, now, address)
    return token


def permissions_of(token: Token) -> frozenset[Permission]:
    return frozenset(each for each in PERMISSIONS if each in token.permissions)
