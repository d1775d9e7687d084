"""Celery's settings, fit for a page. Celery masks what its `conf.table` gives by the words in a setting's name; we go
by those words too, look into lists, and mask the passwords in addresses under any name."""

import re
from collections.abc import Mapping
from typing import Any

from flower.redaction.addresses import masked

MASK = "********"

#: Words in the name of a setting that keeps a secret. Names that are keys of another kind are not meant.
_SECRET = re.compile(r"api|token|secret|pass|signature|database|credential|auth|(?<!routing_)(?<!prefix_)key", re.I)
_HARMLESS = re.compile(r"^(?:global_keyprefix|.*routing_key|.*_keyspace|key_prefix)$", re.I)
_ADDRESS = re.compile(r"://[^/]*@|://.*\?")
_DEEPEST = 16


def masked_settings(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """The same settings by name; a value that must not be shown is `MASK`, an address shows no password."""
    return {str(name): _shown(str(name), value, 0) for name, value in settings.items()}


def is_secret_setting(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _HARMLESS.match(name)


def _shown(name: str, value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return MASK
    if isinstance(value, Mapping):  # what is in it has names of its own
        return {str(key): _shown(str(key), item, depth + 1) for key, item in value.items()}
    if value is None or isinstance(value, bool) or value == "":
        return value
    if is_secret_setting(name):
        return MASK
    if isinstance(value, str):
        return masked(value) if _ADDRESS.search(value) else value
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", item, depth + 1) for item in value]
    return value
