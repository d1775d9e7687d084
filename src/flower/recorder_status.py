"""Status that the recorder writes into the store every second, and the rules that decide from it whether the recorder
is alive and whether events are being recorded.

All users of the status apply these rules: metrics, health, queue rates, `/api/v1/status` and, through it, the pages.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from flower.untrusted_values import convert_or_none

#: Seconds without a report after which the recorder counts as stopped.
RECORDER_TIMEOUT: Final = 15.0

#: Seconds by which the records are newer than the last report, at most: half the heartbeat window of a worker with
#: default settings.
_REPORT_AGE: Final = 1.5
#: Seconds of delay from which the records do not describe the current state.
MAX_DELAY: Final = 5.0

#: unknown       no recorder has written to the store
#: stopped       the recorder reported that it stopped, or did not report within RECORDER_TIMEOUT
#: blocked       it cannot write to the store, for instance because the disk is full; `error` is the reason
#: disconnected  it has no connection to the broker; `connection_error` is the reason
#: recording     events are being recorded
RecorderState: TypeAlias = Literal["unknown", "stopped", "blocked", "disconnected", "recording"]


class RecordView(NamedTuple):
    """Up to which time the records are current, in epoch seconds, and why they are not current now; "" if they are."""

    as_of: float
    interruption: str


class ReconcileStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What reconciliation costs and found since the recorder started. A value that is missing or has the wrong type is
    None."""

    #: epoch seconds of the last pass
    last_pass_at: float | None = None
    passes: int | None = None
    #: messages broadcast to workers, and their replies
    worker_requests: int | None = None
    worker_replies: int | None = None
    broker_requests: int | None = None
    backend_requests: int | None = None
    #: seconds spent on it
    seconds: float | None = None
    #: tasks: examined, corrected, marked, and found without a record
    checked: int | None = None
    corrected: int | None = None
    lost: int | None = None
    found: int | None = None
    #: why the last pass failed, or the result backend cannot be read
    error: str | None = None
    #: why the result backend cannot be read, and since when
    backend_error: str | None = None
    backend_failed_at: float | None = None

    @classmethod
    def from_dict(cls, report: Mapping[str, Any]) -> "ReconcileStatus":
        """`report` is what the recorder wrote."""
        hints: dict[str, Any] = dict.fromkeys(cls.__struct_fields__, int)
        hints |= dict.fromkeys(("last_pass_at", "seconds", "backend_failed_at"), float)
        hints |= dict.fromkeys(("error", "backend_error"), str)
        values: dict[str, Any] = {field: convert_or_none(report.get(field), hint) for field, hint in hints.items()}
        return cls(**values)


class UnreadableReport(msgspec.Struct, frozen=True, kw_only=True):
    """Status of the unreadable messages of a recorder. Times are epoch seconds. `encodings`: number of messages by
    content type or compression. `gap_start`: start of the gap that lasts, None if no message arrived recently."""

    count: int = 0
    last_at: float | None = None
    reasons: dict[str, int] = {}
    encodings: dict[str, int] = {}
    sample: str = ""
    gap_start: float | None = None
    gap_reason: str = ""


#: no_dispatcher      it replies to enable_events with an error
#: no_remote_control  it runs tasks, sends heartbeats without task events, and does not reply to enable_events
#: not_enabled        the same, and the option `enable_events` is off
NoEventsCause: TypeAlias = Literal["no_dispatcher", "no_remote_control", "not_enabled"]


class WorkerWithoutEvents(msgspec.Struct, frozen=True):
    """A worker that sends no task events, and whose events cannot be enabled. `since`: epoch seconds. `tasks`: number
    of tasks that its heartbeats counted since; None if it sends no heartbeats."""

    name: str
    since: float
    cause: NoEventsCause
    tasks: int | None = None


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
    #: time up to which the records contain every event that the broker delivered; it does not advance while the
    #: recorder cannot write or has no connection
    current_at: float | None = None
    #: the last time at which the broker was reachable; None if unknown
    confirmed_at: float | None = None
    #: since when `current_at` has advanced without interruption
    resumed_at: float | None = None
    #: `current_at` at the start of the last interruption
    interrupted_at: float | None = None
    #: None = tasks are not reconciled
    reconcile: ReconcileStatus | None = None
    #: since when the broker blocks publishers; None if it does not, or if that is unknown
    blocked_since: float | None = None
    #: labels of metrics with more values than are counted separately, within the last hour
    full_labels: tuple[str, ...] = ()
    #: number of workers whose records were removed because there were too many
    removed_workers: int | None = None
    #: messages that could not be read since the recorder started
    unreadable: UnreadableReport | None = None
    #: by name
    workers_without_events: tuple[WorkerWithoutEvents, ...] = ()

    @classmethod
    def from_dict(cls, report: Mapping[str, Any]) -> "RecorderStatus":
        """`report` is the JSON object that the recorder process wrote; `{}` without one."""
        capture = convert_or_none(report.get("capture"), dict[str, Any]) or {}
        connected = convert_or_none(capture.get("connected"), bool)
        reconcile = convert_or_none(report.get("reconcile"), dict[str, Any])
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
            confirmed_at=convert_or_none(capture.get("confirmed_at"), float),
            current_at=convert_or_none(report.get("current_at"), float),
            resumed_at=convert_or_none(report.get("resumed_at"), float),
            interrupted_at=convert_or_none(report.get("interrupted_at"), float),
            reconcile=None if reconcile is None else ReconcileStatus.from_dict(reconcile),
            blocked_since=convert_or_none(capture.get("blocked_since"), float),
            full_labels=convert_or_none(report.get("full_labels"), tuple[str, ...]) or (),
            removed_workers=convert_or_none(report.get("removed_workers"), int),
            unreadable=convert_or_none(capture.get("unreadable"), UnreadableReport),
            workers_without_events=convert_or_none(
                capture.get("workers_without_events"), tuple[WorkerWithoutEvents, ...]
            )
            or (),
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

    def view(self, now: float) -> RecordView:
        """Up to which time the records are current. A store without a recorder is current."""
        state = self.state(now)
        if state == "unknown":
            return RecordView(now, "")
        as_of = self.reported_at if self.current_at is None else self.current_at
        if as_of is None:
            return RecordView(now, "")
        if state != "recording":
            return RecordView(min(as_of, now), _INTERRUPTIONS[state])
        if self.current_at is None:  # of an earlier version of the recorder
            return RecordView(now, "")
        if now - as_of > MAX_DELAY:
            is_silent = self.confirmed_at is not None and now - self.confirmed_at > MAX_DELAY
            reason = "The broker does not respond." if is_silent else "The recorder is behind."
            return RecordView(as_of, reason)
        return RecordView(min(as_of + _REPORT_AGE, now), "")


_INTERRUPTIONS: Final[Mapping[RecorderState, str]] = {
    "stopped": "The recorder is not running.",
    "blocked": "The recorder cannot write to the store.",
    "disconnected": "The broker is unreachable.",
}


class FreshnessMeter:
    """Time up to which the records are current, and since when without interruption. The recorder reports it."""

    def __init__(self, current_at: float | None) -> None:
        """`current_at`: of the previous recorder, None if unknown."""
        self.current_at = current_at
        self.resumed_at: float | None = None
        self.interrupted_at = current_at

    def advance(self, moment: float) -> None:
        """Every event that was delivered until `moment` is read."""
        if self.current_at is not None and moment < self.current_at:
            return
        if self.resumed_at is None or (self.current_at is not None and moment - self.current_at > MAX_DELAY):
            self.resumed_at, self.interrupted_at = moment, self.current_at
        self.current_at = moment

    def oldest_event_time(self, received: float) -> float:
        """When an event that is received now can have been sent at the earliest: what the broker delivers first after
        an interruption was sent during it."""
        if (
            self.resumed_at is not None
            and self.interrupted_at is not None
            and received - self.resumed_at <= _BACKLOG_TIMEOUT
        ):
            return min(self.interrupted_at, received)
        return received if self.current_at is None else min(self.current_at, received)

    def report(self) -> dict[str, float | None]:
        return {"current_at": self.current_at, "resumed_at": self.resumed_at, "interrupted_at": self.interrupted_at}


#: Seconds after an interruption in which events from before can still be delivered.
_BACKLOG_TIMEOUT: Final = 30.0
