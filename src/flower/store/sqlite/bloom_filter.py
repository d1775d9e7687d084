"""Which segments may hold an id: Bloom filters, asked for a whole batch and eight segments at once.

Almost every id that a recorder asks for is new. Without the filters each would be looked up in every
segment. The filters of eight segments lie side by side, one bit of a byte for each, so that one look into
memory asks all eight: what it costs to know that an id is new hardly grows with the store.

The same filter as `bloom`, for one id at a time: plain Python, so that a reader need not load numpy."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

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


_MIX_1: Final = np.uint64(MIX_1)

_MIX_2: Final = np.uint64(MIX_2)

_LANES: Final = 8


def bloom_hashes(packed: Iterable[bytes | str]) -> Hashes:
    """`probe.mixed` of many."""
    joined = b"".join(value if type(value) is bytes else digest_id(value) for value in packed)
    halves = np.frombuffer(joined, np.uint64).reshape(-1, 2)
    mixed = halves[:, 0] + halves[:, 1] * _MIX_1
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(29)
    return np.asarray(mixed, np.uint64)


def _bit_positions(hashed: Hashes, bits: int) -> list[npt.NDArray[np.int64]]:
    """Where the ids are in a filter of this size, probe by probe."""
    step = (hashed >> np.uint64(32)) | np.uint64(1)
    mask = np.uint64(bits - 1)
    return [((hashed + np.uint64(probe) * step) & mask).astype(np.int64) for probe in range(PROBES)]


class _FilterBank:
    """The filters of up to eight segments, all of one size."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.cells = np.zeros(bits, np.uint8)
        self.lanes: list[int | None] = [None] * _LANES

    def allocate(self, number: int) -> np.uint8 | None:
        """A bit for this segment, if one is free."""
        if None not in self.lanes:
            return None
        lane = self.lanes.index(None)
        self.lanes[lane] = number
        return np.uint8(1 << lane)


class BloomFilters:
    """A set of ids for each segment, that may say yes in error, never no."""

    def __init__(self) -> None:
        self._banks: list[_FilterBank] = []
        self._locations: dict[int, tuple[_FilterBank, np.uint8]] = {}

    def add_filter(self, number: int, capacity: int, content: bytes | None = None) -> None:
        """A filter for one more segment: empty, or as it was kept. Raises ValueError if that is of another size."""
        bits = bloom_bits(capacity)
        if content is not None and len(content) * 8 != bits:
            raise ValueError("a Bloom filter of another size")
        group, bit = self._allocate(number, bits)
        self._locations[number] = (group, bit)
        if content is not None:
            group.cells |= np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little") * bit

    def _allocate(self, number: int, bits: int) -> tuple[_FilterBank, np.uint8]:
        for group in self._banks:
            bit = group.allocate(number) if group.bits == bits else None
            if bit is not None:
                return group, bit
        self._banks.append(_FilterBank(bits))
        return self._allocate(number, bits)

    def remove_filter(self, number: int) -> None:
        if number not in self._locations:
            return
        group, bit = self._locations.pop(number)
        group.cells &= ~bit
        group.lanes[group.lanes.index(number)] = None
        if not any(lane is not None for lane in group.lanes):
            self._banks.remove(group)

    def add_ids(self, number: int, packed: Sequence[bytes | str]) -> None:
        group, bit = self._locations[number]
        for place in _bit_positions(bloom_hashes(packed), group.bits):
            group.cells[place] |= bit

    def to_bytes(self, number: int) -> bytes:
        """The filter of one segment, as it is kept."""
        group, bit = self._locations[number]
        return np.packbits((group.cells & bit) != 0, bitorder="little").tobytes()

    def iter_candidates(self, hashed: Hashes) -> Iterator[tuple[int, list[int]]]:
        """Segments, newest first, with the positions of the ids that each may hold."""
        found: dict[int, list[int]] = {}
        places: dict[int, list[npt.NDArray[np.int64]]] = {}
        for group in self._banks:
            if group.bits not in places:
                places[group.bits] = _bit_positions(hashed, group.bits)
            first, *others = places[group.bits]
            cells = group.cells[first]
            for place in others:
                cells &= group.cells[place]
            for position in np.flatnonzero(cells).tolist():
                for lane, number in enumerate(group.lanes):
                    if number is not None and cells[position] >> lane & 1:
                        found.setdefault(number, []).append(position)
        for number in sorted(found, reverse=True):
            yield number, found[number]
