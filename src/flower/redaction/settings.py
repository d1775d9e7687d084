"""Addresses of brokers and result backends, fit for a log or a page.

Celery's settings, fit for a page. Celery masks what its `conf.table` gives by the words in a setting's name; we go
by those words too, look into lists, and mask the passwords in addresses under any name."""

import re
from collections.abc import Mapping
from typing import Any

_URL_PASSWORD = re.compile(r"(://[^\s/:@'\"]*):[^\s'\"/]*@")


def mask_url(url: object) -> str:
    """A broker URL, or several, without passwords and queries."""
    if isinstance(url, list | tuple):
        return ";".join(mask_url(part) for part in url)
    return ";".join(_mask_single_url(part) for part in str(url or "").split(";"))


def mask_urls_in_text(text: str) -> str:
    """The same text; passwords in the addresses it quotes are left out."""
    return _URL_PASSWORD.sub(r"\1:**@", text)


def _mask_single_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return re.sub(r"^[^@]*@", "**@", url)
    rest, question, _ = rest.partition("?")
    login, at, host = rest.rpartition("@")  # the last @: a password may hold one that nobody quoted
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}{':**' if colon else ''}{at}{host}{'?…' if question else ''}"


SETTING_MASK = "********"

#: Words in the name of a setting that keeps a secret. Names that are keys of another kind are not meant.
_SECRET_NAME = re.compile(
    r"api|token|secret|pass|signature|database|credential|auth|(?<!routing_)(?<!prefix_)key", re.I
)

_HARMLESS_NAME = re.compile(r"^(?:global_keyprefix|.*routing_key|.*_keyspace|key_prefix)$", re.I)

_URL_WITH_CREDENTIALS = re.compile(r"://[^/]*@|://.*\?")

_MAX_DEPTH = 16


def mask_settings(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """The same settings by name; a value that must not be shown is `MASK`, an address shows no password."""
    return {str(name): _mask_setting_value(str(name), value, 0) for name, value in settings.items()}


def is_secret_setting(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.match(name)


def _mask_setting_value(name: str, value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return SETTING_MASK
    if isinstance(value, Mapping):  # what is in it has names of its own
        return {str(key): _mask_setting_value(str(key), item, depth + 1) for key, item in value.items()}
    if value is None or isinstance(value, bool) or value == "":
        return value
    if is_secret_setting(name):
        return SETTING_MASK
    if isinstance(value, str):
        return mask_url(value) if _URL_WITH_CREDENTIALS.search(value) else value
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask_setting_value("", item, depth + 1) for item in value]
    return value
