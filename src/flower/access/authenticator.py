"""From what a request shows to who is asking. The one object that knows all ways of being known."""

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

#: Hashes of passwords that are computed at once: each takes a processor and 64 MB for a tenth of a second.
_MAX_CONCURRENT_HASHES = 2


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows of who sends it. Names of headers are in lower case."""

    headers: Mapping[str, str]
    #: the cookie of the session, "" without one
    session_cookie: str
    #: where it comes from, by the word of a proxy perhaps
    address: str
    #: the other end of the connection; "" is our unix socket
    peer: str


@dataclass(frozen=True, slots=True)
class AuthFailure:
    """Nobody that we know: `wait` seconds must pass first, if too many attempts failed. `needs` is what is missing."""

    missing: str = "basic"
    retry_after: int = 0


AuthResult: TypeAlias = Identity | AuthFailure


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Without passwords, provider and proxies nobody needs to log in."""

    passwords: Passwords = field(default_factory=lambda: Passwords(()))
    roles: Roles = field(default_factory=Roles)
    trusted_proxy: TrustedProxy = field(default_factory=TrustedProxy)
    #: who may log in by OAuth; None: nobody has to
    email_allowed: EmailPredicate | None = None
    oauth_provider: OAuthProvider | None = None
    sessions: SessionSigner | None = None
    tokens: ApiTokens | None = None
    login_throttle: LoginThrottle = field(default_factory=LoginThrottle)
    _hashing: list[CapacityLimiter] = field(default_factory=list)

    @property
    def is_required(self) -> bool:
        """Whether people must say who they are."""
        return bool(self.passwords) or self.email_allowed is not None or bool(self.trusted_proxy)

    async def authenticate(self, credentials: Credentials) -> AuthResult:
        """Raises StoreError if tokens or the secret of sessions cannot be read."""
        named = self.trusted_proxy.read_user(credentials.headers, credentials.peer)
        if named is not None:
            return Identity(named.name, self.roles.permissions(named.name, named.groups), "proxy")
        scheme, _, rest = credentials.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._check_token(rest.strip(), credentials.address)
        pair = decode_basic(rest) if scheme.lower() == "basic" else None
        if self.passwords and (pair is not None or self.email_allowed is not None):
            basic = await self._check_basic(pair, credentials.address)
            if self.email_allowed is None or isinstance(basic, AuthFailure):
                return basic
        session = await self.load_session(credentials.session_cookie)
        if session is not None:
            return Identity(session.name, self.roles.permissions(session.name, session.groups), "session")
        return AuthFailure("oauth" if self.email_allowed is not None else "basic")

    async def check_password(self, name: str, password: str, address: str) -> AuthResult:
        """By name and password, of a header or of the login page."""
        wait = self.login_throttle.retry_after(name, address)
        if wait:
            return AuthFailure(retry_after=wait)
        right = self.passwords.is_cached(name, password)
        if not right and not await self._run_hashing(lambda: self.passwords.verify(name, password)):
            self.login_throttle.record_failure(name, address)
            return AuthFailure()
        self.login_throttle.record_success(name, address)
        return Identity(name, self.roles.permissions(name), "basic")

    async def load_session(self, cookie: str) -> Session | None:
        """The session of this cookie, if it is still good: whoever may no longer log in is out at once."""
        sessions = self.sessions
        if sessions is None or not cookie:
            return None
        session = await to_thread.run_sync(lambda: sessions.read_session(cookie))
        return session if session is not None and self._is_session_valid(session) else None

    def _is_session_valid(self, session: Session) -> bool:
        if session.by == "password":
            return self.email_allowed is None and session.name in self.passwords.names
        return self.email_allowed is not None and self.email_allowed(session.name)

    async def _check_basic(self, pair: tuple[str, str] | None, address: str) -> AuthResult:
        return AuthFailure() if pair is None else await self.check_password(*pair, address)

    async def _check_token(self, text: str, address: str) -> AuthResult:
        known = self.tokens
        token = None if known is None else await to_thread.run_sync(lambda: authenticate_token(known, text, address))
        if token is None:
            return AuthFailure("token")
        return Identity(token.owner, token_permissions(token) & self._current_permissions(token), "token", token.id)

    def _current_permissions(self, token: ApiToken) -> frozenset[Permission]:
        """What the maker may do now: a token is no way around being sent away. Groups are known at a login only, so
        of somebody who has a role by groups only the name is looked at."""
        if token.owner in self.passwords.names:
            return self.roles.permissions(token.owner)
        gone = token.auth_method == "session" and (self.email_allowed is None or not self.email_allowed(token.owner))
        if gone or token.auth_method == "basic":
            return frozenset()
        return self.roles.by_user.get(token.owner, token_permissions(token))

    async def _run_hashing(self, work: Callable[[], bool]) -> bool:
        if not self._hashing:
            self._hashing.append(CapacityLimiter(_MAX_CONCURRENT_HASHES))
        return await to_thread.run_sync(work, limiter=self._hashing[0])


def decode_basic(encoded: str) -> tuple[str, str] | None:
    """Name and password of a Basic header. UTF-8, as browsers send it; older clients send Latin-1."""
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
