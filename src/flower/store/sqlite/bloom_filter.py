"""Bloom filters: which segments may contain an id, without false negatives.

The filter of each segment is stored with its rows. The hash function, the number of probes, the size and the order of
the bits are part of that format.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

#: With 20 bits for each id and 7 probes, one in some thousands of lookups is a false positive.
BITS_PER_ID: Final = 20
PROBES: Final = 7
MIN_BITS: Final = 1 << 10
_FACTOR_1: Final = 0x9E3779B97F4A7C15
_FACTOR_2: Final = 0xBF58476D1CE4E5B9
_MAX_HASH: Final = 2**64 - 1
_LANES: Final = 8


def bloom_bits(capacity: int) -> int:
    """Return the size of the filter of a segment, a power of two."""
    return max(MIN_BITS, 1 << (capacity * BITS_PER_ID - 1).bit_length())


def bloom_hash(packed: bytes | str) -> int:
    """Return the 64-bit hash of an id. UUIDs that encode time or host need the mixing."""
    digest = _digest(packed)
    value = (int.from_bytes(digest[:8], "little") + int.from_bytes(digest[8:], "little") * _FACTOR_1) & _MAX_HASH
    value ^= value >> 31
    value = value * _FACTOR_2 & _MAX_HASH
    return value ^ value >> 29


def bloom_hashes(packed: Iterable[bytes | str]) -> Hashes:
    """Return `bloom_hash` of many ids."""
    halves = np.frombuffer(b"".join(map(_digest, packed)), np.uint64).reshape(-1, 2)
    values = halves[:, 0] + halves[:, 1] * np.uint64(_FACTOR_1)
    values ^= values >> np.uint64(31)
    values *= np.uint64(_FACTOR_2)
    values ^= values >> np.uint64(29)
    return np.asarray(values, np.uint64)


def _digest(packed: bytes | str) -> bytes:
    """Return 16 bytes. A UUID is used as it is: it is almost uniformly distributed."""
    return packed if isinstance(packed, bytes) else blake2b(packed.encode(), digest_size=16).digest()


def _bit_positions(hashes: Any, bits: int, probes: int) -> list[npt.NDArray[np.int64]]:
    """Return the positions of the hashes in a filter of this size, one array for each probe."""
    mask = hashes.dtype.type(bits - 1)
    positions = [(hashes & mask).astype(np.int64)]
    if probes > 1:
        step = (hashes >> np.uint64(32)) | np.uint64(1)
        positions += [((hashes + np.uint64(probe) * step) & mask).astype(np.int64) for probe in range(1, probes)]
    return positions


class BloomFilter:
    """A set of hashes, with false positives and without false negatives.

    The first probe is the low bits of the hash; the upper 32 bits are the step to the next probe. So hashes of 32 bits
    permit one probe.
    """

    __slots__ = ("_bytes", "_mask", "_probes")

    def __init__(self, bits: int, *, probes: int = PROBES) -> None:
        """`bits`: a power of two."""
        self._bytes: bytes | bytearray = bytearray(bits >> 3)
        self._mask = bits - 1
        self._probes = probes

    @classmethod
    def from_bytes(cls, content: bytes) -> "BloomFilter":
        """Return the stored filter of a segment, for reading only."""
        stored = cls.__new__(cls)
        stored._bytes, stored._mask, stored._probes = content, len(content) * 8 - 1, PROBES
        return stored

    def add(self, hashes: Any) -> None:
        """Raises TypeError for a stored filter, which numpy's `bitwise_or.at` would overwrite without an error."""
        if isinstance(self._bytes, bytes):
            raise TypeError("A stored Bloom filter is read-only")
        cells = np.frombuffer(self._bytes, np.uint8)
        for positions in _bit_positions(hashes, self._mask + 1, self._probes):
            np.bitwise_or.at(cells, positions >> 3, np.uint8(1) << (positions & 7).astype(np.uint8))

    def might_contain(self, number: int) -> bool:
        content, mask, step = self._bytes, self._mask, number >> 32 | 1
        for probe in range(self._probes):
            position = number + probe * step & mask
            if not content[position >> 3] >> (position & 7) & 1:
                return False
        return True

    def might_contain_each(self, hashes: Any) -> Any:
        """Return a mask of the hashes that may be in the set."""
        cells = np.frombuffer(self._bytes, np.uint8)
        found = np.ones(len(hashes), np.uint8)
        for positions in _bit_positions(hashes, self._mask + 1, self._probes):
            found &= cells[positions >> 3] >> (positions & 7).astype(np.uint8)
        return (found & 1).view(bool)


class _FilterBank:
    """The filters of up to eight segments of one size, interleaved: byte N has bit N of each filter."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.cells = np.zeros(bits, np.uint8)
        self.lanes: list[int | None] = [None] * _LANES

    def allocate(self, number: int) -> np.uint8 | None:
        """Return the bit of this segment; None if the bank is full."""
        if None not in self.lanes:
            return None
        lane = self.lanes.index(None)
        self.lanes[lane] = number
        return np.uint8(1 << lane)


class BloomFilters:
    """The Bloom filters of all segments, for lookups of whole batches.

    Almost every id that a recorder looks up is new, and without the filters it would be looked up in every segment.
    The filters of eight segments are interleaved, so that one memory access tests all eight: the time to find out
    that an id is new hardly grows with the store.
    """

    def __init__(self) -> None:
        self._banks: list[_FilterBank] = []
        self._locations: dict[int, tuple[_FilterBank, np.uint8]] = {}

    def add_filter(self, number: int, capacity: int, content: bytes | None = None) -> None:
        """Add the filter of a segment: empty, or as it was stored. Raises ValueError if that has another size."""
        bits = bloom_bits(capacity)
        if content is not None and len(content) * 8 != bits:
            raise ValueError(f"Invalid Bloom filter: {len(content)} bytes instead of {bits >> 3}")
        bank, bit = self._allocate(number, bits)
        self._locations[number] = (bank, bit)
        if content is not None:
            bank.cells |= np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little") * bit

    def _allocate(self, number: int, bits: int) -> tuple[_FilterBank, np.uint8]:
        for bank in self._banks:
            bit = bank.allocate(number) if bank.bits == bits else None
            if bit is not None:
                return bank, bit
        self._banks.append(_FilterBank(bits))
        return self._allocate(number, bits)

    def remove_filter(self, number: int) -> None:
        if number not in self._locations:
            return
        bank, bit = self._locations.pop(number)
        bank.cells &= ~bit
        bank.lanes[bank.lanes.index(number)] = None
        if not any(lane is not None for lane in bank.lanes):
            self._banks.remove(bank)

    def add_ids(self, number: int, packed: Sequence[bytes | str]) -> None:
        bank, bit = self._locations[number]
        for positions in _bit_positions(bloom_hashes(packed), bank.bits, PROBES):
            bank.cells[positions] |= bit

    def to_bytes(self, number: int) -> bytes:
        """Return the filter of one segment in its stored form."""
        bank, bit = self._locations[number]
        return np.packbits((bank.cells & bit) != 0, bitorder="little").tobytes()

    def iter_candidates(self, hashes: Hashes) -> Iterator[tuple[int, list[int]]]:
        """Yield segment numbers, newest first, with the indexes of the hashes that each may contain."""
        candidates: dict[int, list[int]] = {}
        by_size: dict[int, list[npt.NDArray[np.int64]]] = {}
        for bank in self._banks:
            if bank.bits not in by_size:
                by_size[bank.bits] = _bit_positions(hashes, bank.bits, PROBES)
            first, *others = by_size[bank.bits]
            cells = bank.cells[first]
            for positions in others:
                cells &= bank.cells[positions]
            for index in np.flatnonzero(cells).tolist():
                for lane, number in enumerate(bank.lanes):
                    if number is not None and cells[index] >> lane & 1:
                        candidates.setdefault(number, []).append(index)
        for number in sorted(candidates, reverse=True):
            yield number, candidates[number]
