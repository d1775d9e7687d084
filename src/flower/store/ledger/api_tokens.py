"""What the web servers of one store must all know and nobody else may.

API tokens. What is kept is a hash: a token is shown once, when it is made."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Secrets(Protocol):
    def get_or_create(self, name: str) -> bytes:
        """32 random bytes, made when they are first asked for; the same for everybody. Raises StoreError."""


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    #: names it in lists and in the audit log; says nothing of the token itself
    id: str
    #: what it is for, in its maker's words
    name: str
    #: who made it
    owner: str
    #: how the maker was known: basic, session, proxy or cli
    auth_method: str
    permissions: tuple[str, ...]
    #: epoch seconds
    created_at: float
    expires_at: float | None = None
    #: when it was used last, to the minute, and from where
    last_used_at: float | None = None
    last_used_from: str = ""
    revoked_at: float | None = None
    revoked_by: str = ""


class ApiTokens(Protocol):
    """Raises StoreFull, StoreError."""

    def add(self, token: ApiToken, digest: bytes) -> None: ...

    def find_by_digest(self, digest: bytes) -> ApiToken | None:
        """Also one that expired or was revoked."""

    def token(self, token_id: str) -> ApiToken | None: ...

    def tokens(self, owner: str | None = None) -> Sequence[ApiToken]:
        """Newest first; of everybody unless an owner is named."""

    def record_use(self, token_id: str, at: float, address: str) -> None: ...

    def revoke(self, token_id: str, at: float, by: str) -> bool:
        """False if there is no such token or it was revoked already."""
