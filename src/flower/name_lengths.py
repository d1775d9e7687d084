"""Names of bounded length. Names are listed, sorted, sent to every page and used as labels of metrics; an event may
contain a name of any length."""

from hashlib import blake2b
from typing import Final

_DIGEST_SIZE: Final = 8


def shorten_name(name: str, max_length: int) -> str:
    """The name, if it is not longer; otherwise its beginning, `…` and a checksum, so that two long names with the same
    beginning stay different."""
    if len(name) <= max_length:
        return name
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_SIZE).hexdigest()
    return f"{name[: max_length - 1 - len(digest)]}…{digest}"
