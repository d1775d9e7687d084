"""Texts and needles, made ready for the index the same way: a document that holds a needle holds all of the
needle's trigrams, whatever is written in them."""

from collections.abc import Iterable, Sequence
from typing import Final

#: Characters of the shortest needle that can be looked for.
MIN_SEARCH_LENGTH: Final = 3
#: Trigrams of one needle, and of all needles of a question. Leaving some out gives more candidates, never fewer.
_MAX_TRIGRAMS: Final = 24
_MAX_TOTAL_TRIGRAMS: Final = 64


def normalize_text(text: str) -> str:
    """Folding twice gives the same as folding once, so it does no harm where the caller has done it. A lone
    surrogate, which UTF-8 does not have, becomes a question mark, one for one."""
    text = text.casefold()
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def split_trigrams(needle: str) -> tuple[str, ...]:
    """The distinct trigrams of a needle; of a long one some that lie all over it. Empty if it is too short."""
    text = normalize_text(needle)
    return _sample_evenly(
        tuple(dict.fromkeys(text[place : place + 3] for place in range(len(text) - 2))), _MAX_TRIGRAMS
    )


def combine_trigrams(needles: Iterable[str]) -> tuple[str, ...]:
    """What a document must hold if it holds all the needles. Raises ValueError if that says nothing of one."""
    found: dict[str, None] = {}
    for needle in needles:
        parts = split_trigrams(needle)
        if not parts:
            raise ValueError(f"{needle!r} is too short for the text index")
        found.update(dict.fromkeys(parts))
    if not found:
        raise ValueError("nothing to look for")
    return _sample_evenly(tuple(found), _MAX_TOTAL_TRIGRAMS)


def _sample_evenly(found: Sequence[str], most: int) -> tuple[str, ...]:
    if len(found) <= most:
        return tuple(found)
    step = (len(found) - 1) / (most - 1)
    return tuple(found[round(number * step)] for number in range(most))
