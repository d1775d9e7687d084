"""The reference: a store that is a dict, and a search that is `match`. Slow and plainly right; the store on
disk is compared with it."""

from flower.store.memory.reader import MemoryReader
from flower.store.memory.writer import MemoryStore, MemoryWriter

__all__ = ["MemoryReader", "MemoryStore", "MemoryWriter"]
