"""The same filter as `bloom`, for one id at a time: plain Python, so that a reader need not load numpy."""

from hashlib import blake2b
from typing import Final

#: About 20 bits per id and 7 probes let one false id in some thousands pass.
BITS_PER_ID: Final = 20
PROBES: Final = 7
MIN_BITS: Final = 1 << 10
MIX_1: Final = 0x9E3779B97F4A7C15
MIX_2: Final = 0xBF58476D1CE4E5B9
_WORD: Final = 2**64 - 1


def bloom_bits(capacity: int) -> int:
    return max(MIN_BITS, 1 << (capacity * BITS_PER_ID - 1).bit_length())


def digest_id(packed: bytes | str) -> bytes:
    """16 bytes: a UUID is nearly its own hash."""
    return packed if isinstance(packed, bytes) else blake2b(packed.encode(), digest_size=16).digest()


def bloom_hash(packed: bytes | str) -> int:
    """One number per id; mixing serves UUIDs that count time or hosts."""
    halves = digest_id(packed)
    value = (int.from_bytes(halves[:8], "little") + int.from_bytes(halves[8:], "little") * MIX_1) & _WORD
    value ^= value >> 31
    value = value * MIX_2 & _WORD
    return value ^ value >> 29


def might_contain(content: bytes, hashed: int) -> bool:
    mask = len(content) * 8 - 1
    step = hashed >> 32 | 1
    for probe in range(PROBES):
        position = hashed + probe * step & mask
        if not content[position >> 3] >> (position & 7) & 1:
            return False
    return True
