"""A socket connection that is drained immediately.

One thread owns the socket: it reads, sends what other threads put in the outbox, sends heartbeats and detects a dead
connection. It never parses.

It writes only after it has read everything that has arrived. A write to a connection that the peer has closed is
answered with a reset, and the peer's kernel then discards what it had not transmitted yet: events that were already
sent would be lost.
"""

import logging
import mmap
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass

from flower.capture.arrival_times import PROMPT_DELAY
from flower.capture.source import MessageParser, PutData
from flower.records import Gap

log = logging.getLogger(__name__)

#: Each read needs the interpreter lock, which the reader's thread may hold for 5 ms: so a read must be able to take
#: everything in the kernel's buffer, or the backlog reaches Redis's limit of 32 MiB and Redis disconnects.
_RECEIVE_SIZE = 4 * 1024 * 1024
_SEND_TIMEOUT = 5.0
_SELECT_TIMEOUT = 1.0
#: Seconds for which data is still awaited after a failed write.
_READ_AFTER_SEND_ERROR = 5.0
#: Maximum number of reads of a connection that is closed on request: on a busy broker there is always more.
_MAX_FINAL_READS = 16
#: Seconds to wait after a small read that directly follows another: fewer, larger reads cost less.
_SMALL_READ_DELAY = 0.002
_SMALL_READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class KeepAliveSettings:
    """Send `message`, which the broker answers, after `interval` seconds without sent data. The connection is dead when
    no data was received for `timeout` seconds. Zero disables either.

    With `only_when_silent`, for protocols in which only the server sends: `message` is sent after `interval` seconds
    without received data, and the connection is dead `timeout` seconds later.
    """

    message: bytes
    interval: float
    timeout: float
    #: seconds without an answer after which the broker counts as unresponsive; 0 = never
    unresponsive_after: float = 0.0
    only_when_silent: bool = False


class SocketConnection:
    """One connection, drained by `run` until it ends. `send` and `close` may be called from any thread."""

    def __init__(
        self, sock: socket.socket, parser: MessageParser, gap: Gap | None, keep_alive: KeepAliveSettings
    ) -> None:
        self.parser = parser
        self.gap = gap
        self.is_closed_by_peer = self._is_stopped = False
        #: when the socket was empty the last time, data was read, and the socket was empty before that
        self._empty_at = self._last_read_at = self._last_read_since = time.time()
        self._complete_until: float | None = None
        self._sock = sock
        # A mapping, because memory that is never written to is not allocated.
        self._buffer = memoryview(mmap.mmap(-1, _RECEIVE_SIZE))
        self._keep_alive = keep_alive
        self._outbox: deque[bytes] = deque()
        self._close_reason: str | None = None
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._lock = threading.Lock()
        self._last_sent = self._last_read = time.monotonic()
        #: when the keep-alive message was sent after which nothing has been received yet
        self._probe_sent: float | None = None
        self._send_error: OSError | None = None
        self._send_failed_at = 0.0
        #: the last read filled the buffer: there is probably more
        self._has_unread = False

    @property
    def caught_up_at(self) -> float:
        # While an answer is awaited, the peer may be unreachable since the last data.
        return self._last_read_at if self._probe_sent is not None or self.is_unresponsive else self._empty_at

    @property
    def is_unresponsive(self) -> bool:
        limit, waiting_since = self._keep_alive.unresponsive_after, self._last_read
        if self._keep_alive.only_when_silent:
            if self._probe_sent is None:
                return False
            waiting_since = self._probe_sent
        return bool(limit) and time.monotonic() - waiting_since > limit

    @property
    def confirmed_at(self) -> float | None:
        # An acknowledgement of TCP proves nothing: a proxy sends it whether the broker behind it is reachable or not.
        return self._last_read_at if self._keep_alive.interval else None

    @property
    def complete_until(self) -> float:
        if self._complete_until is not None:
            return self._complete_until
        if self._is_stopped:
            return self._empty_at
        # What the broker had received after the last data, and had not sent when it was killed, is lost. Data that was
        # read late may have arrived long before; the newest event that it contains shows when.
        is_late = self._last_read_at - self._last_read_since > PROMPT_DELAY
        return self._last_read_since if is_late else self._last_read_at

    def run(self, put: PutData) -> str:
        """Pass received data to `put` until the connection ends. Returns the reason."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(self._wake_receiver, selectors.EVENT_READ)
                while self._close_reason is None:
                    now = time.monotonic()
                    data = self._receive()
                    if data:
                        self._put_when_possible(data, put)
                    if not self._has_unread:
                        self._send_pending(now, is_silent=not data)
                    if not data:
                        self._wait(selector)
            self._receive_rest(put)
        except OSError as error:
            # Redis resets a connection whose last message of the client it had not read yet.
            self.is_closed_by_peer = self.is_closed_by_peer or isinstance(error, ConnectionResetError)
            self.close(str(error) or type(error).__name__)
        finally:
            self._close_sockets()
        return self._close_reason or "closed"

    def send(self, data: bytes) -> None:
        self._outbox.append(data)
        self._wake_up()

    def close(self, reason: str, incomplete_since: float | None = None) -> None:
        """End the connection. `incomplete_since`: nothing received after this time could be parsed."""
        if self._close_reason is None:
            self._close_reason, self._complete_until = reason, incomplete_since
        self._wake_up()

    def _wake_up(self) -> None:
        try:
            with self._lock:
                self._wake_sender.send(b"x")
        except OSError:
            pass  # already full of wake-ups, or closed

    def _wait(self, selector: selectors.BaseSelector) -> None:
        timeout = min(self._keep_alive.interval or _SELECT_TIMEOUT, _SELECT_TIMEOUT)
        if any(key.fileobj is self._wake_receiver for key, _ in selector.select(timeout)):
            self._wake_receiver.recv(4096)

    def _put_when_possible(self, data: bytes, put: PutData) -> None:
        while self._close_reason is None and not put(data, self._last_read_at, self._empty_at, 0.5):
            # The queue was full; the peer is not unresponsive.
            self._last_read = time.monotonic()
            # What arrived meanwhile is unread: only a protocol that requires it may write.
            if not self._keep_alive.only_when_silent:
                self._send_pending(self._last_read, is_silent=False)

    def _receive(self) -> bytes:
        """The available data, empty if there is none. While data keeps arriving this is one system call, because each
        costs a switch of the interpreter lock."""
        started_at = time.time()
        self._has_unread = False
        try:
            self._sock.settimeout(0)
            size = self._sock.recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._empty_at = started_at
            return b""
        if not size:
            self.is_closed_by_peer = True
            raise ConnectionResetError("the broker closed the connection")
        if isinstance(self._sock, ssl.SSLSocket):
            size = self._receive_pending_records(self._sock, size)
        self._has_unread = size == _RECEIVE_SIZE
        now = time.monotonic()
        self._probe_sent = None
        if size < _SMALL_READ and now - self._last_read < 2 * _SMALL_READ_DELAY:
            time.sleep(_SMALL_READ_DELAY)
        self._last_read, self._last_read_at, self._last_read_since = now, time.time(), self._empty_at
        return bytes(self._buffer[:size])

    def _receive_rest(self, put: PutData) -> None:
        """Read what has arrived before the connection is closed on request."""
        if self._complete_until is None:
            self._is_stopped = True
            for _ in range(_MAX_FINAL_READS):
                data = self._receive()
                if not data or not put(data, self._last_read_at, self._empty_at, 0.5):
                    return

    def _receive_pending_records(self, sock: ssl.SSLSocket, size: int) -> int:
        """TLS returns one record of at most 16 KiB per read: read all that are available."""
        try:
            while size < _RECEIVE_SIZE and (more := sock.recv_into(self._buffer[size:])):
                size += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        return size

    def _send_pending(self, now: float, *, is_silent: bool) -> None:
        """Send the outbox and, if due, the keep-alive message. `now` is a time before the last read; `is_silent` means
        that the read returned no data. Raises OSError if the connection is dead."""
        if self._send_error is not None:
            # What the peer sent before it closed the connection can still be read.
            self._outbox.clear()
            if is_silent and now - self._send_failed_at > _READ_AFTER_SEND_ERROR:
                raise self._send_error
            return
        while self._outbox and self._send_error is None:
            self._send_now(self._outbox.popleft())
        keep_alive = self._keep_alive
        if keep_alive.only_when_silent:
            self._probe_when_silent(now, is_silent=is_silent)
            return
        if keep_alive.timeout and now - self._last_read > keep_alive.timeout:
            raise TimeoutError(f"no data received from the broker for {keep_alive.timeout:.0f} s")
        if keep_alive.interval and now - self._last_sent > keep_alive.interval:
            self._send_now(keep_alive.message)

    def _probe_when_silent(self, now: float, *, is_silent: bool) -> None:
        keep_alive = self._keep_alive
        if not is_silent or not keep_alive.interval:
            return
        if self._probe_sent is None:
            if now - self._last_read > keep_alive.interval:
                self._send_now(keep_alive.message)
                self._probe_sent = time.monotonic()
        elif keep_alive.timeout and now - self._probe_sent > keep_alive.timeout:
            raise TimeoutError(f"no data received from the broker for {now - self._last_read:.0f} s")

    def _send_now(self, data: bytes) -> None:
        try:
            self._sock.settimeout(_SEND_TIMEOUT)
            self._sock.sendall(data)
        except OSError as error:
            self._send_error, self._send_failed_at = error, time.monotonic()
        self._last_sent = time.monotonic()

    def _close_sockets(self) -> None:
        try:
            # Send the rest of the outbox, for example a last acknowledgement, if that is possible without waiting.
            self._sock.settimeout(0.2)
            while self._outbox and self._send_error is None:
                self._sock.sendall(self._outbox.popleft())
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self._lock:
            for each in (self._sock, self._wake_sender, self._wake_receiver):
                each.close()
