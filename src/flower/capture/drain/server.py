"""The drain's side of the connection: sends chunks to one recorder, and keeps each until it is acknowledged.

One thread owns the socket. A recorder that disconnects without a message may have crashed: the drain then waits for the
next one, and sends again what was not acknowledged.
"""

import contextlib
import logging
import os
import selectors
import socket
import time
from collections import deque
from typing import Final, TypeAlias

from flower.capture.broker_drain import BrokerDrain
from flower.capture.drain.messages import (
    Ack,
    Connected,
    Data,
    Detach,
    End,
    Finish,
    FrameReader,
    InvalidFrame,
    LogLine,
    Read,
    Reconnect,
    Status,
    ToDrain,
    Welcome,
    encode_frame,
)
from flower.capture.spill_queue import SpillQueue
from flower.units import MEBIBYTE

log = logging.getLogger(__name__)

#: Bytes that were sent and not acknowledged; more remain in the queue. While many events arrive, the recorder
#: acknowledges after two seconds.
_MAX_UNACKNOWLEDGED: Final = 128 * MEBIBYTE
#: Bytes that wait for the socket.
_MAX_OUTPUT: Final = MEBIBYTE
_STATUS_INTERVAL: Final = 1.0
_MAX_LOG_LINES: Final = 100
_RECEIVE_SIZE: Final = 65_536

_Item: TypeAlias = tuple[Connected | Data, bytes]


class LogBuffer(logging.Handler):
    """Keeps the last log lines for the recorder, which writes them into its log: the standard error of this process
    may be a pipe that ended together with the recorder."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[LogLine] = deque(maxlen=_MAX_LOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(LogLine(record.levelno, self.format(record)))


class _Recorder:
    """The connection of a recorder."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.frames = FrameReader(ToDrain)
        self.output: deque[memoryview] = deque()
        self.output_size = 0
        self.is_reading = False
        self.next_status = 0.0
        #: as of the last status
        self.state: tuple[bool, str | None] | None = None

    def append(self, parts: tuple[bytes, bytes]) -> None:
        for part in parts:
            if part:
                self.output.append(memoryview(part))
                self.output_size += len(part)

    def send(self) -> None:
        """Send what the socket accepts. Raises OSError if the recorder is gone."""
        with contextlib.suppress(BlockingIOError):
            while self.output:
                sent = self.sock.send(self.output[0])
                self.output_size -= sent
                if sent < len(self.output[0]):
                    self.output[0] = self.output[0][sent:]
                else:
                    self.output.popleft()


class DrainServer:
    """Serves until the drain is finished, or no recorder connects for some time. `run` returns the reason."""

    def __init__(
        self, listener: socket.socket, path: str, welcome: Welcome, drain: BrokerDrain, queue: SpillQueue,
        logs: LogBuffer, expires: float,
    ) -> None:  # fmt: skip
        """`path` is the socket, relative to the working directory: the drain ends when it is removed. `expires`:
        seconds for which a crashed recorder is awaited."""
        self._listener, self._path, self._welcome = listener, path, welcome
        self._drain, self._queue, self._logs, self._expires = drain, queue, logs, expires
        self._recorder: _Recorder | None = None
        self._sequence = 0
        #: sent or ready to be sent, not acknowledged
        self._unacknowledged: deque[_Item] = deque()
        self._unacknowledged_size = 0
        #: those of the unacknowledged items that this recorder has not been sent
        self._unsent: deque[_Item] = deque()
        self._is_finishing = self._has_ended = False
        self._alone_until = time.monotonic() + expires
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._selector = selectors.DefaultSelector()

    def wake_up(self) -> None:
        """The queue has received a chunk. May be called by any thread."""
        with contextlib.suppress(OSError):
            self._wake_sender.send(b"x")

    def run(self) -> str:
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(_STATUS_INTERVAL):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_receiver:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_receiver.recv(65_536)
                elif self._recorder is not None and key.fileobj is self._recorder.sock:
                    self._receive(self._recorder)
            if self._recorder is not None:
                self._serve(self._recorder)
            if reason := self._find_end():
                return reason

    def _find_end(self) -> str | None:
        if self._has_ended and not self._unacknowledged and (self._recorder is None or not self._recorder.output):
            return "another drain has taken over"
        if self._recorder is None and time.monotonic() > self._alone_until:
            return "no recorder connected"
        if not os.path.exists(self._path):
            return "the directory of the store was removed"
        return None

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        # Only one recorder can hold the store: the previous one is gone, although that was not noticed yet.
        self._disconnect()
        self._recorder = _Recorder(sock)
        self._unsent = deque(self._unacknowledged)
        self._has_ended = False
        self._selector.register(sock, selectors.EVENT_READ)
        self._recorder.append(encode_frame(self._welcome))

    def _disconnect(self) -> None:
        if self._recorder is not None:
            self._selector.unregister(self._recorder.sock)
            self._recorder.sock.close()
            self._recorder = None
            self._alone_until = time.monotonic() + self._expires

    def _receive(self, recorder: _Recorder) -> None:
        try:
            data = recorder.sock.recv(_RECEIVE_SIZE)
            recorder.frames.feed(data)
            while self._recorder is recorder and (frame := recorder.frames.next()) is not None:
                self._handle(recorder, frame[0])
        except BlockingIOError:
            return
        except (OSError, InvalidFrame) as error:
            log.warning("capture: the drain lost its recorder: %s", error)
            data = b""
        if not data and self._recorder is recorder:
            self._disconnect()

    def _handle(self, recorder: _Recorder, message: object) -> None:
        match message:
            case Read(after):
                self._acknowledge(after)
                recorder.is_reading = True
            case Ack(sequence):
                self._acknowledge(sequence)
            case Reconnect(connection, reason, since):
                current = self._drain.current
                if current is not None and current[0] == connection:
                    current[1].close(reason, since)
            case Finish():
                self._is_finishing = True
                self._drain.stop()
            case Detach(linger):
                self._disconnect()
                self._alone_until = time.monotonic() + linger

    def _acknowledge(self, sequence: int) -> None:
        while self._unacknowledged and self._unacknowledged[0][0].sequence <= sequence:
            header, data = self._unacknowledged.popleft()
            self._unacknowledged_size -= len(data)
            if self._unsent and self._unsent[0][0] is header:
                self._unsent.popleft()

    def _serve(self, recorder: _Recorder) -> None:
        """Send what the recorder can take."""
        try:
            now = time.monotonic()
            is_caught_up = self._fill(recorder)
            state = (self._drain.is_connected, self._drain.error)
            if now >= recorder.next_status or state != recorder.state:
                recorder.state = state
                recorder.next_status = now + _STATUS_INTERVAL
                self._append_logs(recorder)
                recorder.append(encode_frame(self._status(is_caught_up)))
            recorder.send()
        except OSError:
            self._disconnect()
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if recorder.output else 0)
        self._selector.modify(recorder.sock, events)

    def _append_logs(self, recorder: _Recorder) -> None:
        with contextlib.suppress(IndexError):
            while True:
                recorder.append(encode_frame(self._logs.lines.popleft()))

    def _fill(self, recorder: _Recorder) -> float | None:
        """Append chunks to the output. Returns until when everything is contained, if the queue is empty."""
        if not recorder.is_reading:
            return None
        # The order matters: what arrives later may not be in the queue yet.
        caught_up_at = self._drain.caught_up_at
        while recorder.output_size < _MAX_OUTPUT:
            item = self._next_item()
            if item is None:
                break
            recorder.append(encode_frame(*item))
        else:
            return None
        if self._unsent or not self._queue.is_empty:
            return None
        if self._is_finishing and not self._has_ended and not self._drain.is_running:
            self._has_ended = True
            recorder.append(encode_frame(End(self._drain.caught_up_at)))
        return caught_up_at

    def _next_item(self) -> _Item | None:
        if self._unsent:
            return self._unsent.popleft()
        if self._unacknowledged_size >= _MAX_UNACKNOWLEDGED:
            return None
        item = self._take_from_queue()
        if item is not None:
            self._unacknowledged.append(item)
            self._unacknowledged_size += len(item[1])
        return item

    def _take_from_queue(self) -> _Item | None:
        try:
            chunk = self._queue.get(0)
        except OSError as error:
            log.error("capture: cannot read back events spilled to disk: %s", error)
            if (current := self._drain.current) is not None:
                current[1].close("spilled events could not be read back")
            return self._take_from_queue()
        if chunk is None:
            return None
        self._sequence += 1
        if not chunk.data:
            connection = self._drain.connections.pop(chunk.connection)
            return Connected(self._sequence, chunk.connection, connection.gap), b""
        return Data(self._sequence, chunk.connection, chunk.received, chunk.since), chunk.data

    def _status(self, caught_up_at: float | None) -> Status:
        drain = self._drain
        return Status(
            drain.is_connected, drain.state_since, drain.error, self._queue.backlog_bytes,
            self._queue.spilled_bytes, caught_up_at, drain.confirmed_at,
        )  # fmt: skip
