"""Estimates when an event arrived, from its own timestamp.

The clock of a worker may be wrong. Its offset is learnt from events that were read as soon as they arrived, and is
needed for events that were not: those that waited in the kernel while this process was stopped or busy.
"""

import msgspec

from flower.records import Event, Gap

#: Seconds: bytes that were read within this time after the socket was empty were read when they arrived.
PROMPT_DELAY = 1.5
_MAX_HOSTNAMES = 10_000


class _ArrivalEstimator:
    """Offsets between the arrival of events and the timestamps of their senders."""

    def __init__(self) -> None:
        self._offsets: dict[str | None, float] = {}

    def observe(self, event: Event, received: float) -> None:
        """Learn from an event that arrived at `received` (epoch seconds)."""
        offset = received - event.timestamp
        # The smallest offset is that of the event with the shortest delay. An offset that is too small results in a
        # time that is too early, and so in a gap that is too long, never in one that is too short.
        if offset < self._offsets.get(event.hostname, float("inf")):
            if len(self._offsets) >= _MAX_HOSTNAMES:
                self._offsets.clear()
            self._offsets[event.hostname] = offset

    def estimate(self, event: Event) -> float | None:
        """When the event arrived, in epoch seconds; None if its sender is unknown."""
        offset = self._offsets.get(event.hostname)
        return None if offset is None else event.timestamp + offset


class ArrivalTracker:
    """When the newest event of a connection arrived. For use by the thread that parses."""

    def __init__(self) -> None:
        self._estimator = _ArrivalEstimator()
        self._newest: Event | None = None
        #: when the last bytes were read, the last time before that at which all were read, and when earlier bytes were
        self._received: float | None = None
        self._since = self._previous_received = 0.0

    @property
    def last_received(self) -> float | None:
        """When the last bytes of the connection were read; None if it has received none."""
        return self._received

    def observe(self, received: float, since: float, newest: Event | None) -> None:
        """Bytes of the connection that were read at `received` and arrived after `since` (epoch seconds), and their
        newest event, if they contain any."""
        if newest is not None:
            self._newest = newest
            if received - since < PROMPT_DELAY:
                self._estimator.observe(newest, received)
        if self._received is not None and self._since != since:
            self._previous_received = self._received
        self._received, self._since = received, since

    def start_connection(self, gap: Gap | None) -> Gap | None:
        """The gap before a new connection, begun when the newest event of the previous one arrived, if its bytes were
        read much later."""
        received, since = self._received, self._since
        self._received = None
        if gap is None or received is None or received <= gap.start or received - since < PROMPT_DELAY:
            return gap
        estimate = None if self._newest is None else self._estimator.estimate(self._newest)
        if estimate is None:
            return gap
        start = min(max(estimate, self._previous_received), received, gap.end or received)
        return msgspec.structs.replace(gap, start=start)
