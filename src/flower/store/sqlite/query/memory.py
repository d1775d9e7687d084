"""What was found out about segments, by what was asked and under which change of theirs. Bounded by size."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

#: Bytes, roughly.
ROOM: Final = 48 << 20
_LEAST: Final = 300


class Memory:
    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._used = 0
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, question: Hashable) -> Any:
        with self._lock:
            found = self._known.get(question)
            if found is None:
                return None
            self._known.move_to_end(question)
            return found[0]

    def put(self, question: Hashable, answer: Any, size: int = 0) -> None:
        """`size`: bytes of the answer, where it is more than a few."""
        size += _LEAST
        if size > self._room // 8:
            return
        with self._lock:
            before = self._known.pop(question, None)
            self._used += size - (before[1] if before else 0)
            self._known[question] = (answer, size)
            while self._used > self._room:
                _, (_, gone) = self._known.popitem(last=False)
                self._used -= gone
