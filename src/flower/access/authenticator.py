"""Authentication of a request by trusted proxy, API token, password or session."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from anyio import CapacityLimiter, to_thread

from flower.access.api_tokens import authenticate_token, token_permissions
from flower.access.login_throttle import LoginThrottle
from flower.access.oauth.provider import EmailPredicate, OAuthProvider
from flower.access.passwords import Passwords
from flower.access.permissions import Identity, Permission, Roles
from flower.access.sessions import Session, SessionSigner
from flower.access.trusted_proxy import TrustedProxy
from flower.store.ledger.api_tokens import ApiToken, ApiTokens

#: Password hashes that are computed in parallel: each takes a processor and 64 MB for a tenth of a second.
_MAX_CONCURRENT_HASHES = 2


@dataclass(frozen=True, slots=True)
class Credentials:
    """The parts of a request that identify its sender. Header names are in lower case."""

    headers: Mapping[str, str]
    #: "" without a session
    session_cookie: str
    #: the client, as reported by a trusted proxy if there is one
    address: str
    #: the address of the connection; "" for the Unix socket
    peer: str


@dataclass(frozen=True, slots=True)
class AuthFailure:
    """`missing`: the kind of credentials that is required (basic, oauth, token). `retry_after`: seconds until the next
    attempt, if too many failed."""

    missing: str = "basic"
    retry_after: int = 0


AuthResult: TypeAlias = Identity | AuthFailure


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Without passwords, OAuth provider and trusted proxy, no login is required."""

    passwords: Passwords = field(default_factory=lambda: Passwords(()))
    roles: Roles = field(default_factory=Roles)
    trusted_proxy: TrustedProxy = field(default_factory=TrustedProxy)
    #: which email addresses may sign in by OAuth; None if OAuth is not configured
    email_allowed: EmailPredicate | None = None
    oauth_provider: OAuthProvider | None = None
    sessions: SessionSigner | None = None
    tokens: ApiTokens | None = None
    login_throttle: LoginThrottle = field(default_factory=LoginThrottle)
    _hashing: list[CapacityLimiter] = field(default_factory=list)

    @property
    def is_required(self) -> bool:
        """Whether users must authenticate."""
        return bool(self.passwords) or self.email_allowed is not None or bool(self.trusted_proxy)

    async def authenticate(self, credentials: Credentials) -> AuthResult:
        """Raises StoreError if tokens or the key of the sessions cannot be read."""
        user = self.trusted_proxy.read_user(credentials.headers, credentials.peer)
        if user is not None:
            return Identity(user.name, self.roles.permissions(user.name, user.groups), "proxy")
        scheme, _, rest = credentials.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._check_token(rest.strip(), credentials.address)
        pair = decode_basic(rest) if scheme.lower() == "basic" else None
        if self.passwords and (pair is not None or self.email_allowed is not None):
            result = await self._check_basic(pair, credentials.address)
            if self.email_allowed is None or isinstance(result, AuthFailure):
                return result
        session = await self.load_session(credentials.session_cookie)
        if session is not None:
            return Identity(session.name, self.roles.permissions(session.name, session.groups), "session")
        return AuthFailure("oauth" if self.email_allowed is not None else "basic")

    async def check_password(self, name: str, password: str, address: str) -> AuthResult:
        """Check name and password of a Basic header or the login form."""
        retry_after = self.login_throttle.retry_after(name, address)
        if retry_after:
            return AuthFailure(retry_after=retry_after)
        is_correct = self.passwords.is_cached(name, password)
        if not is_correct and not await self._run_hashing(lambda: self.passwords.verify(name, password)):
            self.login_throttle.record_failure(name, address)
            return AuthFailure()
        self.login_throttle.record_success(name, address)
        return Identity(name, self.roles.permissions(name), "basic")

    async def load_session(self, cookie: str) -> Session | None:
        """The session of a cookie, if it is valid and its user may still sign in."""
        sessions = self.sessions
        if sessions is None or not cookie:
            return None
        session = await to_thread.run_sync(lambda: sessions.read_session(cookie))
        return session if session is not None and self._is_session_valid(session) else None

    def _is_session_valid(self, session: Session) -> bool:
        if session.login_method == "password":
            return self.email_allowed is None and session.name in self.passwords.names
        return self.email_allowed is not None and self.email_allowed(session.name)

    async def _check_basic(self, pair: tuple[str, str] | None, address: str) -> AuthResult:
        return AuthFailure() if pair is None else await self.check_password(*pair, address)

    async def _check_token(self, secret: str, address: str) -> AuthResult:
        tokens = self.tokens
        token = None
        if tokens is not None:
            token = await to_thread.run_sync(lambda: authenticate_token(tokens, secret, address))
        if token is None:
            return AuthFailure("token")
        return Identity(token.owner, token_permissions(token) & self._current_permissions(token), "token", token.id)

    def _current_permissions(self, token: ApiToken) -> frozenset[Permission]:
        """The present permissions of the token's owner, so that tokens of a removed user have none. Groups are known at
        a login only: roles of groups do not count."""
        if token.owner in self.passwords.names:
            return self.roles.permissions(token.owner)
        is_allowed = self.email_allowed is not None and self.email_allowed(token.owner)
        is_removed = token.auth_method == "session" and not is_allowed
        if is_removed or token.auth_method == "basic":
            return frozenset()
        return self.roles.by_user.get(token.owner, token_permissions(token))

    async def _run_hashing(self, verify: Callable[[], bool]) -> bool:
        if not self._hashing:
            self._hashing.append(CapacityLimiter(_MAX_CONCURRENT_HASHES))
        return await to_thread.run_sync(verify, limiter=self._hashing[0])


def decode_basic(encoded: str) -> tuple[str, str] | None:
    """Name and password of a Basic header, in UTF-8 or, from older clients, Latin-1. None if it is invalid."""
    try:
        plain = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = plain.decode()
    except UnicodeDecodeError:
        text = plain.decode("latin-1")
    name, colon, password = text.partition(":")
    return (name, password) if colon else None
