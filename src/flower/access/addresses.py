"""The option `auth`: which e-mail addresses may log in by OAuth. One, several with `|` between, or one with a single
`.*` before the @. It is no general regular expression, and is compared as it is written, whole."""

import re
from collections.abc import Callable
from typing import TypeAlias

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
