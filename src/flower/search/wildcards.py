"""Patterns with `*` and `?`, matched in a time that grows with the text and not with its powers."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

#: `*` in one pattern.
MAX_STARS: Final = 16

_SPECIAL: Final = "*?\\"


def escape_wildcards(text: str) -> str:
    """The pattern that only this text fits."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def split_pattern(pattern: str) -> list[tuple[str, bool]]:
    """The characters of a pattern, and whether each is a wildcard."""
    found: list[tuple[str, bool]] = []
    index = 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\" and pattern[index + 1 : index + 2] and pattern[index + 1] in _SPECIAL:
            index += 1
            found.append((pattern[index], False))
        else:
            found.append((character, character in "*?"))
        index += 1
    return found


@lru_cache(maxsize=256)
def compile_wildcard(pattern: str) -> Callable[[str], bool]:
    """Whether the whole of a text fits, ignoring case. `?` stands for one character of the casefolded text."""
    chunks = _chunks(pattern)
    compiled = [re.compile(source, re.DOTALL) for source, _ in chunks]
    lengths = [length for _, length in chunks]
    least = sum(lengths)
    if len(chunks) == 1:
        whole = compiled[0]
        return lambda text: whole.fullmatch(text.casefold()) is not None

    def holds(text: str) -> bool:
        folded = text.casefold()
        last = len(folded) - lengths[-1]
        if len(folded) < least or not compiled[0].match(folded) or not compiled[-1].match(folded, last):
            return False
        place = lengths[0]
        # Chunks have a fixed length: the leftmost place of each is as good as any, so nothing is tried twice.
        for chunk in compiled[1:-1]:
            found = chunk.search(folded, place, last)
            if not found:
                return False
            place = found.end()
        return place <= last

    return holds


def _chunks(pattern: str) -> list[tuple[str, int]]:
    """What stands between the stars, as regular expressions, and how many characters each takes."""
    chunks: list[tuple[list[str], int]] = [([], 0)]
    for character, wild in split_pattern(pattern):
        if wild and character == "*":
            chunks.append(([], 0))
            continue
        source, length = chunks[-1]
        folded = character.casefold()
        source.append("." if wild else re.escape(folded))
        chunks[-1] = source, length + (1 if wild else len(folded))
    return [("".join(source), length) for source, length in chunks]
