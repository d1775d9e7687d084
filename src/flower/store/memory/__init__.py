"""The reference store: tasks in a dict, every query by iteration over all tasks. Tests compare the store on disk with
it.

aggregates  aggregation of the matching tasks
reader      the Reader
writer      the Writer, and the data that it shares with its readers
"""

from flower.store.memory.reader import MemoryReader
from flower.store.memory.writer import MemoryStore, MemoryWriter

__all__ = ["MemoryReader", "MemoryStore", "MemoryWriter"]
