"""A bounded number of names. One that was not heard for long gives way when there are too many."""

import logging
from collections.abc import Callable, Collection, Hashable
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

#: Seconds after which a name gives way to another.
SILENT: Final = 3_600.0

K = TypeVar("K", bound=Hashable)


class Roster(Generic[K]):
    def __init__(self, what: str, limit: int, forget: Callable[[Collection[K]], None] | None = None) -> None:
        """`forget` is told which names gave way; without it none does. `what` they are, for the log."""
        self._what = what
        self._limit = limit
        self._forget = forget
        self._used: dict[K, float] = {}
        #: until then none can have been silent for long enough
        self._full_until = 0.0
        self._said = False

    def put(self, name: K, now: float) -> None:
        """One that was known before."""
        self._used[name] = now

    def drop(self, name: K) -> None:
        self._used.pop(name, None)

    def __contains__(self, name: K) -> bool:
        return name in self._used

    def admits(self, name: K, now: float) -> bool:
        """Whether this name is told apart from others; it was heard now."""
        if name in self._used or len(self._used) < self._limit or self._made_room(now):
            self._used[name] = now
            return True
        if not self._said:
            self._said = True
            log.warning(
                "Metrics: there are more than %s %s; what comes beyond is counted as __other__", self._limit, self._what
            )
        return False

    def _made_room(self, now: float) -> bool:
        # a clock that was set back must not keep the door shut
        if self._forget is None or not self._limit or self._full_until - SILENT <= now < self._full_until:
            return False
        silent = [name for name, used in self._used.items() if now - used >= SILENT]
        if not silent:
            self._full_until = min(self._used.values()) + SILENT
            return False
        for name in silent:
            del self._used[name]
        self._forget(silent)
        return True
