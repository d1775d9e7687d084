"""The part that is common to all sources: connect and reconnect, drain, queue, parse, batch, acknowledge.

Two threads exchange data through the queue: the drain thread of this module connects and reads bytes from the source;
the reader (the recorder's thread) parses and decodes them in `read`. An `EventSource` implements one kind of broker.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from flower.capture.connection import backoff_delays, describe_error
from flower.capture.decoder import Decoder
from flower.capture.protocols import CapturedBatch
from flower.capture.spill_queue import Chunk, SpillQueue
from flower.records import Event, Gap
from flower.redaction import mask_url

log = logging.getLogger(__name__)

_MAX_BATCH = 5_000
_STOP_TIMEOUT = 2.0
#: By how much the nice value of the drain thread is lower than that of other threads.
_PRIORITY_BOOST = 10
#: Seconds for which the reader may keep the interpreter from the drain thread. With Python's default of 5 ms the
#: backlog of a burst of batched events reaches 32 MiB within a second, and Redis disconnects.
_SWITCH_INTERVAL = 0.0005


class ConnectionLost(Exception):
    """The connection cannot be used anymore: the broker's error, or what was invalid."""


class MessageParser(Protocol):
    """Parses the bytes of one connection, in order, into events. For use by one thread at a time."""

    @property
    def completed_tag(self) -> int | None:
        """The delivery tag of the last complete message; None if the source does not acknowledge."""
        ...

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        """Append the events to `out`. Raises ConnectionLost."""
        ...

    def ack(self, tag: int) -> bytes:
        """The bytes that acknowledge everything up to `tag`."""
        ...


class SourceConnection(Protocol):
    """One connection, from subscribed to closed."""

    @property
    def parser(self) -> MessageParser: ...
    @property
    def gap(self) -> Gap | None:
        """The interval before this connection in which events may be missing, or None."""
        ...

    @property
    def incomplete_since(self) -> float | None:
        """If the connection was abandoned: when the last bytes arrived that could be parsed."""
        ...

    def run(self, put: Callable[[bytes, float], bool]) -> str:
        """Pass received data to `put(data, timeout)` until the connection ends. Returns the reason."""
        ...

    def send(self, data: bytes) -> None: ...
    def close(self, reason: str, incomplete_since: float | None = None) -> None: ...


class EventSource(Protocol):
    """One kind of broker: opens subscribed connections."""

    #: The kind of source, for display.
    description: str
    #: The broker's URL; shown masked.
    url: object
    #: Whether the broker keeps messages until they are acknowledged; otherwise they are spilled to disk when necessary.
    broker_retains_messages: bool

    def connect(self, missing_since: float | None) -> SourceConnection:
        """A subscribed connection; raises whatever the client library raises. `missing_since` is when the previous
        connection last received data, None for the first."""
        ...

    def clean_up(self) -> None:
        """Remove what was declared on the broker, if configured."""
        ...


class _AckMark(NamedTuple):
    token: int
    connection: int
    tag: int


def _raise_thread_priority() -> None:
    """Run this thread before others where permitted: when events arrive faster than they can be folded, draining the
    socket must not wait. On Linux threads have their own priorities."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # requires root
            # Relative to the process: an absolute value could be worse than that of a process with raised priority.
            process_niceness = os.getpriority(os.PRIO_PROCESS, 0) - _PRIORITY_BOOST
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(process_niceness, -20))


class EventReceiver:
    """Implements `flower.capture.protocols.Capture` for any `EventSource`."""

    def __init__(
        self, source: EventSource, decoder: Decoder, queue: SpillQueue, on_connect: Callable[[], None] = lambda: None
    ) -> None:
        self._source, self._decoder, self._queue, self._on_connect = source, decoder, queue, on_connect
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._connections: dict[int, SourceConnection] = {}
        self._current: tuple[int, SourceConnection] | None = None
        self._last_received: float | None = None
        self._state_since: float | None = None
        self._previous_switch_interval = 0.0
        self._last_error: str | None = None
        # used by the reader's thread
        self._parsing: tuple[int, SourceConnection] | None = None
        self._is_discarding = False
        self._pushed_back: Chunk | None = None
        self._last_parsed: float | None = None
        self._token = 0
        #: bytes parsed since the last batch
        self._parsed_bytes = 0
        self._ack_marks: deque[_AckMark] = deque()
        self._last_mark: tuple[int, int | None] = (0, None)
        self._event_count = 0
        self._last_event: float | None = None

    def start(self) -> None:
        self._previous_switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._previous_switch_interval, _SWITCH_INTERVAL))
        self._thread.start()

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
                if events:  # a gap precedes its batch
                    self._pushed_back = chunk
                    break
                gap = self._start_parser(chunk.connection) or gap
            elif not self._is_discarding:
                received = chunk.received
                self._parse_chunk(chunk, events)
        return self._make_batch(events, received, gap)

    def ack(self, token: int) -> None:
        newest: _AckMark | None = None
        while self._ack_marks and self._ack_marks[0].token <= token:
            newest = self._ack_marks.popleft()
        current = self._current
        # Tags are valid only on their connection; after a reconnect the broker redelivers those messages.
        if newest and current and current[0] == newest.connection:
            current[1].send(current[1].parser.ack(newest.tag))

    def stop(self) -> None:
        self._stopping.set()
        if current := self._current:
            current[1].close("stopped")
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)
            sys.setswitchinterval(self._previous_switch_interval)
        try:
            self._source.clean_up()
        except Exception as error:  # noqa: BLE001  each transport has its own errors, and capture stops anyway
            log.info("capture: clean-up failed: %s", describe_error(error, self._source.url))

    def status(self) -> dict[str, object]:
        return {
            "path": self._source.description,
            "broker": mask_url(self._source.url),
            "connected": self._current is not None,
            "since": self._state_since,
            "events": self._event_count,
            "malformed": dict(self._decoder.malformed),
            "skipped": self._decoder.skipped,
            "backlog_bytes": self._queue.backlog_bytes,
            "spilled_bytes": self._queue.spilled_bytes,
            "last_event": self._last_event,
            "last_error": self._last_error,
        }

    # ---- the drain thread

    def _run(self) -> None:
        _raise_thread_priority()
        number, retry_delays = 0, backoff_delays()
        while not self._stopping.is_set():
            try:
                connection = self._source.connect(self._last_received)
            except Exception as error:  # each transport has its own errors; none may end capture
                self._on_disconnected(describe_error(error, self._source.url))
                log.debug("capture: cannot connect", exc_info=True)
                self._stopping.wait(next(retry_delays))
                continue
            number, retry_delays = number + 1, backoff_delays()
            self._connections[number] = connection
            self._current = (number, connection)
            self._last_received = time.time()
            self._on_connected(number)
            reason = self._drain(number, connection)
            self._current, self._state_since = None, time.time()
            self._last_received = connection.incomplete_since or self._last_received
            if not self._stopping.is_set():
                self._on_disconnected(f"{reason} ({mask_url(self._source.url)})")
                self._stopping.wait(0.1)

    def _drain(self, number: int, connection: SourceConnection) -> str:
        def put(data: bytes, timeout: float) -> bool:
            now = time.time()
            accepted = self._queue.put(Chunk(now, number, data), timeout)
            if accepted:
                self._last_received = now
            return accepted

        if self._stopping.is_set():
            connection.close("stopped")
        while not self._queue.put(Chunk(time.time(), number, b""), 1.0) and not self._stopping.is_set():
            pass
        return connection.run(put)

    def _on_disconnected(self, reason: str) -> None:
        if self._last_error is None:
            log.warning("capture: broker unreachable: %s. Reconnecting automatically", reason)
        self._last_error = reason

    def _on_connected(self, number: int) -> None:
        self._state_since = time.time()
        if self._last_error is not None:
            log.info("capture: reconnected to %s", mask_url(self._source.url))
            self._last_error = None
        elif number == 1:
            log.info("capture: connected to %s", mask_url(self._source.url))
        self._on_connect()

    # ---- the reader's thread

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
        source_connection = self._connections.pop(connection)
        self._parsing, self._is_discarding = (connection, source_connection), False
        return source_connection.gap

    def _parse_chunk(self, chunk: Chunk, events: list[Event]) -> None:
        assert self._parsing is not None  # a connection is announced before its bytes
        try:
            self._parsing[1].parser.feed(chunk.data, chunk.received, events)
            self._last_parsed = chunk.received
            self._parsed_bytes += len(chunk.data)
        except ConnectionLost as lost:
            self._abandon_connection(str(lost))

    def _abandon_connection(self, reason: str) -> None:
        """Nothing more of this connection can be parsed: close it so that a new one is opened."""
        self._is_discarding = True
        if self._parsing is not None:
            self._parsing[1].close(reason, self._last_parsed)

    def _make_batch(self, events: list[Event], received: float, gap: Gap | None) -> CapturedBatch | None:
        tag = self._parsing[1].parser.completed_tag if self._parsing else None
        mark = (self._parsing[0] if self._parsing else 0, tag)
        # Messages without usable events must be acknowledged too: hence a batch without events.
        if not events and gap is None and (tag is None or mark == self._last_mark):
            return None
        self._token += 1
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
