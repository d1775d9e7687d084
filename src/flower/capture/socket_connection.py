"""A socket connection that is drained immediately.

One thread owns the socket: it reads, sends what other threads put in the outbox, sends heartbeats and detects a dead
connection. It never parses.
"""

import logging
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from flower.capture.receiver import MessageParser
from flower.records import Gap

log = logging.getLogger(__name__)

#: Each read needs the interpreter lock, which the reader's thread may hold for 5 ms: so a read must be able to take
#: everything in the kernel's buffer, or the backlog reaches Redis's limit of 32 MiB and Redis disconnects.
_RECEIVE_SIZE = 4 * 1024 * 1024
_SEND_TIMEOUT = 5.0
_SELECT_TIMEOUT = 1.0
#: Seconds to wait after a small read that directly follows another: fewer, larger reads cost less.
_SMALL_READ_DELAY = 0.002
_SMALL_READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class KeepAliveSettings:
    """Send `message` when nothing was sent for `interval` seconds; after `timeout` seconds without received data the
    connection is dead. Zero disables either."""

    message: bytes
    interval: float
    timeout: float


class SocketConnection:
    """One connection, drained by `run` until it ends. `send` and `close` may be called from any thread."""

    def __init__(
        self, sock: socket.socket, parser: MessageParser, gap: Gap | None, keep_alive: KeepAliveSettings
    ) -> None:
        self.parser = parser
        self.gap = gap
        self.incomplete_since: float | None = None
        self._sock = sock
        self._buffer = memoryview(bytearray(_RECEIVE_SIZE))
        self._keep_alive = keep_alive
        self._outbox: deque[bytes] = deque()
        self._close_reason: str | None = None
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_receiver.setblocking(False)
        self._wake_sender.setblocking(False)
        self._lock = threading.Lock()
        self._last_sent = self._last_read = time.monotonic()

    def run(self, put: Callable[[bytes, float], bool]) -> str:
        """Pass received data to `put(data, timeout)` until the connection ends. Returns the reason."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(self._wake_receiver, selectors.EVENT_READ)
                while self._close_reason is None:
                    self._send_pending()
                    data = self._receive(selector)
                    while data and self._close_reason is None and not put(data, 0.5):
                        self._last_read = time.monotonic()  # the queue was full; the peer is not unresponsive
                        self._send_pending()
        except OSError as error:
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
            self._close_reason, self.incomplete_since = reason, incomplete_since
        self._wake_up()

    def _wake_up(self) -> None:
        try:
            with self._lock:
                self._wake_sender.send(b"x")
        except OSError:
            pass  # already full of wake-ups, or closed

    def _receive(self, selector: selectors.BaseSelector) -> bytes:
        """The available data; waits briefly if there is none. While data keeps arriving this is one system call,
        because each costs a switch of the interpreter lock."""
        try:
            self._sock.settimeout(0)
            size = self._sock.recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if any(key.fileobj is self._wake_receiver for key, _ in selector.select(_SELECT_TIMEOUT)):
                self._wake_receiver.recv(4096)
            return b""
        if not size:
            raise ConnectionResetError("the broker closed the connection")
        if isinstance(self._sock, ssl.SSLSocket):
            size = self._receive_pending_records(self._sock, size)
        now = time.monotonic()
        if size < _SMALL_READ and now - self._last_read < 2 * _SMALL_READ_DELAY:
            time.sleep(_SMALL_READ_DELAY)
        self._last_read = now
        return bytes(self._buffer[:size])

    def _receive_pending_records(self, sock: ssl.SSLSocket, size: int) -> int:
        """TLS returns one record of at most 16 KiB per read: read all that are available."""
        try:
            while size < _RECEIVE_SIZE and (more := sock.recv_into(self._buffer[size:])):
                size += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        return size

    def _send_pending(self) -> None:
        while self._outbox:
            self._send_now(self._outbox.popleft())
        now, keep_alive = time.monotonic(), self._keep_alive
        if keep_alive.timeout and now - self._last_read > keep_alive.timeout:
            raise TimeoutError(f"no data received from the broker for {keep_alive.timeout:.0f} s")
        if keep_alive.interval and now - max(self._last_sent, 0) > keep_alive.interval:
            self._send_now(keep_alive.message)

    def _send_now(self, data: bytes) -> None:
        self._sock.settimeout(_SEND_TIMEOUT)
        self._sock.sendall(data)
        self._last_sent = time.monotonic()

    def _close_sockets(self) -> None:
        try:
            # Send the rest of the outbox, for example a last acknowledgement, if that is possible without waiting.
            self._sock.settimeout(0.2)
            while self._outbox:
                self._sock.sendall(self._outbox.popleft())
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self._lock:
            for each in (self._sock, self._wake_sender, self._wake_receiver):
                each.close()
