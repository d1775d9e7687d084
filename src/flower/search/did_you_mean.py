"""The word that somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

_MAX_WORD_LENGTH = 40


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one; None if none is much like it."""
    if len(word) > _MAX_WORD_LENGTH:
        return None
    return next(iter(get_close_matches(word.casefold(), list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str], suffix: str = "") -> str:
    """A hint, or all that there is."""
    words = list(known)
    found = closest_match(word, words)
    return f"did you mean {found}{suffix}" if found else f"there are {', '.join(words)}"
