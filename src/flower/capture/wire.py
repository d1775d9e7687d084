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

from flower.capture.stream import Parser
from flower.records import Gap

log = logging.getLogger(__name__)

#: Each read costs a turn of the interpreter, which the reader's thread may hold for 5 ms: so it must be able to
#: take all that the kernel holds, or Redis gets ahead of us by its 32 MiB and hangs up.
_BLOCK = 4 * 1024 * 1024
_SEND_TIMEOUT = 5.0
_TICK = 1.0
#: Small reads one right after the other cost more than they bring: let a few more arrive.
_NAP = 0.002
_SMALL = 64 * 1024


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Send `message` when nothing was sent for `every` seconds; after `silence` seconds without a byte
    from the other side the connection is dead. Zero switches either off."""

    message: bytes
    every: float
    silence: float


class SocketLink:
    """One connection, drained by `pump` until it ends. `send` and `end` may be called by any thread."""

    def __init__(self, sock: socket.socket, parser: Parser, gap: Gap | None, alive: KeepAlive) -> None:
        self.parser = parser
        self.gap = gap
        self.incomplete_since: float | None = None
        self._sock = sock
        self._block = memoryview(bytearray(_BLOCK))
        self._alive = alive
        self._outbox: deque[bytes] = deque()
        self._reason: str | None = None
        self._wakes, self._wake = socket.socketpair()
        self._wakes.setblocking(False)
        self._wake.setblocking(False)
        self._lock = threading.Lock()
        self._last_sent = self._last_read = time.monotonic()

    def pump(self, put: Callable[[bytes, float], bool]) -> str:
        """Hand everything that arrives to `put(data, timeout)` until the link ends; says why it ended."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(self._wakes, selectors.EVENT_READ)
                while self._reason is None:
                    self._upkeep()
                    data = self._receive(selector)
                    while data and self._reason is None and not put(data, 0.5):
                        self._last_read = time.monotonic()  # we did not listen; that is not the other's silence
                        self._upkeep()
        except OSError as error:
            self.end(str(error) or type(error).__name__)
        finally:
            self._close()
        return self._reason or "ended"

    def send(self, data: bytes) -> None:
        self._outbox.append(data)
        self._poke()

    def end(self, reason: str, incomplete_since: float | None = None) -> None:
        """End the link. `incomplete_since`: nothing that came after this time was understood."""
        if self._reason is None:
            self._reason, self.incomplete_since = reason, incomplete_since
        self._poke()

    def _poke(self) -> None:
        try:
            with self._lock:
                self._wake.send(b"x")
        except OSError:
            pass  # already full of pokes, or closed

    def _receive(self, selector: selectors.BaseSelector) -> bytes:
        """What is there; waits for a tick if there is nothing. While bytes keep coming this is one system
        call, because each costs a turn of the interpreter."""
        try:
            self._sock.settimeout(0)
            size = self._sock.recv_into(self._block)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if any(key.fileobj is self._wakes for key, _ in selector.select(_TICK)):
                self._wakes.recv(4096)
            return b""
        if not size:
            raise ConnectionResetError("the broker closed the connection")
        if isinstance(self._sock, ssl.SSLSocket):
            size = self._more(self._sock, size)
        now = time.monotonic()
        if size < _SMALL and now - self._last_read < 2 * _NAP:
            time.sleep(_NAP)
        self._last_read = now
        return bytes(self._block[:size])

    def _more(self, sock: ssl.SSLSocket, size: int) -> int:
        """TLS gives one record of at most 16 KiB at a time: take all that are there."""
        try:
            while size < _BLOCK and (more := sock.recv_into(self._block[size:])):
                size += more
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        return size

    def _upkeep(self) -> None:
        while self._outbox:
            self._transmit(self._outbox.popleft())
        now, alive = time.monotonic(), self._alive
        if alive.silence and now - self._last_read > alive.silence:
            raise TimeoutError(f"nothing heard from the broker for {alive.silence:.0f} s")
        if alive.every and now - max(self._last_sent, 0) > alive.every:
            self._transmit(alive.message)

    def _transmit(self, data: bytes) -> None:
        self._sock.settimeout(_SEND_TIMEOUT)
        self._sock.sendall(data)
        self._last_sent = time.monotonic()

    def _close(self) -> None:
        try:
            # What was left to say, e.g. a last acknowledgement, if it goes without waiting.
            self._sock.settimeout(0.2)
            while self._outbox:
                self._sock.sendall(self._outbox.popleft())
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self._lock:
            for one in (self._sock, self._wake, self._wakes):
                one.close()
