"""Parts of canonical UUIDs, found in the two numbers that each is kept as. There are but a few places where a part of
some length can be, and each is one comparison of whole columns: so ids need no place in the text index, of which
their random digits would be a third."""

from functools import lru_cache
from typing import Any, Final

import numpy as np

_DASHES: Final = frozenset({8, 13, 18, 23})
_LENGTH: Final = 36
_HEX: Final = frozenset("0123456789abcdef")
_HALF: Final = (1 << 64) - 1


@lru_cache(maxsize=256)
def build_bit_patterns(part: str) -> tuple[tuple[int, int], ...]:
    """Where a casefolded text can be in a canonical id: the bits that are looked at, and what they must be."""
    found = []
    for start in range(_LENGTH - len(part) + 1):
        bits = value = 0
        for offset, character in enumerate(part):
            place = start + offset
            if (place in _DASHES) != (character == "-") or (character != "-" and character not in _HEX):
                break
            if character != "-":
                digit = place - sum(dash < place for dash in _DASHES)
                bits |= 0xF << (4 * (31 - digit))
                value |= int(character, 16) << (4 * (31 - digit))
        else:
            found.append((bits, value))
    return tuple(found)


def match_uuid_part(high: Any, low: Any, part: str) -> Any:
    """A mask of the ids that have the part in them."""
    found = np.zeros(len(high), bool)
    for bits, value in build_bit_patterns(part):
        here: Any = None
        for column, shift in ((high, 64), (low, 0)):
            wanted = (bits >> shift) & _HALF
            if wanted:
                same = (column & np.uint64(wanted)) == np.uint64((value >> shift) & _HALF)
                here = same if here is None else here & same
        found |= np.ones(len(high), bool) if here is None else here
    return found
