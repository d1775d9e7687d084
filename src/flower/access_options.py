"""Options that restrict access, and what it means if one is given but empty.

`FLOWER_BASIC_AUTH=${PASSWORDS}` with an unset variable is an empty text. An empty option that was given must not open
what it was meant to protect: the program does not start.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flower.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class EmptyRule:
    """`consequence` and `remedy` complete the message. `applies`: whether the empty value opens something, by the
    values of all options; it always does by default."""

    consequence: str
    remedy: str
    applies: Callable[[Mapping[str, Any]], bool] = lambda values: True


#: One of these is set if users must sign in.
_LOGIN_OPTIONS: Final = ("basic_auth", "auth", "oidc_issuer", "proxy_header")

_NO_LOGIN: Final = "no sign-in would be required"


def _is_open(values: Mapping[str, Any]) -> bool:
    return all(is_empty(values[name]) for name in _LOGIN_OPTIONS)


def _admits_everyone(values: Mapping[str, Any]) -> bool:
    """Without addresses, all users of an OpenID provider may sign in."""
    return _is_open(values) or not is_empty(values["oidc_issuer"])


def _is_blank(values: Mapping[str, Any]) -> bool:
    return bool(values["cookie_secret"])


#: Options that are rejected if they are given and empty. Empty values of the other options open nothing: a login
#: without client id, scope or secret fails at the provider, own roles only add to the built-in ones, and an empty
#: cookie secret is a random key.
EMPTY_RULES: Final[Mapping[str, EmptyRule]] = {
    "basic_auth": EmptyRule(_NO_LOGIN, "set it to user:password, or remove it to require no password"),
    "auth": EmptyRule(
        "every user could sign in, or no sign-in would be required",
        "set it to the e-mail addresses that may sign in, or remove it",
        _admits_everyone,
    ),
    "auth_provider": EmptyRule(_NO_LOGIN, "set it and --auth, or remove it", _is_open),
    "oidc_issuer": EmptyRule(_NO_LOGIN, "set it to the URL of the issuer, or remove it", _is_open),
    "proxy_header": EmptyRule(_NO_LOGIN, "set it to the header with the name of the user, or remove it", _is_open),
    "trusted_proxies": EmptyRule(_NO_LOGIN, "set it to the addresses of the proxies, or remove it", _is_open),
    "proxy_groups_header": EmptyRule(
        "groups would be unknown, and users would have the default role",
        "set it to the header with the groups of the user, or remove it",
        lambda values: not is_empty(values["proxy_header"]),
    ),
    "oidc_groups_claim": EmptyRule(
        "groups would be unknown, and users would have the default role",
        "set it to the name of the claim, or remove it for the default",
        lambda values: not is_empty(values["oidc_issuer"]),
    ),
    "allowed_hosts": EmptyRule("every host name would be accepted", "set it to the host names, or remove it"),
    "roles": EmptyRule(
        "every signed-in user would be an administrator",
        "set it, such as ann:admin,*:viewer, or remove it to give all users all permissions",
    ),
    "metrics_token": EmptyRule("/metrics would be open", "set it, or remove it to require no token"),
    "cookie_secret": EmptyRule(
        "sessions could be forged", "set it to a long random text, or remove it for a random key", _is_blank
    ),
}


def reject_empty(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Raises InvalidRequest if an option of the table was given and is empty. `values`: of all options; `origins`: of
    those that were given, for messages."""
    for name, rule in EMPTY_RULES.items():
        if name in origins and is_empty(values[name]) and rule.applies(values):
            raise InvalidRequest(f"{origins[name]} is empty: {rule.consequence}", hint=rule.remedy)


def is_empty(value: Any) -> bool:
    """Whether an option holds nothing: no text, only blanks, or a list without such."""
    if isinstance(value, list | tuple):
        return all(is_empty(item) for item in value)
    return value is None or (isinstance(value, str) and not value.strip())
