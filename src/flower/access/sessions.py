"""Signed cookies: the session of a user, and the state of an OAuth login. They are signed, not encrypted."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Final, Literal, TypeVar

import msgspec
from itsdangerous import BadSignature, URLSafeTimedSerializer

T = TypeVar("T")

#: Names of cookies.
SESSION_COOKIE: Final = "user"
STATE_COOKIE: Final = "oauth_state"
XSRF_COOKIE: Final = "_xsrf"

#: Lifetime of a session in seconds: 30 days.
SESSION_MAX_AGE: Final = 30 * 86_400
#: Lifetime of a login at the provider in seconds.
STATE_MAX_AGE: Final = 15 * 60


class Session(msgspec.Struct, frozen=True):
    name: str
    #: a password of `basic_auth`, or the OAuth provider
    login_method: Literal["password", "oauth"] = msgspec.field(name="by")
    groups: tuple[str, ...] = ()


class LoginState(msgspec.Struct, frozen=True):
    """A login that is in progress at the provider."""

    state: str
    nonce: str
    #: the code verifier of PKCE
    verifier: str
    #: target of the redirect after the login: a local path, or ""
    next: str
    redirect_uri: str


class SessionSigner:
    """Signs and verifies cookies. `load_key` returns the signing key; it is called for the first cookie, and may read a
    file."""

    def __init__(self, load_key: Callable[[], bytes]) -> None:
        self._load_key = load_key

    def sign_session(self, session: Session) -> str:
        return self._sign(SESSION_COOKIE, session)

    def read_session(self, cookie: str) -> Session | None:
        return self._verify(SESSION_COOKIE, cookie, Session, SESSION_MAX_AGE)

    def sign_login_state(self, state: LoginState) -> str:
        return self._sign(STATE_COOKIE, state)

    def read_login_state(self, cookie: str) -> LoginState | None:
        return self._verify(STATE_COOKIE, cookie, LoginState, STATE_MAX_AGE)

    @cached_property
    def _signers(self) -> dict[str, URLSafeTimedSerializer]:
        key = self._load_key()
        settings = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return {
            name: URLSafeTimedSerializer(key, salt=f"bellflower {name}", signer_kwargs=settings)
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
