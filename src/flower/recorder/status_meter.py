"""Statistics of the recorder: events, writes, delay and errors, for its status."""

import os
import time
from collections.abc import Mapping
from typing import Any

from flower.capture.protocols import CapturedBatch


class StatusMeter:
    """Statistics of the recorder for its status."""

    def __init__(self) -> None:
        self.since = time.time()
        self.events = 0
        self.batches = 0
        self.last_event: float | None = None
        self.lag = 0.0
        self.error: str | None = None
        self.removed_workers = 0
        self._events_before = 0
        self._at = time.monotonic()

    def add(self, batch: CapturedBatch) -> None:
        """Count the events of a batch; one of unreadable messages has none."""
        self.events += len(batch.events)
        if batch.events:
            self.last_event = batch.received

    def status(self, now: float) -> Mapping[str, Any]:
        at = time.monotonic()
        rate = (self.events - self._events_before) / max(at - self._at, 0.001)
        self._events_before, self._at = self.events, at
        return {
            "pid": os.getpid(),
            "since": self.since,
            "at": now,
            "events": self.events,
            "events_per_second": round(rate, 1),
            "batches": self.batches,
            "last_event": self.last_event,
            "lag": round(self.lag, 3),
            "trouble": self.error,
            "removed_workers": self.removed_workers,
        }
