"""What all ways from a broker have in common: connect for ever, drain, queue, parse, batch, acknowledge.

Two threads meet at the queue: the drain thread (ours) connects and takes bytes off the wire; the reader
(the recorder's) parses and decodes them in `read`. A `Source` knows one kind of broker.
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

from flower.capture.decode import Decoder
from flower.capture.port import Captured
from flower.capture.reconnect import delays, explain
from flower.capture.spill import Chunk, SpillQueue
from flower.records import Event, Gap
from flower.redaction import masked

log = logging.getLogger(__name__)

_BATCH = 5_000
_STOP_TIMEOUT = 2.0
#: How much nicer others are than the thread that reads.
_BEFORE_OTHERS = 10
#: How long the reader may keep the interpreter from the drain thread. With Python's 5 ms a burst of batched
#: events gets 32 MiB ahead of us within a second, and Redis hangs up.
_SWITCH = 0.0005


class Lost(Exception):
    """The connection cannot go on: what the broker said, or what was wrong with it."""


class Parser(Protocol):
    """Bytes of one connection, in order, to events. Used by one thread at a time."""

    @property
    def tag(self) -> int | None:
        """The last message whose bytes are complete; None where nothing is acknowledged."""
        ...

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        """Append the events to `out`; raises `Lost`."""
        ...

    def ack(self, tag: int) -> bytes:
        """The bytes that acknowledge everything up to `tag`."""
        ...


class Link(Protocol):
    """One connection, from subscribed to ended."""

    @property
    def parser(self) -> Parser: ...
    @property
    def gap(self) -> Gap | None:
        """Whether events may have been missed before this link."""
        ...

    @property
    def incomplete_since(self) -> float | None:
        """If the link was given up: when the last bytes came that were understood."""
        ...

    def pump(self, put: Callable[[bytes, float], bool]) -> str: ...
    def send(self, data: bytes) -> None: ...
    def end(self, reason: str, incomplete_since: float | None = None) -> None: ...


class Source(Protocol):
    #: The way that was chosen, for people.
    path: str
    #: Where the broker is; shown masked.
    url: object

    def connect(self, missing_since: float | None) -> Link:
        """A subscribed link; raises whatever the library raises. `missing_since`: when the link before
        this one was heard last, None at first."""
        ...

    def forget(self) -> None:
        """Remove from the broker what we declared there, if that was asked for."""
        ...


class _Mark(NamedTuple):
    token: int
    connection: int
    tag: int


def _come_first() -> None:
    """Where we may, this thread is run before others that want the processor: a broker that gives events faster than
    they can be folded is the very moment in which it must not wait. On Linux threads have priorities of their own."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # only root may
            # from where the process is: as a number of its own it would come last in a process that was put first
            ours = os.getpriority(os.PRIO_PROCESS, 0) - _BEFORE_OTHERS
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(ours, -20))


class Stream:
    """Implements `flower.capture.port.Capture` for any `Source`."""

    def __init__(
        self, source: Source, decoder: Decoder, queue: SpillQueue, on_connect: Callable[[], None] = lambda: None
    ) -> None:
        self._source, self._decoder, self._queue, self._on_connect = source, decoder, queue, on_connect
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._links: dict[int, Link] = {}
        self._current: tuple[int, Link] | None = None
        self._heard: float | None = None
        self._since: float | None = None
        self._switching = 0.0
        self._error: str | None = None
        # the reader's side
        self._reading: tuple[int, Link] | None = None
        self._deaf = False
        self._aside: Chunk | None = None
        self._understood: float | None = None
        self._token = 0
        #: bytes parsed since the last batch
        self._fed = 0
        self._marks: deque[_Mark] = deque()
        self._marked: tuple[int, int | None] = (0, None)
        self._events = 0
        self._last_event: float | None = None

    def start(self) -> None:
        self._switching = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switching, _SWITCH))
        self._thread.start()

    def read(self, timeout: float) -> Captured | None:
        deadline = time.monotonic() + timeout
        events: list[Event] = []
        gap: Gap | None = None
        received = time.time()
        while len(events) < _BATCH:
            fresh = not events and gap is None
            chunk = self._next(max(0.0, deadline - time.monotonic()) if fresh else 0.0)
            if chunk is None:
                break
            if not chunk.data:
                if events:  # a gap belongs before its batch
                    self._aside = chunk
                    break
                gap = self._begin(chunk.connection) or gap
            elif not self._deaf:
                received = chunk.received
                self._parse(chunk, events)
        return self._batch(events, received, gap)

    def done(self, token: int) -> None:
        newest: _Mark | None = None
        while self._marks and self._marks[0].token <= token:
            newest = self._marks.popleft()
        current = self._current
        # Tags of a connection that is gone mean nothing to the next; the broker sends those messages again.
        if newest and current and current[0] == newest.connection:
            current[1].send(current[1].parser.ack(newest.tag))

    def stop(self) -> None:
        self._stopping.set()
        if current := self._current:
            current[1].end("stopped")
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)
            sys.setswitchinterval(self._switching)
        try:
            self._source.forget()
        except Exception as error:  # noqa: BLE001  every transport has errors of its own, and we are leaving
            log.info("capture: could not clean up: %s", explain(error, self._source.url))

    def status(self) -> dict[str, object]:
        return {
            "path": self._source.path,
            "broker": masked(self._source.url),
            "connected": self._current is not None,
            "since": self._since,
            "events": self._events,
            "malformed": dict(self._decoder.malformed),
            "skipped": self._decoder.skipped,
            "backlog_bytes": self._queue.backlog,
            "spilled_bytes": self._queue.spilled,
            "last_event": self._last_event,
            "last_error": self._error,
        }

    # ---- the drain thread

    def _run(self) -> None:
        _come_first()
        number, waits = 0, delays()
        while not self._stopping.is_set():
            try:
                link = self._source.connect(self._heard)
            except Exception as error:  # each transport has errors of its own; none may end capture
                self._away(explain(error, self._source.url))
                log.debug("capture: cannot connect", exc_info=True)
                self._stopping.wait(next(waits))
                continue
            number, waits = number + 1, delays()
            self._links[number] = link
            self._current = (number, link)
            self._heard = time.time()
            self._back(number)
            reason = self._drain(number, link)
            self._current, self._since = None, time.time()
            self._heard = link.incomplete_since or self._heard
            if not self._stopping.is_set():
                self._away(f"{reason} ({masked(self._source.url)})")
                self._stopping.wait(0.1)

    def _drain(self, number: int, link: Link) -> str:
        def put(data: bytes, timeout: float) -> bool:
            now = time.time()
            taken = self._queue.put(Chunk(now, number, data), timeout)
            if taken:
                self._heard = now
            return taken

        if self._stopping.is_set():
            link.end("stopped")
        while not self._queue.put(Chunk(time.time(), number, b""), 1.0) and not self._stopping.is_set():
            pass
        return link.pump(put)

    def _away(self, words: str) -> None:
        if self._error is None:
            log.warning("capture: broker lost or not reached: %s. Trying again until it is back.", words)
        self._error = words

    def _back(self, number: int) -> None:
        self._since = time.time()
        if self._error is not None:
            log.info("capture: connected again to %s", masked(self._source.url))
            self._error = None
        elif number == 1:
            log.info("capture: connected to %s", masked(self._source.url))
        self._on_connect()

    # ---- the reader's thread

    def _next(self, timeout: float) -> Chunk | None:
        chunk, self._aside = self._aside, None
        if chunk is not None:
            return chunk
        try:
            return self._queue.get(timeout)
        except OSError as error:
            log.error("capture: what was spilled to disk cannot be read back: %s", error)
            self._give_up("spilled events could not be read back")
            return None

    def _begin(self, connection: int) -> Gap | None:
        link = self._links.pop(connection)
        self._reading, self._deaf = (connection, link), False
        return link.gap

    def _parse(self, chunk: Chunk, events: list[Event]) -> None:
        assert self._reading is not None  # a connection is announced before its bytes
        try:
            self._reading[1].parser.feed(chunk.data, chunk.received, events)
            self._understood = chunk.received
            self._fed += len(chunk.data)
        except Lost as lost:
            self._give_up(str(lost))

    def _give_up(self, reason: str) -> None:
        """Nothing more of this connection can be understood: leave it for a new one."""
        self._deaf = True
        if self._reading is not None:
            self._reading[1].end(reason, self._understood)

    def _batch(self, events: list[Event], received: float, gap: Gap | None) -> Captured | None:
        tag = self._reading[1].parser.tag if self._reading else None
        mark = (self._reading[0] if self._reading else 0, tag)
        # Messages that held no event must be acknowledged too: hence a batch without events.
        if not events and gap is None and (tag is None or mark == self._marked):
            return None
        self._token += 1
        if events:
            self._events += len(events)
            self._last_event = received
        connection, before = self._marked
        messages = 0
        if tag is not None:
            messages = tag - (before or 0) if connection == mark[0] else tag
        if tag is not None and self._reading is not None:
            self._marks.append(_Mark(self._token, self._reading[0], tag))
        self._marked = mark
        size, self._fed = self._fed, 0
        return Captured(events, self._token, received, gap, size, messages)
