"""Finds similar names, for suggestions in error messages."""

from collections.abc import Iterable
from difflib import get_close_matches

_MAX_WORD_LENGTH = 40


def closest_matches(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The most similar known words, best first; none if no word is similar."""
    if len(word) > _MAX_WORD_LENGTH:
        return []
    return get_close_matches(word.casefold(), list(known), n=limit, cutoff=0.6)


def closest_match(word: str, known: Iterable[str]) -> str | None:
    """The most similar known word; None if no word is similar."""
    return next(iter(closest_matches(word, known, 1)), None)
