"""LRU cache of decompressed blocks, one for all compressed segments of a process."""

import threading
from collections import OrderedDict
from typing import Final

#: A page of 50 rows in random order needs 50 blocks.
MAX_BYTES: Final = 4 << 20

#: identity of the file and number of the block
_Key = tuple[bytes, int]


class BlockCache:
    """Thread-safe. Files are identified by random bytes, so the blocks of a removed file are never returned for
    another one."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._blocks: OrderedDict[_Key, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: _Key) -> bytes | None:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None:
                self._blocks.move_to_end(key)
            return block

    def put(self, key: _Key, block: bytes) -> None:
        with self._lock:
            previous = self._blocks.pop(key, b"")
            self._blocks[key] = block
            self._bytes += len(block) - len(previous)
            while self._bytes > self._max_bytes:
                _, oldest = self._blocks.popitem(last=False)
                self._bytes -= len(oldest)


shared_blocks: Final = BlockCache()
