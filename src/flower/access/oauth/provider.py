"""The option `auth`: which e-mail addresses may log in by OAuth. One, several with `|` between, or one with a single
`.*` before the @. It is no general regular expression, and is compared as it is written, whole.

What a provider of logins is. A class of your own with these two methods, made with `Settings`, can be named as
`auth_provider`; `CodeFlow` does most of it for anything that speaks OAuth 2."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from flower.errors import InvalidRequest

EmailPredicate: TypeAlias = Callable[[str], bool]

_WILDCARD = r"[^@\s]*"


def email_allowlist(auth: str) -> EmailPredicate:
    """Whether an address is allowed. Raises Invalid for a pattern that is refused."""
    if auth.count("*") > 1 or ("*" in auth and ("|" in auth or auth.rfind("@") < auth.index("*"))):
        raise InvalidRequest(
            f"Invalid '--auth' option: {auth}", hint="one address, several with | between, or such as .*@example.com"
        )
    if "*" in auth:
        matches = re.compile(re.escape(auth).replace(r"\.\*", _WILDCARD)).fullmatch
        return lambda address: matches(address) is not None
    known = frozenset(auth.split("|")) - {""}
    return lambda address: address in known


class LoginDenied(Exception):
    """The provider, or what it says, does not let this person in. The text is shown to them."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    #: the client's id and secret at the provider
    client_id: str
    client_secret: str
    #: which addresses the option `auth` allows
    email_allowed: EmailPredicate
    #: the process's environment
    environment: Mapping[str, str] = field(default_factory=dict)
    #: base address of an OpenID provider
    issuer: str = ""
    #: scopes to ask an OpenID provider for
    scope: str = "openid email profile"
    #: the claim that lists groups
    groups_claim: str = "groups"


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """One login on its way; all of it is kept in a signed cookie while the person is at the provider."""

    redirect_uri: str
    #: goes there and comes back unchanged
    state: str
    #: stands in the id token that answers this login
    nonce: str
    #: the secret of PKCE
    verifier: str


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who logged in. `addresses` are e-mail addresses that the provider vouches for, the main one first: the first that
    `auth` allows becomes their name here."""

    emails: tuple[str, ...]
    groups: tuple[str, ...] = ()


class OAuthProvider(Protocol):
    async def authorize_url(self, login: LoginAttempt) -> str:
        """Where to send the browser."""

    async def authenticate(self, code: str, login: LoginAttempt) -> UserInfo:
        """Who came back with this code. Raises Refused; anything else means that the provider cannot be reached."""
