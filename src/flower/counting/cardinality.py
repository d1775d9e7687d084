"""Limits the number of label values. A value that was not used for a long time is evicted when the limit is reached."""

import logging
from collections.abc import Callable, Collection, Hashable
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

#: Seconds after which an unused name may be evicted.
IDLE_TIMEOUT: Final = 3_600.0

K = TypeVar("K", bound=Hashable)


class LabelLimiter(Generic[K]):
    """A set of at most `limit` label values."""

    def __init__(self, label_name: str, limit: int, on_evict: Callable[[Collection[K]], None] | None = None) -> None:
        """`on_evict` is called with evicted names; without it no name is evicted. `label_name` is the plural noun for
        the log."""
        self.label_name = label_name
        self._limit = limit
        self._on_evict = on_evict
        self._last_used: dict[K, float] = {}
        #: until this time no name can have been idle for long enough
        self._full_until = 0.0
        self._has_warned = False
        self._refused_at: float | None = None

    def restore(self, name: K, now: float) -> None:
        """Add a name that the store knows, beyond the limit if necessary."""
        self._last_used[name] = now

    def remove(self, name: K) -> None:
        self._last_used.pop(name, None)

    def __contains__(self, name: K) -> bool:
        return name in self._last_used

    def is_full(self, now: float) -> bool:
        """Whether a name was refused within the last hour."""
        return self._refused_at is not None and abs(now - self._refused_at) < IDLE_TIMEOUT

    def admit(self, name: K, now: float) -> bool:
        """Whether this name has its own label value; marks the name as used now."""
        if name in self._last_used or len(self._last_used) < self._limit or self._evict_idle(now):
            self._last_used[name] = now
            return True
        self._refused_at = now
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "Metrics: more than %s %s; further ones are counted as __other__",
                self._limit,
                self.label_name,
            )
        return False

    def _evict_idle(self, now: float) -> bool:
        # A clock that was set back must not block evictions.
        if self._on_evict is None or not self._limit or self._full_until - IDLE_TIMEOUT <= now < self._full_until:
            return False
        idle = [name for name, used in self._last_used.items() if now - used >= IDLE_TIMEOUT]
        if not idle:
            self._full_until = min(self._last_used.values()) + IDLE_TIMEOUT
            return False
        for name in idle:
            del self._last_used[name]
        self._on_evict(idle)
        return True
