"""Celery's settings, fit for a page. Celery masks what its `conf.table` gives by the words in a setting's name; we go
by those words too, look into lists, and mask the passwords in addresses under any name."""

import re
from collections.abc import Mapping
from typing import Any

from flower.redaction.addresses import mask_url

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
