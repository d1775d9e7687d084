"""Signed cookies: who logged in, and a login that is on its way. They can be read by whoever has them, not made."""

import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import Final, Literal, TypeVar

import msgspec
from itsdangerous import BadSignature, URLSafeTimedSerializer

T = TypeVar("T")

#: The names of the cookies.
SESSION_COOKIE: Final = "user"
STATE_COOKIE: Final = "oauth_state"
XSRF_COOKIE: Final = "_xsrf"

#: Seconds that a session lasts: 30 days.
SESSION_MAX_AGE: Final = 30 * 86_400
#: Seconds that somebody has to log in at the provider.
STATE_MAX_AGE: Final = 15 * 60


class Session(msgspec.Struct, frozen=True):
    name: str
    #: by a password of `basic_auth`, or by the OAuth provider
    by: Literal["password", "oauth"]
    groups: tuple[str, ...] = ()


class LoginState(msgspec.Struct, frozen=True):
    """A login that has been sent to the provider."""

    state: str
    nonce: str
    #: of PKCE; "" without
    verifier: str
    #: where to go afterwards: a local path, or ""
    next: str
    redirect_uri: str


class SessionSigner:
    """`secret` gives what signs; it is asked once, when the first cookie is seen, and may read a file."""

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._load_key = secret

    def sign_session(self, session: Session) -> str:
        return self._sign(SESSION_COOKIE, session)

    def read_session(self, cookie: str) -> Session | None:
        return self._verify(SESSION_COOKIE, cookie, Session, SESSION_MAX_AGE)

    def sign_login_state(self, pending: LoginState) -> str:
        return self._sign(STATE_COOKIE, pending)

    def read_login_state(self, cookie: str) -> LoginState | None:
        return self._verify(STATE_COOKIE, cookie, LoginState, STATE_MAX_AGE)

    @cached_property
    def _signers(self) -> dict[str, URLSafeTimedSerializer]:
        secret = self._load_key()
        settings = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return {
            name: URLSafeTimedSerializer(secret, salt=f"bellflower {name}", signer_kwargs=settings)
            for name in (SESSION_COOKIE, STATE_COOKIE)
        }

    def _sign(self, name: str, value: Session | LoginState) -> str:
        sealed = self._signers[name].dumps(msgspec.to_builtins(value))
        return sealed if isinstance(sealed, str) else sealed.decode()

    def _verify(self, name: str, cookie: str, kind: type[T], age: int) -> T | None:
        try:
            return msgspec.convert(self._signers[name].loads(cookie, max_age=age), kind)
        except (BadSignature, msgspec.ValidationError, UnicodeError):
            return None
