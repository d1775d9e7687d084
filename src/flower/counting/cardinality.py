"""A bounded number of names. One that was not heard for long gives way when there are too many."""

import logging
from collections.abc import Callable, Collection, Hashable
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

#: Seconds after which a name gives way to another.
IDLE_TIMEOUT: Final = 3_600.0

K = TypeVar("K", bound=Hashable)


class LabelLimiter(Generic[K]):
    def __init__(self, label_name: str, limit: int, on_evict: Callable[[Collection[K]], None] | None = None) -> None:
        """`forget` is told which names gave way; without it none does. `what` they are, for the log."""
        self._label_name = label_name
        self._limit = limit
        self._on_evict = on_evict
        self._last_used: dict[K, float] = {}
        #: until then none can have been silent for long enough
        self._full_until = 0.0
        self._has_warned = False

    def restore(self, name: K, now: float) -> None:
        """One that was known before."""
        self._last_used[name] = now

    def remove(self, name: K) -> None:
        self._last_used.pop(name, None)

    def __contains__(self, name: K) -> bool:
        return name in self._last_used

    def admit(self, name: K, now: float) -> bool:
        """Whether this name is told apart from others; it was heard now."""
        if name in self._last_used or len(self._last_used) < self._limit or self._evict_idle(now):
            self._last_used[name] = now
            return True
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "Metrics: there are more than %s %s; what comes beyond is counted as __other__",
                self._limit,
                self._label_name,
            )
        return False

    def _evict_idle(self, now: float) -> bool:
        # a clock that was set back must not keep the door shut
        if self._on_evict is None or not self._limit or self._full_until - IDLE_TIMEOUT <= now < self._full_until:
            return False
        silent = [name for name, used in self._last_used.items() if now - used >= IDLE_TIMEOUT]
        if not silent:
            self._full_until = min(self._last_used.values()) + IDLE_TIMEOUT
            return False
        for name in silent:
            del self._last_used[name]
        self._on_evict(silent)
        return True
