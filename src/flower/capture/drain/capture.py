"""The recorder's side of the drain: implements Capture on the frames of a drain process.

No thread: the drain process is the queue. What was read is acknowledged when it is on disk; the number of the last
chunk is stored in the same write, so that a new recorder continues exactly after it.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from flower.capture.arrival_times import ArrivalTracker
from flower.capture.connection import backoff_delays
from flower.capture.decoder import Decoder
from flower.capture.drain.launcher import DrainLink, DrainUnavailable, log_error, reap_children, start_drain
from flower.capture.drain.messages import (
    Ack,
    Connected,
    Data,
    Detach,
    End,
    Finish,
    LogLine,
    Read,
    Reconnect,
    Status,
    ToDrain,
)
from flower.capture.drain.settings import DrainSettings
from flower.capture.enable_events import EventEnabler
from flower.capture.interruption import CompletenessMarks, Interruption, Progress
from flower.capture.protocols import CapturedBatch
from flower.capture.redis import RedisParser, RedisSource
from flower.capture.source import ConnectionLost
from flower.records import Event, Gap
from flower.redaction import mask_url

log = logging.getLogger(__name__)

_MAX_BATCH: Final = 5_000


class _Position(NamedTuple):
    """The last chunk of a drain that was read or written."""

    drain_id: str
    sequence: int


_UNKNOWN_STATUS: Final = Status(False, None, None, 0, 0)


class DrainedCapture:
    """Reads from one drain. `successor` is a drain with other settings, or of another version, that takes over as soon
    as it is connected to the broker."""

    def __init__(
        self,
        settings: DrainSettings,
        decoder: Decoder,
        link: DrainLink,
        progress: Progress,
        *,
        successor: DrainLink | None = None,
        enabler: EventEnabler | None = None,
        is_planned_stop: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings, self._decoder, self._enabler = settings, decoder, enabler
        self._is_planned_stop = is_planned_stop
        self._link: DrainLink | None = link
        self._successor = successor
        #: the previous drain, until everything that it sent is acknowledged
        self._retiring: DrainLink | None = None
        self._status, self._successor_status = _UNKNOWN_STATUS, _UNKNOWN_STATUS
        self._is_finishing = False
        # after the drain process ended unexpectedly
        self._failure: str | None = None
        self._interruption: Interruption | None = None
        self._retry_at, self._retry_delays = 0.0, backoff_delays()
        # parsing
        self._parser: RedisParser | None = None
        self._parsing = 0
        self._is_discarding = False
        self._pushed_back: tuple[object, bytes] | None = None
        self._next_gap: Gap | None = None
        self._arrivals = ArrivalTracker()
        self._parsed_bytes = 0
        self._event_count = 0
        self._last_event: float | None = None
        # progress
        self._token = self._acknowledged = 0
        drain_id = link.welcome.drain_id
        start = progress.sequence if progress.drain == drain_id else 0
        self._read_position = self._batched_position = self._written_position = _Position(drain_id, start)
        self._marks: deque[tuple[int, _Position]] = deque()
        self._complete = CompletenessMarks(progress.complete_until)
        #: until when everything has been read, and the same as of the last status
        self._read_until = progress.complete_until
        self._caught_up_at: float | None = None

    def start(self) -> None:
        self._send(self._link, Read(self._read_position.sequence))
        if self._enabler is not None:
            self._enabler.start()

    def read(self, timeout: float) -> CapturedBatch | None:
        if self._failure is not None:
            self._on_drain_lost(self._failure)
        deadline = time.monotonic() + timeout
        events: list[Event] = []
        gap, self._next_gap = self._next_gap, None
        received = time.time()
        while len(events) < _MAX_BATCH:
            is_empty = not events and gap is None
            frame = self._next_frame(max(0.0, deadline - time.monotonic()) if is_empty else 0.0)
            # A gap precedes its batch, and a batch has the position of one drain.
            if frame is not None and isinstance(frame[0], (Connected, End)) and not self._is_batch_empty(events, gap):
                self._pushed_back = frame
                break
            if frame is None:
                break
            message, data = frame
            if isinstance(message, Data):
                received = message.received
                self._parse(message, data, events)
            elif isinstance(message, Connected):
                gap = self._start_parser(message) or gap
            else:
                self._handle(message)
                if isinstance(message, End) or time.monotonic() >= deadline:
                    break
        return self._make_batch(events, received, gap)

    def ack(self, token: int) -> None:
        self._acknowledged = token
        newest: dict[str, int] = {}
        while self._marks and self._marks[0][0] <= token:
            _, self._written_position = self._marks.popleft()
            newest[self._written_position.drain_id] = self._written_position.sequence
        for link in (self._link, self._retiring):
            if link is not None and link.welcome.drain_id in newest:
                self._send(link, Ack(newest[link.welcome.drain_id]))
        self._retire()

    def progress(self, token: int) -> bytes:
        position = self._written_position
        for mark_token, mark_position in self._marks:
            if mark_token > token:
                break
            position = mark_position
        return msgspec.json.encode(Progress(self._complete.find(token), position.drain_id, position.sequence))

    def stop(self) -> None:
        if self._enabler is not None:
            self._enabler.stop()
        linger, is_planned = self._settings.capture.drain_linger, self._is_planned_stop()
        if is_planned and linger and self._link is not None:
            log.info(
                "Events are received for another %.0f s, so that a restart loses none (event_drain_linger)", linger
            )
        for link in (self._link, self._successor, self._retiring):
            if link is not None:
                if is_planned:
                    self._send(link, Detach(linger))
                link.close()
        self._link = self._successor = self._retiring = None
        self._status = _UNKNOWN_STATUS

    def status(self) -> dict[str, object]:
        status = self._status
        return {
            "path": RedisSource.description,
            "broker": mask_url(self._settings.capture.conf.get("broker_read_url")),
            "connected": status.connected,
            "since": status.state_since,
            "events": self._event_count,
            "malformed": dict(self._decoder.malformed),
            "shortened": dict(self._decoder.shortened),
            "skipped": self._decoder.skipped,
            "backlog_bytes": status.backlog_bytes,
            "spilled_bytes": status.spilled_bytes,
            "last_event": self._last_event,
            "last_error": status.last_error or self._successor_status.last_error,
            "complete_until": self._complete.find(self._acknowledged),
            "confirmed_at": status.confirmed_at,
            "drain_pid": self._link.welcome.pid if self._link is not None else None,
        }

    # ---- frames

    def _next_frame(self, timeout: float) -> tuple[object, bytes] | None:
        frame, self._pushed_back = self._pushed_back, None
        if frame is not None:
            return frame
        if self._successor is not None:
            self._watch_successor(self._successor)
        if self._link is None:
            self._restart_drain(timeout)
            return None
        try:
            return self._link.receive(timeout)
        except DrainUnavailable as error:
            self._failure = str(error)  # handled after the batch
            return None

    @staticmethod
    def _send(link: DrainLink | None, message: ToDrain) -> None:
        if link is not None:
            try:
                link.send(message)
            except DrainUnavailable as error:
                log.debug("capture: %s", error)  # reading reports it

    def _handle(self, message: object) -> None:
        match message:
            case Status():
                if message.connected and not self._status.connected and self._enabler is not None:
                    self._enabler.on_connect()
                self._status = message
                if message.connected and message.state_since is not None and self._read_until is None:
                    # The first connection: a gap cannot begin earlier. Stored at once, in case everything is killed.
                    self._read_until = message.state_since
                    self._complete.advance(message.state_since)
                if message.caught_up_at is not None:
                    self._caught_up_at = message.caught_up_at
                    self._advance_read_until(message.caught_up_at)
                reap_children()
            case LogLine(level, text):
                log.log(level, "%s", text)
            case End(complete_until):
                self._switch_to_successor(complete_until)

    def _start_parser(self, message: Connected) -> Gap | None:
        self._read_position = self._read_position._replace(sequence=message.sequence)
        self._parser, self._parsing = RedisParser(self._decoder), message.connection
        self._is_discarding = False
        return self._arrivals.start_connection(message.gap)

    def _parse(self, message: Data, data: bytes, events: list[Event]) -> None:
        self._read_position = self._read_position._replace(sequence=message.sequence)
        if self._parser is None or message.connection != self._parsing:
            # A previous recorder has read the beginning of this connection. The data begins with a whole message.
            self._parser, self._parsing, self._is_discarding = RedisParser(self._decoder), message.connection, False
        if self._is_discarding:
            return
        count = len(events)
        try:
            self._parser.feed(data, message.received, events)
        except ConnectionLost as lost:
            self._is_discarding = True
            self._send(self._link, Reconnect(message.connection, str(lost), self._arrivals.last_received))
            return
        self._parsed_bytes += len(data)
        self._advance_read_until(message.received)
        self._arrivals.observe(message.received, message.since, events[-1] if len(events) > count else None)

    def _is_batch_empty(self, events: list[Event], gap: Gap | None) -> bool:
        return not events and gap is None and self._read_position == self._batched_position

    def _make_batch(self, events: list[Event], received: float, gap: Gap | None) -> CapturedBatch | None:
        batch: CapturedBatch | None = None
        # What contains no usable events must be acknowledged too: hence a batch without events.
        if not self._is_batch_empty(events, gap):
            self._token += 1
            if events:
                self._event_count += len(events)
                self._last_event = received
            self._batched_position = self._read_position
            self._marks.append((self._token, self._read_position))
            if self._arrivals.last_received is not None:
                self._complete.add(self._token, self._arrivals.last_received)
            size, self._parsed_bytes = self._parsed_bytes, 0
            batch = CapturedBatch(events, self._token, received, gap, size)
        if self._caught_up_at is not None:
            self._complete.add(self._token, self._caught_up_at)
            self._caught_up_at = None
        return batch

    def _advance_read_until(self, time: float) -> None:
        self._read_until = max(time, self._read_until or 0.0)

    # ---- drains that end or are replaced

    def _watch_successor(self, successor: DrainLink) -> None:
        try:
            while (frame := successor.receive(0)) is not None:
                if isinstance(frame[0], Status):
                    self._successor_status = frame[0]
                elif isinstance(frame[0], LogLine):
                    log.log(frame[0].level, "%s", frame[0].text)
        except DrainUnavailable as error:
            log.error("capture: the new drain process ended (%s); the previous one continues", error)
            successor.close()
            self._successor, self._successor_status = None, _UNKNOWN_STATUS
            return
        if self._successor_status.connected and not self._is_finishing:
            self._is_finishing = True
            log.info("capture: the new drain process takes over")
            self._send(self._link, Finish())

    def _switch_to_successor(self, complete_until: float | None) -> None:
        """Everything that the previous drain received until `complete_until` has been read."""
        successor, since = self._successor, self._successor_status.state_since
        if self._retiring is not None:
            self._retiring.close()
        self._retiring, self._link = self._link, None
        if successor is None:  # it ended meanwhile
            self._interrupt("the drain process ended unexpectedly")
            return
        if complete_until is not None and since is not None and complete_until < since:
            self._next_gap = Gap(complete_until, since, "broker unreachable", cause="broker_unreachable")
        self._status, self._successor = self._successor_status, None
        self._successor_status, self._is_finishing = _UNKNOWN_STATUS, False
        self._use(successor)
        self._retire()

    def _on_drain_lost(self, reason: str) -> None:
        self._failure = None
        log.error("capture: %s; a new one takes over", reason)
        log_error(self._settings.folder)
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._successor is not None and self._successor_status.connected:
            self._switch_to_successor(self._read_until)
            return
        self._interrupt(reason)

    def _interrupt(self, reason: str) -> None:
        self._status = _stopped_status(self._status, reason)
        since = self._read_until
        self._interruption = None if since is None else Interruption(since, "recorder_crashed", reason)
        self._retry_at, self._retry_delays = 0.0, backoff_delays()
        if self._successor is not None:
            self._successor.close()
            self._successor, self._successor_status = None, _UNKNOWN_STATUS

    def _restart_drain(self, timeout: float) -> None:
        remaining = self._retry_at - time.monotonic()
        if remaining > 0:
            time.sleep(min(timeout, remaining))
            return
        try:
            link = start_drain(replace(self._settings, interruption=self._interruption))
        except DrainUnavailable as error:
            self._status = _stopped_status(self._status, f"the drain process cannot be started: {error}")
            self._retry_at = time.monotonic() + next(self._retry_delays)
        else:
            self._use(link)

    def _use(self, link: DrainLink) -> None:
        self._link, self._parser = link, None
        self._read_position = self._batched_position = _Position(link.welcome.drain_id, 0)
        self._send(link, Read(0))

    def _retire(self) -> None:
        """Release the previous drain once everything that it sent is acknowledged: it exits."""
        retiring = self._retiring
        if retiring is not None and all(mark.drain_id != retiring.welcome.drain_id for _, mark in self._marks):
            retiring.close()
            self._retiring = None


def _stopped_status(status: Status, error: str) -> Status:
    """The status of a drain that is not running."""
    return msgspec.structs.replace(status, connected=False, state_since=time.time(), last_error=error)
