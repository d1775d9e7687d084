"""Authentication of a request by trusted proxy, API token, password or session."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from anyio import to_thread

from flower.access.api_tokens import authenticate_token, token_permissions
from flower.access.login_throttle import LoginThrottle
from flower.access.oauth.provider import EmailPredicate, OAuthProvider
from flower.access.password_verifier import PasswordVerifier
from flower.access.passwords import Passwords
from flower.access.permissions import Identity, Permission, Roles
from flower.access.sessions import Session, Sessions
from flower.access.trusted_proxy import TrustedProxy
from flower.store.ledger.api_tokens import ApiToken, ApiTokens


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

    password_verifier: PasswordVerifier = field(default_factory=lambda: PasswordVerifier(Passwords(())))
    roles: Roles = field(default_factory=Roles)
    trusted_proxy: TrustedProxy = field(default_factory=TrustedProxy)
    #: which email addresses may sign in by OAuth; None if OAuth is not configured
    email_allowed: EmailPredicate | None = None
    oauth_provider: OAuthProvider | None = None
    sessions: Sessions | None = None
    tokens: ApiTokens | None = None

    @property
    def passwords(self) -> Passwords:
        return self.password_verifier.passwords

    @property
    def login_throttle(self) -> LoginThrottle:
        return self.password_verifier.throttle

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
        result = await self.password_verifier.verify(name, password, address)
        if not result.is_correct:
            return AuthFailure(retry_after=result.retry_after)
        return Identity(name, self.roles.permissions(name), "basic")

    async def load_session(self, cookie: str) -> Session | None:
        """The session of a cookie, if it is valid and its user may still sign in. Raises StoreError."""
        sessions = self.sessions
        if sessions is None or not cookie:
            return None
        session = await to_thread.run_sync(lambda: sessions.load(cookie))
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
