"""The part that is common to all sources: drain, queue, parse, batch, acknowledge.

Two threads exchange data through the queue: the drain thread (`broker_drain`) connects and reads bytes from the source;
the reader (the recorder's thread) parses and decodes them in `read`.
"""

import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from flower.capture.arrival_times import ArrivalTracker
from flower.capture.broker_drain import BrokerDrain
from flower.capture.connection import describe_error
from flower.capture.decoder import Decoder
from flower.capture.interruption import CompletenessMarks, Interruption, Progress
from flower.capture.protocols import CapturedBatch
from flower.capture.source import ConnectionLost, EventSource, SourceConnection
from flower.capture.spill_queue import Chunk, SpillQueue
from flower.records import Event, Gap
from flower.redaction import mask_url

log = logging.getLogger(__name__)

_MAX_BATCH = 5_000
#: Seconds for which the reader may keep the interpreter from the drain thread. With Python's default of 5 ms the
#: backlog of a burst of batched events reaches 32 MiB within a second, and Redis disconnects.
_SWITCH_INTERVAL = 0.0005


class _AckMark(NamedTuple):
    token: int
    connection: int
    tag: int


class EventReceiver:
    """Implements `flower.capture.protocols.Capture` for any `EventSource`."""

    def __init__(
        self,
        source: EventSource,
        decoder: Decoder,
        queue: SpillQueue,
        on_connect: Callable[[], None] = lambda: None,
        interruption: Interruption | None = None,
    ) -> None:
        """`interruption`: the time since an earlier recorder of the same store received events."""
        self._source, self._decoder, self._queue = source, decoder, queue
        self._drain = BrokerDrain(source, queue, on_connect, interruption)
        self._previous_switch_interval = 0.0
        # used by the reader's thread
        self._parsing: tuple[int, SourceConnection] | None = None
        self._is_discarding = False
        self._pushed_back: Chunk | None = None
        self._arrivals = ArrivalTracker()
        self._complete = CompletenessMarks(interruption.since if interruption else None)
        self._token = self._acknowledged = 0
        #: bytes parsed since the last batch
        self._parsed_bytes = 0
        self._ack_marks: deque[_AckMark] = deque()
        self._last_mark: tuple[int, int | None] = (0, None)
        self._event_count = 0
        self._last_event: float | None = None

    def start(self) -> None:
        self._previous_switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._previous_switch_interval, _SWITCH_INTERVAL))
        self._drain.start()

    def read(self, timeout: float) -> CapturedBatch | None:
        deadline = time.monotonic() + timeout
        events: list[Event] = []
        gap: Gap | None = None
        received = time.time()
        while len(events) < _MAX_BATCH:
            fresh = not events and gap is None
            chunk = self._next_chunk(max(0.0, deadline - time.monotonic()) if fresh else 0.0)
            if chunk is None:
                break
            if not chunk.data:
                if events or gap is not None:  # a gap precedes its batch
                    self._pushed_back = chunk
                    break
                gap = self._start_parser(chunk.connection)
            elif not self._is_discarding:
                received = chunk.received
                self._parse_chunk(chunk, events)
        return self._make_batch(events, received, gap)

    def ack(self, token: int) -> None:
        self._acknowledged = token
        newest: _AckMark | None = None
        while self._ack_marks and self._ack_marks[0].token <= token:
            newest = self._ack_marks.popleft()
        current = self._drain.current
        # Tags are valid only on their connection; after a reconnect the broker redelivers those messages.
        if newest and current and current[0] == newest.connection:
            current[1].send(current[1].parser.ack(newest.tag))

    def progress(self, token: int) -> bytes:
        return msgspec.json.encode(Progress(self._find_complete_until(token)))

    def stop(self) -> None:
        was_running = self._drain.is_running
        self._drain.stop()
        self._queue.close()
        if was_running:
            sys.setswitchinterval(self._previous_switch_interval)
        try:
            self._source.clean_up()
        except Exception as error:  # noqa: BLE001  each transport has its own errors, and capture stops anyway
            log.info("capture: clean-up failed: %s", describe_error(error, self._source.url))

    def status(self) -> dict[str, object]:
        return {
            "path": self._source.description,
            "broker": mask_url(self._source.url),
            "connected": self._drain.is_connected,
            "since": self._drain.state_since,
            "events": self._event_count,
            "malformed": dict(self._decoder.malformed),
            "shortened": dict(self._decoder.shortened),
            "skipped": self._decoder.skipped,
            "backlog_bytes": self._queue.backlog_bytes,
            "spilled_bytes": self._queue.spilled_bytes,
            "last_event": self._last_event,
            "last_error": self._drain.error,
            "complete_until": self._find_complete_until(self._acknowledged),
            "confirmed_at": self._drain.confirmed_at,
        }

    def _next_chunk(self, timeout: float) -> Chunk | None:
        chunk, self._pushed_back = self._pushed_back, None
        if chunk is not None:
            return chunk
        try:
            return self._queue.get(timeout)
        except OSError as error:
            log.error("capture: cannot read back events spilled to disk: %s", error)
            self._abandon_connection("spilled events could not be read back")
            return None

    def _start_parser(self, connection: int) -> Gap | None:
        source_connection = self._drain.connections.pop(connection)
        self._parsing, self._is_discarding = (connection, source_connection), False
        return self._arrivals.start_connection(source_connection.gap)

    def _parse_chunk(self, chunk: Chunk, events: list[Event]) -> None:
        assert self._parsing is not None  # a connection is announced before its bytes
        count = len(events)
        try:
            self._parsing[1].parser.feed(chunk.data, chunk.received, events)
        except ConnectionLost as lost:
            self._abandon_connection(str(lost))
            return
        self._parsed_bytes += len(chunk.data)
        self._arrivals.observe(chunk.received, chunk.since, events[-1] if len(events) > count else None)

    def _abandon_connection(self, reason: str) -> None:
        """Nothing more of this connection can be parsed: close it so that a new one is opened."""
        self._is_discarding = True
        if self._parsing is not None:
            self._parsing[1].close(reason, self._arrivals.last_received)

    def _find_complete_until(self, token: int) -> float | None:
        """Until when all events are contained in the batches up to `token`."""
        caught_up_at = self._drain.caught_up_at
        complete_until = self._complete.find(token)
        # The order matters: what arrived after `caught_up_at` was read may be in the queue.
        is_empty = not self._complete.is_pending and self._pushed_back is None and self._queue.is_empty
        if caught_up_at is not None and is_empty:
            self._complete.advance(caught_up_at)
            return self._complete.find(token)
        return complete_until

    def _make_batch(self, events: list[Event], received: float, gap: Gap | None) -> CapturedBatch | None:
        tag = self._parsing[1].parser.completed_tag if self._parsing else None
        mark = (self._parsing[0] if self._parsing else 0, tag)
        # Messages without usable events must be acknowledged too: hence a batch without events.
        if not events and gap is None and (tag is None or mark == self._last_mark):
            return None
        self._token += 1
        if self._arrivals.last_received is not None:
            self._complete.add(self._token, self._arrivals.last_received)
        if events:
            self._event_count += len(events)
            self._last_event = received
        connection, previous_tag = self._last_mark
        messages = 0
        if tag is not None:
            messages = tag - (previous_tag or 0) if connection == mark[0] else tag
        if tag is not None and self._parsing is not None:
            self._ack_marks.append(_AckMark(self._token, self._parsing[0], tag))
        self._last_mark = mark
        size, self._parsed_bytes = self._parsed_bytes, 0
        return CapturedBatch(events, self._token, received, gap, size, messages)
