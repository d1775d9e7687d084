"""Hints for unknown names: the most similar one, or all valid ones."""

from collections.abc import Iterable

from flower.similar_names import closest_match


def did_you_mean(word: str, known: Iterable[str], suffix: str = "") -> str:
    """A hint with the most similar word, or with all known words if none is similar; "" without known words."""
    words = list(known)
    match = closest_match(word, words)
    if match:
        return f"did you mean {match}{suffix}"
    return f"valid: {', '.join(words)}" if words else ""
