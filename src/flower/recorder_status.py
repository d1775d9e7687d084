"""Status that the recorder writes into the store every second, and the rules that decide from it whether the recorder
is alive and whether events are being recorded.

All users of the status apply these rules: metrics, health, queue rates, `/api/v1/status` and, through it, the pages.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from flower.untrusted_values import convert_or_none

#: Seconds without a report after which the recorder counts as stopped.
RECORDER_TIMEOUT: Final = 15.0

#: unknown       no recorder has written to the store
#: stopped       the recorder reported that it stopped, or did not report within RECORDER_TIMEOUT
#: blocked       it cannot write to the store, for instance because the disk is full; `error` is the reason
#: disconnected  it has no connection to the broker; `connection_error` is the reason
#: recording     events are being recorded
RecorderState: TypeAlias = Literal["unknown", "stopped", "blocked", "disconnected", "recording"]


class RecorderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last report of the recorder. Times are epoch seconds. A value that is missing or has the wrong type is
    None."""

    reported_at: float | None = None
    #: when the recorder process started
    started_at: float | None = None
    running: bool | None = None
    #: to the broker
    connected: bool | None = None
    #: number of recorded events since the start
    events: int | None = None
    events_per_second: float | None = None
    last_event_at: float | None = None
    #: seconds that the events of the last write waited in the recorder
    lag: float | None = None
    #: why the store cannot be written to
    error: str | None = None
    #: why there is no connection to the broker
    connection_error: str | None = None
    #: received from the broker and not recorded yet, in memory and on disk
    backlog_bytes: int | None = None

    @classmethod
    def from_dict(cls, report: Mapping[str, Any]) -> "RecorderStatus":
        """`report` is the JSON object that the recorder process wrote; `{}` without one."""
        capture = convert_or_none(report.get("capture"), dict[str, Any]) or {}
        connected = convert_or_none(capture.get("connected"), bool)
        return cls(
            reported_at=convert_or_none(report.get("at"), float),
            started_at=convert_or_none(report.get("since"), float),
            running=convert_or_none(report.get("running"), bool),
            connected=connected,
            events=convert_or_none(report.get("events"), int),
            events_per_second=convert_or_none(report.get("events_per_second"), float),
            last_event_at=convert_or_none(report.get("last_event"), float),
            lag=convert_or_none(report.get("lag"), float),
            error=convert_or_none(report.get("trouble"), str),
            connection_error=None if connected else convert_or_none(capture.get("last_error"), str),
            backlog_bytes=convert_or_none(capture.get("backlog_bytes"), int),
        )

    def state(self, now: float) -> RecorderState:
        """The state at `now` (epoch seconds)."""
        if self.reported_at is None:
            return "unknown"
        if not self.running or now - self.reported_at > RECORDER_TIMEOUT:
            return "stopped"
        if self.error:
            return "blocked"
        return "recording" if self.connected else "disconnected"

    def is_alive(self, now: float) -> bool:
        """Whether the recorder process runs, recording or not."""
        return self.state(now) not in ("unknown", "stopped")

    def is_recording(self, now: float) -> bool:
        """Whether events are being recorded, so that the records describe the current state of the cluster."""
        return self.state(now) == "recording"
