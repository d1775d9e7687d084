"""Patterns with `*` and `?`, matched in linear time."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

#: Maximum number of `*` in one pattern.
MAX_STARS: Final = 16

_SPECIAL: Final = "*?\\"


def escape_wildcards(text: str) -> str:
    """The pattern that matches exactly this text."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def split_pattern(pattern: str) -> list[tuple[str, bool]]:
    """The characters of a pattern, and whether each is a wildcard."""
    characters: list[tuple[str, bool]] = []
    index = 0
    while index < len(pattern):
        character = pattern[index]
        if character == "\\" and pattern[index + 1 : index + 2] and pattern[index + 1] in _SPECIAL:
            index += 1
            characters.append((pattern[index], False))
        else:
            characters.append((character, character in "*?"))
        index += 1
    return characters


@lru_cache(maxsize=256)
def compile_wildcard(pattern: str) -> Callable[[str], bool]:
    """A predicate that matches a complete text, ignoring case. `?` matches one character of the casefolded text."""
    chunks = _chunks(pattern)
    compiled = [re.compile(source, re.DOTALL) for source, _ in chunks]
    lengths = [length for _, length in chunks]
    min_length = sum(lengths)
    if len(chunks) == 1:
        expression = compiled[0]
        return lambda text: expression.fullmatch(text.casefold()) is not None

    def is_match(text: str) -> bool:
        folded = text.casefold()
        last = len(folded) - lengths[-1]
        if len(folded) < min_length or not compiled[0].match(folded) or not compiled[-1].match(folded, last):
            return False
        position = lengths[0]
        # Chunks have a fixed length: the leftmost match of each is optimal, so no backtracking is required.
        for chunk in compiled[1:-1]:
            match = chunk.search(folded, position, last)
            if not match:
                return False
            position = match.end()
        return position <= last

    return is_match


def _chunks(pattern: str) -> list[tuple[str, int]]:
    """The parts between the stars as regular expressions, and the number of characters of each."""
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
