"""Which segment may hold an id: a Bloom filter per segment, tested for whole batches at once.

Almost every id that a recorder asks for is new. Without the filters each would be looked up in every
segment; with them about one in a thousand is."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from flower.store.sqlite import probe as one

Hashes = npt.NDArray[np.uint64]

_MIX_1: Final = np.uint64(one.MIX_1)
_MIX_2: Final = np.uint64(one.MIX_2)


def hashes(packed: Iterable[bytes | str]) -> Hashes:
    """`probe.mixed` of many."""
    joined = b"".join(value if type(value) is bytes else one.digest(value) for value in packed)
    halves = np.frombuffer(joined, np.uint64).reshape(-1, 2)
    mixed = halves[:, 0] + halves[:, 1] * _MIX_1
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(29)
    return np.asarray(mixed, np.uint64)


class Bloom:
    """A set of ids that may say yes in error, never no."""

    def __init__(self, capacity: int, content: bytes | None = None) -> None:
        """Raises ValueError if the stored content is none of this size."""
        bits = one.bits_for(capacity)
        self._mask = np.uint64(bits - 1)
        if content is None:
            self._bytes = np.zeros(bits // 8, np.uint8)
        elif len(content) != bits // 8:
            raise ValueError("a Bloom filter of another size")
        else:
            self._bytes = np.frombuffer(bytearray(content), np.uint8)

    def content(self) -> bytes:
        return self._bytes.tobytes()

    def add(self, hashed: Hashes) -> None:
        for probe in range(one.PROBES):
            place, bit = self._place(hashed, probe)
            np.bitwise_or.at(self._bytes, place, bit)

    def candidates(self, hashed: Hashes) -> npt.NDArray[np.intp]:
        """The positions of those that may be in the set. Most drop out at the first probe."""
        left = np.arange(len(hashed))
        for probe in range(one.PROBES):
            place, bit = self._place(hashed[left], probe)
            left = left[(self._bytes[place] & bit) != 0]
            if not len(left):
                break
        return left

    def _place(self, hashed: Hashes, probe: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        step = (hashed >> np.uint64(32)) | np.uint64(1)
        position = (hashed + np.uint64(probe) * step) & self._mask
        bit = np.left_shift(np.uint8(1), (position & np.uint64(7)).astype(np.uint8))
        return (position >> np.uint64(3)).astype(np.int64), bit


def of(capacity: int, packed: Sequence[bytes | str]) -> Bloom:
    bloom = Bloom(max(capacity, len(packed)))
    if packed:
        bloom.add(hashes(packed))
    return bloom
