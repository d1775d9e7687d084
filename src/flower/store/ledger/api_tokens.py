"""API tokens and secrets of the web servers. Only the hash of a token is stored: the token itself is shown once, when
it is created."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Secrets(Protocol):
    """Secrets that all web servers of one store share."""

    def get_or_create(self, name: str) -> bytes:
        """32 random bytes, created at the first call and the same for all servers. Raises StoreError."""


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    #: identifies the token in lists and in the audit log; independent of its secret
    """An API token, without its secret."""

    id: str
    #: purpose, as entered by the owner
    name: str
    #: user who created it
    owner: str
    #: how the owner was authenticated: basic, session, proxy or cli
    auth_method: str
    permissions: tuple[str, ...]
    #: epoch seconds
    created_at: float
    expires_at: float | None = None
    #: time of the last use, to the minute, and client address
    last_used_at: float | None = None
    last_used_from: str = ""
    revoked_at: float | None = None
    revoked_by: str = ""


class ApiTokens(Protocol):
    """Methods raise StoreFull and StoreError."""

    def add(self, token: ApiToken, digest: bytes) -> None: ...

    def find_by_digest(self, digest: bytes) -> ApiToken | None:
        """The token with this hash, including expired and revoked ones."""

    def token(self, token_id: str) -> ApiToken | None: ...

    def tokens(self, owner: str | None = None) -> Sequence[ApiToken]:
        """Tokens, newest first; of all users unless an owner is given."""

    def record_use(self, token_id: str, at: float, address: str) -> None: ...

    def revoke(self, token_id: str, at: float, by: str) -> bool:
        """Return False if there is no such token or it is revoked already."""
