"""Times in which no events were received, also across restarts of the recorder."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from flower.records import Gap, GapCause
from flower.untrusted_values import convert_or_none


class Interruption(NamedTuple):
    """A time without a connection to the broker: since when (epoch seconds), and the cause and reason of the gap that
    results if the broker does not keep events meanwhile."""

    since: float
    cause: GapCause
    reason: str
    #: whether the broker closed the previous connection properly
    closed_by_broker: bool = False

    def end(self) -> Gap:
        """The gap, if the interruption ends now."""
        return Gap(self.since, max(self.since, time.time()), self.reason, cause=self.cause)


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store contains, in terms of the source; stored with every write. JSON in `Batch.capture_progress`."""

    #: Every event that arrived before this time, in epoch seconds of the local clock, is in the store.
    complete_until: float | None = None
    #: the drain process, and the number of its last chunk that is in the store
    drain: str | None = None
    sequence: int = 0


class CompletenessMarks:
    """Until when all events are contained in the batches up to a token, in epoch seconds."""

    def __init__(self, complete_until: float | None) -> None:
        self._complete_until = complete_until
        self._marks: deque[tuple[int, float]] = deque()

    def add(self, token: int, time: float) -> None:
        """The batches up to `token` contain all events that arrived before `time`."""
        self._marks.append((token, time))

    def find(self, token: int) -> float | None:
        """Until when the batches up to `token` are complete; None if that is unknown. Tokens must not decrease."""
        while self._marks and self._marks[0][0] <= token:
            self.advance(self._marks.popleft()[1])
        return self._complete_until

    def advance(self, time: float) -> None:
        self._complete_until = max(time, self._complete_until or 0.0)

    @property
    def is_pending(self) -> bool:
        """Whether batches with higher tokens than the last one of `find` exist."""
        return bool(self._marks)


def decode_progress(content: bytes) -> Progress:
    """Without content, or with content that cannot be read, the progress is unknown."""
    try:
        return msgspec.json.decode(content, type=Progress)
    except msgspec.MsgspecError:
        return Progress()


def find_interruption(progress: bytes, status: Mapping[str, Any]) -> Interruption | None:
    """The time since the previous recorder of a store received events; None if there was no recorder.

    `progress` is stored with every write. `status` is the last report of the previous recorder: written every second,
    also while no events arrive."""
    capture = convert_or_none(status.get("capture"), dict[str, Any]) or {}
    known = [decode_progress(progress).complete_until, convert_or_none(capture.get("complete_until"), float)]
    times = [each for each in known if each is not None]
    if not times and (last_event := convert_or_none(status.get("last_event"), float)):
        times = [last_event]  # the status of an earlier version
    if not times:
        return None
    since = min(max(times), time.time())  # the clock may have been set back
    if status.get("running"):
        return Interruption(since, "recorder_crashed", "the recorder ended unexpectedly")
    return Interruption(since, "recorder_stopped", "the recorder was stopped")
