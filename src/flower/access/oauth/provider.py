"""The OAuth provider protocol, and the email allowlist of the option `auth`.

A class with the two methods of `OAuthProvider`, created with `ProviderSettings`, can be the value of `auth_provider`;
`CodeFlow` implements most of it for OAuth 2.

The allowlist is one address, several separated by `|`, or one with a single `.*` before the @. It is not a general
regular expression, and must match the whole address exactly; `\\.` is a dot, and blanks around `|` are ignored."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from flower.errors import InvalidRequest

EmailPredicate: TypeAlias = Callable[[str], bool]

_WILDCARD = r"[^@\s]*"

#: A backslash before a character that is not a letter or digit, as in regular expressions.
_ESCAPED = re.compile(r"\\([^\w\s])")
#: An address that a provider can send. Quoted local parts are not supported; a leading `^` is an anchor.
_POSSIBLE_ADDRESS = re.compile(r"(?![.^])[^@\s\\()\[\]<>,;:\"]+(?<!\.)@[\w-]+(\.[\w-]+)*")


def email_allowlist(auth: str) -> EmailPredicate:
    """A predicate of allowed email addresses. Raises InvalidRequest for an unsupported pattern."""
    addresses = _split_addresses(auth)
    pattern = next((address for address in addresses if "*" in address), "")
    if not addresses or (pattern and (len(addresses) > 1 or not _is_supported(pattern))):
        raise InvalidRequest(
            f"Invalid '--auth' option: {auth}",
            hint="one address, several separated by |, or a pattern such as .*@example.com (the dot is required)",
        )
    if pattern:
        matches = re.compile(re.escape(pattern).replace(r"\.\*", _WILDCARD)).fullmatch
        return lambda email: matches(email) is not None
    known = frozenset(addresses)
    return lambda email: email in known


def impossible_addresses(auth: str) -> list[str]:
    """The addresses of the option `auth` that no user can have: such an entry admits no user."""
    return [
        address for address in _split_addresses(auth) if not _POSSIBLE_ADDRESS.fullmatch(address.replace(".*", "x", 1))
    ]


def _split_addresses(auth: str) -> list[str]:
    return [address for part in auth.split("|") if (address := _ESCAPED.sub(r"\1", part.strip()))]


def _is_supported(pattern: str) -> bool:
    return pattern.count("*") == 1 and ".*" in pattern and pattern.rfind("@") > pattern.index("*")


class LoginDenied(Exception):
    """The user may not sign in. The message is shown to the user."""


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    #: the client's id and secret at the provider
    client_id: str
    client_secret: str
    #: the email addresses that the option `auth` allows
    email_allowed: EmailPredicate
    #: environment variables
    environment: Mapping[str, str] = field(default_factory=dict)
    #: issuer URL of an OpenID provider
    issuer: str = ""
    #: scopes of the request to an OpenID provider
    scope: str = "openid email profile"
    #: the claim that contains the groups
    groups_claim: str = "groups"


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """One login in progress. A signed cookie contains it while the user is at the provider."""

    redirect_uri: str
    #: returned unchanged by the provider
    state: str
    #: contained in the ID token of this login
    nonce: str
    #: the code verifier of PKCE
    verifier: str


@dataclass(frozen=True, slots=True)
class UserInfo:
    """The user at the provider. `emails` are verified, the primary one first: the first one that `auth` allows becomes
    the user's name."""

    emails: tuple[str, ...]
    groups: tuple[str, ...] = ()


class OAuthProvider(Protocol):
    async def authorize_url(self, login: LoginAttempt) -> str:
        """The URL at the provider to which the browser is redirected."""

    async def authenticate(self, code: str, login: LoginAttempt) -> UserInfo:
        """The user of the code in the callback. Raises LoginDenied; any other exception means that the provider is
        unreachable."""
