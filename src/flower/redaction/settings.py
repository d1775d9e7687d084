"""Masks passwords in the URLs of brokers and result backends, and secrets in Celery's settings.

Celery masks the settings of `conf.table` by the words in their names. This module uses the same words, also masks
values inside lists, and masks URL passwords under any name.
"""

import re
from collections.abc import Mapping
from typing import Any

from flower.redaction.url_passwords import mask_url_passwords


def mask_url(url: object) -> str:
    """One or more broker URLs (separated by `;`) without passwords and query strings."""
    if isinstance(url, list | tuple):
        return ";".join(mask_url(part) for part in url)
    return ";".join(_mask_single_url(part) for part in str(url or "").split(";"))


def mask_urls_in_text(text: str) -> str:
    """The text without the passwords of the URLs in it."""
    return mask_url_passwords(text, "**")


def _mask_single_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return re.sub(r"^[^@]*@", "**@", url)
    rest, query_mark, _ = rest.partition("?")
    login, at, host = rest.rpartition("@")  # the last @: a password may contain an unquoted one
    user, colon, _ = login.partition(":")
    return f"{scheme}://{user}{':**' if colon else ''}{at}{host}{'?…' if query_mark else ''}"


SETTING_MASK = "********"

#: Words in the names of settings that hold secrets. Keys of another kind (routing keys, prefixes) are excluded.
_SECRET_NAME = re.compile(
    r"api|token|secret|pass|signature|database|credential|auth|(?<!routing_)(?<!prefix_)key", re.I
)

_HARMLESS_NAME = re.compile(r"^(?:global_keyprefix|.*routing_key|.*_keyspace|key_prefix)$", re.I)

_URL_WITH_CREDENTIALS = re.compile(r"://[^/]*@|://.*\?")

_MAX_DEPTH = 16


def mask_settings(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """The settings by name. A secret is replaced by `SETTING_MASK`; URLs have no passwords."""
    return {str(name): _mask_setting_value(str(name), value, 0) for name, value in settings.items()}


def is_secret_setting(name: str) -> bool:
    """Whether the name of the setting contains a word that marks a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.match(name)


def _mask_setting_value(name: str, value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return SETTING_MASK
    if isinstance(value, Mapping):  # the keys inside have names of their own
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
