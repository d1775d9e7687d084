"""Sessions of signed-in users, and the state of an OAuth login: signed cookies. They are signed, not encrypted."""

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec
from itsdangerous import BadSignature, URLSafeTimedSerializer

from flower.access.passwords import Passwords
from flower.errors import StoreFull
from flower.store.ledger.sessions import EndedSessions

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Names of cookies.
SESSION_COOKIE: Final = "user"
STATE_COOKIE: Final = "oauth_state"
XSRF_COOKIE: Final = "_xsrf"

#: Lifetime of a session in seconds: 30 days.
SESSION_MAX_AGE: Final = 30 * 86_400
#: Lifetime of a login at the provider in seconds.
STATE_MAX_AGE: Final = 15 * 60

#: password  a password of `basic_auth`
#: oauth     the OAuth provider
LoginMethod: TypeAlias = Literal["password", "oauth"]


class Session(msgspec.Struct, frozen=True):
    name: str
    login_method: LoginMethod = msgspec.field(name="by")
    groups: tuple[str, ...]
    #: random; identifies the session when it ends
    id: str
    #: epoch seconds
    started_at: float = msgspec.field(name="at")
    #: a keyed hash of the user's entries in `basic_auth`, so that a session ends when the password changes; "" for
    #: OAuth
    fingerprint: str = msgspec.field(name="fp")


class LoginState(msgspec.Struct, frozen=True):
    """A login that is in progress at the provider."""

    state: str
    nonce: str
    #: the code verifier of PKCE
    verifier: str
    #: target of the redirect after the login: a local path, or ""
    next: str
    redirect_uri: str


class CookieSigner:
    """Signs and verifies cookies. `load_key` returns the signing key; it is called once, for the first cookie, and may
    read a file. Thread-safe."""

    def __init__(self, load_key: Callable[[], bytes]) -> None:
        self._load_key = load_key
        self._lock = threading.Lock()

    def sign_session(self, session: Session) -> str:
        return self._sign(SESSION_COOKIE, session)

    def read_session(self, cookie: str) -> Session | None:
        return self._verify(SESSION_COOKIE, cookie, Session, SESSION_MAX_AGE)

    def sign_login_state(self, state: LoginState) -> str:
        return self._sign(STATE_COOKIE, state)

    def read_login_state(self, cookie: str) -> LoginState | None:
        return self._verify(STATE_COOKIE, cookie, LoginState, STATE_MAX_AGE)

    def keyed_hash(self, value: bytes) -> str:
        return hmac.new(self._key, b"bellflower fingerprint\0" + value, hashlib.sha256).hexdigest()[:32]

    @cached_property
    def _loaded_key(self) -> bytes:
        return self._load_key()

    @property
    def _key(self) -> bytes:
        with self._lock:  # a key that cannot be stored is random: every call would return another one
            return self._loaded_key

    @cached_property
    def _signers(self) -> dict[str, URLSafeTimedSerializer]:
        settings = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return {
            name: URLSafeTimedSerializer(self._key, salt=f"bellflower {name}", signer_kwargs=settings)
            for name in (SESSION_COOKIE, STATE_COOKIE)
        }

    def _sign(self, name: str, value: Session | LoginState) -> str:
        signed = self._signers[name].dumps(msgspec.to_builtins(value))
        return signed if isinstance(signed, str) else signed.decode()

    def _verify(self, name: str, cookie: str, kind: type[T], max_age: int) -> T | None:
        try:
            return msgspec.convert(self._signers[name].loads(cookie, max_age=max_age), kind)
        except (BadSignature, msgspec.ValidationError, UnicodeError):
            return None


@dataclass(frozen=True, slots=True)
class Sessions:
    """Starts, loads and ends sessions. All web servers of one store agree on them: they share the key and the ended
    sessions. Methods may read and write a file, and raise StoreError."""

    signer: CookieSigner
    ended: EndedSessions
    passwords: Passwords

    def start(self, name: str, login_method: LoginMethod, groups: tuple[str, ...] = ()) -> str:
        """The cookie of a new session."""
        fingerprint = self._fingerprint(name, login_method)
        return self.signer.sign_session(
            Session(name, login_method, groups, secrets.token_urlsafe(12), time.time(), fingerprint)
        )

    def load(self, cookie: str) -> Session | None:
        """The session of a cookie, unless it has expired or was ended, or the password has changed since."""
        session = self.signer.read_session(cookie)
        if session is None:
            return None
        expected = self._fingerprint(session.name, session.login_method)
        if not hmac.compare_digest(session.fingerprint.encode(), expected.encode()) or self._is_ended(session):
            return None
        return session

    def end(self, session: Session) -> None:
        self.ended.end(session.id, expires_at=session.started_at + SESSION_MAX_AGE)

    def _fingerprint(self, name: str, login_method: LoginMethod) -> str:
        return self.signer.keyed_hash(self.passwords.entries_digest(name)) if login_method == "password" else ""

    def _is_ended(self, session: Session) -> bool:
        try:
            return self.ended.is_ended(session.id, session.name, session.started_at)
        except StoreFull as error:
            # Users must be able to sign in and to free disk space.
            log.debug("Ended sessions cannot be read: %s", error)
            return False


def end_all_sessions(ended: EndedSessions, user: str | None) -> float:
    """End all sessions of the user, None: of all users, and return the time until which they began."""
    now = time.time()
    ended.end_all(user, at=now, expires_at=now + SESSION_MAX_AGE)
    return now
