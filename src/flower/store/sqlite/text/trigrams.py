"""Splits documents and search strings into trigrams in the same way.

A document that contains a search string has all of its trigrams, whatever the characters.
"""

from collections.abc import Iterable, Sequence
from typing import Final

#: minimum characters of a search string
MIN_SEARCH_LENGTH: Final = 3
#: Maximum trigrams of one search string, and of all search strings of a query. Omitting some adds candidates, and never
#: removes any.
_MAX_TRIGRAMS: Final = 24
_MAX_TOTAL_TRIGRAMS: Final = 64


def normalize_text(text: str) -> str:
    """Casefold a text.

    Idempotent, so it does no harm if the caller has already done it. A lone surrogate, which UTF-8 cannot encode,
    becomes one question mark.
    """
    text = text.casefold()
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def split_trigrams(search_string: str) -> tuple[str, ...]:
    """Return the distinct trigrams of a search string; for a long one, a sample spread over its length.

    Empty if it is too short.
    """
    text = normalize_text(search_string)
    trigrams = dict.fromkeys(text[start : start + 3] for start in range(len(text) - 2))
    return _sample_evenly(tuple(trigrams), _MAX_TRIGRAMS)


def combine_trigrams(search_strings: Iterable[str]) -> tuple[str, ...]:
    """Return the trigrams of a document that contains all search strings.

    Raises ValueError if one of them is too short.
    """
    trigrams: dict[str, None] = {}
    for search_string in search_strings:
        parts = split_trigrams(search_string)
        if not parts:
            raise ValueError(f"{search_string!r} is too short for the text index")
        trigrams.update(dict.fromkeys(parts))
    if not trigrams:
        raise ValueError("no search strings")
    return _sample_evenly(tuple(trigrams), _MAX_TOTAL_TRIGRAMS)


def _sample_evenly(trigrams: Sequence[str], limit: int) -> tuple[str, ...]:
    if len(trigrams) <= limit:
        return tuple(trigrams)
    step = (len(trigrams) - 1) / (limit - 1)
    return tuple(trigrams[round(number * step)] for number in range(limit))
