"""A socket that is drained at once.

One thread owns the socket: it reads, sends what others left in the outbox, keeps the connection alive and
notices when it is dead. It never parses.
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

#: Each read costs a turn of the interpreter, which the reader's thread may hold for 5 ms: so it must be able to
#: take all that the kernel holds, or Redis gets ahead of us by its 32 MiB and hangs up.
_RECEIVE_SIZE = 4 * 1024 * 1024
_SEND_TIMEOUT = 5.0
_SELECT_TIMEOUT = 1.0
#: Small reads one right after the other cost more than they bring: let a few more arrive.
_SMALL_READ_DELAY = 0.002
_SMALL_READ = 64 * 1024


@dataclass(frozen=True, slots=True)
class KeepAliveSettings:
    """Send `message` when nothing was sent for `every` seconds; after `silence` seconds without a byte
    from the other side the connection is dead. Zero switches either off."""

    message: bytes
    interval: float
    timeout: float


class SocketConnection:
    """One connection, drained by `pump` until it ends. `send` and `end` may be called by any thread."""

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
        """Hand everything that arrives to `put(data, timeout)` until the link ends; says why it ended."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(self._wake_receiver, selectors.EVENT_READ)
                while self._close_reason is None:
                    self._send_pending()
                    data = self._receive(selector)
                    while data and self._close_reason is None and not put(data, 0.5):
                        self._last_read = time.monotonic()  # we did not listen; that is not the other's silence
                        self._send_pending()
        except OSError as error:
            self.close(str(error) or type(error).__name__)
        finally:
            self._close_sockets()
        return self._close_reason or "ended"

    def send(self, data: bytes) -> None:
        self._outbox.append(data)
        self._wake_up()

    def close(self, reason: str, incomplete_since: float | None = None) -> None:
        """End the link. `incomplete_since`: nothing that came after this time was understood."""
        if self._close_reason is None:
            self._close_reason, self.incomplete_since = reason, incomplete_since
        self._wake_up()

    def _wake_up(self) -> None:
        try:
            with self._lock:
                self._wake_sender.send(b"x")
        except OSError:
            pass  # already full of pokes, or closed

    def _receive(self, selector: selectors.BaseSelector) -> bytes:
        """What is there; waits for a tick if there is nothing. While bytes keep coming this is one system
        call, because each costs a turn of the interpreter."""
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
        """TLS gives one record of at most 16 KiB at a time: take all that are there."""
        try:
            while size < _RECEIVE_SIZE and (more := sock.recv_into(self._buffer[size:])):
                size += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        return size

    def _send_pending(self) -> None:
        while self._outbox:
            self._send_now(self._outbox.popleft())
        now, alive = time.monotonic(), self._keep_alive
        if alive.timeout and now - self._last_read > alive.timeout:
            raise TimeoutError(f"nothing heard from the broker for {alive.timeout:.0f} s")
        if alive.interval and now - max(self._last_sent, 0) > alive.interval:
            self._send_now(alive.message)

    def _send_now(self, data: bytes) -> None:
        self._sock.settimeout(_SEND_TIMEOUT)
        self._sock.sendall(data)
        self._last_sent = time.monotonic()

    def _close_sockets(self) -> None:
        try:
            # What was left to say, e.g. a last acknowledgement, if it goes without waiting.
            self._sock.settimeout(0.2)
            while self._outbox:
                self._sock.sendall(self._outbox.popleft())
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self._lock:
            for one in (self._sock, self._wake_sender, self._wake_receiver):
                one.close()
