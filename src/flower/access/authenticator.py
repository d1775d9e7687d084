"""From what a request shows to who is asking. The one object that knows all ways of being known."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from anyio import CapacityLimiter, to_thread

from flower.access.addresses import Allows
from flower.access.attempts import Attempts
from flower.access.identity import Identity
from flower.access.oauth.protocol import Provider
from flower.access.passwords import Passwords
from flower.access.permissions import Permission
from flower.access.proxies import Proxies
from flower.access.roles import Roles
from flower.access.sessions import Session, Sessions
from flower.access.tokens import permissions_of, valid
from flower.store.ledger.tokens import Token, Tokens

#: Hashes of passwords that are computed at once: each takes a processor and 64 MB for a tenth of a second.
_HASHING = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of who sends it. Names of headers are in lower case."""

    headers: Mapping[str, str]
    #: the cookie of the session, "" without one
    session: str
    #: where it comes from, by the word of a proxy perhaps
    address: str
    #: the other end of the connection; "" is our unix socket
    peer: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody that we know: `wait` seconds must pass first, if too many attempts failed. `needs` is what is missing."""

    needs: str = "basic"
    wait: int = 0


Found: TypeAlias = Identity | Unknown


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Without passwords, provider and proxies nobody needs to log in."""

    passwords: Passwords = field(default_factory=lambda: Passwords(()))
    roles: Roles = field(default_factory=Roles)
    proxies: Proxies = field(default_factory=Proxies)
    #: who may log in by OAuth; None: nobody has to
    allowed: Allows | None = None
    provider: Provider | None = None
    sessions: Sessions | None = None
    tokens: Tokens | None = None
    attempts: Attempts = field(default_factory=Attempts)
    _hashing: list[CapacityLimiter] = field(default_factory=list)

    @property
    def needed(self) -> bool:
        """Whether people must say who they are."""
        return bool(self.passwords) or self.allowed is not None or bool(self.proxies)

    async def find(self, shown: Shown) -> Found:
        """Raises StoreError if tokens or the secret of sessions cannot be read."""
        named = self.proxies.named(shown.headers, shown.peer)
        if named is not None:
            return Identity(named.name, self.roles.permissions(named.name, named.groups), "proxy")
        scheme, _, rest = shown.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._by_token(rest.strip(), shown.address)
        pair = decoded(rest) if scheme.lower() == "basic" else None
        if self.passwords and (pair is not None or self.allowed is not None):
            basic = await self._by_password(pair, shown.address)
            if self.allowed is None or isinstance(basic, Unknown):
                return basic
        session = await self.session(shown.session)
        if session is not None:
            return Identity(session.name, self.roles.permissions(session.name, session.groups), "session")
        return Unknown("oauth" if self.allowed is not None else "basic")

    async def check(self, name: str, password: str, address: str) -> Found:
        """By name and password, of a header or of the login page."""
        wait = self.attempts.wait(name, address)
        if wait:
            return Unknown(wait=wait)
        right = self.passwords.remembers(name, password)
        if not right and not await self._in_thread(lambda: self.passwords.check(name, password)):
            self.attempts.failed(name, address)
            return Unknown()
        self.attempts.succeeded(name, address)
        return Identity(name, self.roles.permissions(name), "basic")

    async def session(self, cookie: str) -> Session | None:
        """The session of this cookie, if it is still good: whoever may no longer log in is out at once."""
        sessions = self.sessions
        if sessions is None or not cookie:
            return None
        session = await to_thread.run_sync(lambda: sessions.session(cookie))
        return session if session is not None and self._welcome(session) else None

    def _welcome(self, session: Session) -> bool:
        if session.by == "password":
            return self.allowed is None and session.name in self.passwords.names
        return self.allowed is not None and self.allowed(session.name)

    async def _by_password(self, pair: tuple[str, str] | None, address: str) -> Found:
        return Unknown() if pair is None else await self.check(*pair, address)

    async def _by_token(self, text: str, address: str) -> Found:
        known = self.tokens
        token = None if known is None else await to_thread.run_sync(lambda: valid(known, text, address))
        if token is None:
            return Unknown("token")
        return Identity(token.owner, permissions_of(token) & self._still(token), "token", token.id)

    def _still(self, token: Token) -> frozenset[Permission]:
        """What the maker may do now: a token is no way around being sent away. Groups are known at a login only, so
        of somebody who has a role by groups only the name is looked at."""
        if token.owner in self.passwords.names:
            return self.roles.permissions(token.owner)
        gone = token.way == "session" and (self.allowed is None or not self.allowed(token.owner))
        if gone or token.way == "basic":
            return frozenset()
        return self.roles.named.get(token.owner, permissions_of(token))

    async def _in_thread(self, work: Callable[[], bool]) -> bool:
        if not self._hashing:
            self._hashing.append(CapacityLimiter(_HASHING))
        return await to_thread.run_sync(work, limiter=self._hashing[0])


def decoded(encoded: str) -> tuple[str, str] | None:
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
