"""Substring search in canonical UUIDs, which are stored as two 64-bit numbers.

A substring has only a few possible positions, and each is one comparison of whole columns. So ids need not be in the
text index, a third of which would be their random digits.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np

_DASHES: Final = frozenset({8, 13, 18, 23})
_LENGTH: Final = 36
_HEX: Final = frozenset("0123456789abcdef")
_HALF: Final = (1 << 64) - 1


@lru_cache(maxsize=256)
def build_bit_patterns(part: str) -> tuple[tuple[int, int], ...]:
    """Return the possible positions of a casefolded text in a canonical UUID, each as (bit mask, value)."""
    patterns = []
    for start in range(_LENGTH - len(part) + 1):
        mask = value = 0
        for offset, character in enumerate(part):
            position = start + offset
            if (position in _DASHES) != (character == "-") or (character != "-" and character not in _HEX):
                break
            if character != "-":
                digit = position - sum(dash < position for dash in _DASHES)
                mask |= 0xF << (4 * (31 - digit))
                value |= int(character, 16) << (4 * (31 - digit))
        else:
            patterns.append((mask, value))
    return tuple(patterns)


def match_uuid_part(high: Any, low: Any, part: str) -> Any:
    """Return a mask of the ids that contain the text."""
    matches = np.zeros(len(high), bool)
    for mask, value in build_bit_patterns(part):
        is_match: Any = None
        for column, shift in ((high, 64), (low, 0)):
            half_mask = (mask >> shift) & _HALF
            if half_mask:
                is_equal = (column & np.uint64(half_mask)) == np.uint64((value >> shift) & _HALF)
                is_match = is_equal if is_match is None else is_match & is_equal
        matches |= np.ones(len(high), bool) if is_match is None else is_match
    return matches
