"""Spelling suggestions for unknown names."""

from collections.abc import Iterable
from difflib import get_close_matches

_MAX_WORD_LENGTH = 40


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """The most similar known word; None if no word is similar."""
    if len(word) > _MAX_WORD_LENGTH:
        return None
    return next(iter(get_close_matches(word.casefold(), list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str], suffix: str = "") -> str:
    """A hint with the most similar word, or with all known words if none is similar."""
    words = list(known)
    match = closest_match(word, words)
    return f"did you mean {match}{suffix}" if match else f"valid: {', '.join(words)}"
