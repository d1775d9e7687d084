"""Complete and abbreviated ids of failure groups."""

from typing import Final

from flower.api.failures import load_failures
from flower.errors import InvalidRequest, NotFound
from flower.store.ledger import Ledger
from flower.store.protocols import Reader

#: Minimum length of the beginning of an id, and the number of groups that are searched for it.
_MIN_PREFIX_LENGTH: Final = 4
_MAX_GROUPS: Final = 1_000
_ID_LENGTH: Final = 16


def find_group(store: Reader, ledger: Ledger, text: str) -> str:
    """The id of the group that is, or begins with, this text. Raises NotFound and InvalidRequest."""
    if not _MIN_PREFIX_LENGTH <= len(text) < _ID_LENGTH:
        return text  # an unknown id is reported by the function that uses it
    ids = [row.fingerprint.id for row in load_failures(store, ledger, "", limit=_MAX_GROUPS).failures]
    matching = [each for each in ids if each.startswith(text)]
    if len(matching) > 1:
        raise InvalidRequest(f"'{text}' is not unique", hint=f"groups: {', '.join(matching)}")
    if not matching:
        raise NotFound(f"Unknown failure group '{text}'", hint="`flower failures` lists the ids")
    return matching[0]
