"""What was found out about segments, by what was asked and under which change of theirs. Bounded by size, figures and
rows each for themselves: a search that remembers many rows does not push out what a thousand figures have cost."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

#: Bytes, roughly, of what is large, such as masks of rows ...
MAX_LARGE_BYTES: Final = 32 << 20
#: ... and of what is small: counts, numbers of words.
MAX_SMALL_BYTES: Final = 8 << 20
_MAX_SMALL_RESULT: Final = 4_096
_ENTRY_OVERHEAD: Final = 300


class ResultCache:
    def __init__(self, room: int = MAX_LARGE_BYTES, small_room: int = MAX_SMALL_BYTES) -> None:
        self._large = _LruRegion(room)
        self._small = _LruRegion(small_room)

    def get(self, question: Hashable) -> Any:
        found = self._small.get(question)
        return self._large.get(question) if found is None else found

    def put(self, question: Hashable, answer: Any, size: int = 0) -> None:
        """`size`: bytes of the answer, where it is more than a few."""
        (self._small if size <= _MAX_SMALL_RESULT else self._large).put(question, answer, size + _ENTRY_OVERHEAD)


class _LruRegion:
    """What was not asked for lately goes first."""

    def __init__(self, room: int) -> None:
        self._max_bytes = room
        self._used_bytes = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, question: Hashable) -> Any:
        with self._lock:
            found = self._entries.get(question)
            if found is None:
                return None
            self._entries.move_to_end(question)
            return found[0]

    def put(self, question: Hashable, answer: Any, size: int) -> None:
        if size > self._max_bytes // 8:
            return
        with self._lock:
            before = self._entries.pop(question, None)
            self._used_bytes += size - (before[1] if before else 0)
            self._entries[question] = (answer, size)
            while self._used_bytes > self._max_bytes:
                _, (_, gone) = self._entries.popitem(last=False)
                self._used_bytes -= gone
