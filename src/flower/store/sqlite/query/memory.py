"""What was found out about segments, by what was asked and under which change of theirs. Bounded by size, figures and
rows each for themselves: a search that remembers many rows does not push out what a thousand figures have cost."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

#: Bytes, roughly, of what is large, such as masks of rows ...
ROOM: Final = 32 << 20
#: ... and of what is small: counts, numbers of words.
SMALL_ROOM: Final = 8 << 20
_SMALL: Final = 4_096
_LEAST: Final = 300


class Memory:
    def __init__(self, room: int = ROOM, small_room: int = SMALL_ROOM) -> None:
        self._large = _Shelf(room)
        self._small = _Shelf(small_room)

    def get(self, question: Hashable) -> Any:
        found = self._small.get(question)
        return self._large.get(question) if found is None else found

    def put(self, question: Hashable, answer: Any, size: int = 0) -> None:
        """`size`: bytes of the answer, where it is more than a few."""
        (self._small if size <= _SMALL else self._large).put(question, answer, size + _LEAST)


class _Shelf:
    """What was not asked for lately goes first."""

    def __init__(self, room: int) -> None:
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

    def put(self, question: Hashable, answer: Any, size: int) -> None:
        if size > self._room // 8:
            return
        with self._lock:
            before = self._known.pop(question, None)
            self._used += size - (before[1] if before else 0)
            self._known[question] = (answer, size)
            while self._used > self._room:
                _, (_, gone) = self._known.popitem(last=False)
                self._used -= gone
