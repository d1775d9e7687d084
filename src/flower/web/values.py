"""Values of a record as people read them."""

import re
from typing import Any

#: Characters of a text that a page shows.
MAX_TEXT_LENGTH = 64 * 1024

#: What does not show, or makes the text around it show in another order.
_INVISIBLE_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def escape_invisible(value: Any) -> str:
    """The text, with characters that do not show written as escapes, cut where it gets too long for a page."""
    text = str(value)
    rest = len(text) - MAX_TEXT_LENGTH
    cut = f"{text[:MAX_TEXT_LENGTH]}\n… and {rest:,} more characters" if rest > 0 else text
    return _INVISIBLE_CHARACTERS.sub(lambda found: found[0].encode("unicode_escape").decode(), cut)
