"""Subscribes to events on a socket to Redis that is connected and logged in.

Imports neither kombu nor the client library: the drain process uses this module and loads neither.
"""

import socket
import time
from typing import NamedTuple

import hiredis

from flower.capture.connection import CONNECT_TIMEOUT, NoAnswer
from flower.capture.interruption import Interruption
from flower.capture.socket_connection import KeepAliveSettings
from flower.capture.source import ConnectionLost
from flower.records import Gap

#: Only the server sends on this connection, except for this message: it detects a server that disappeared.
KEEP_ALIVE = KeepAliveSettings(
    message=b"*1\r\n$4\r\nPING\r\n", interval=0.5, timeout=27.5, unresponsive_after=3.0, only_when_silent=True
)
_RECEIVE_SIZE = 16 * 1024


class _ServerInfo(NamedTuple):
    """Identifies a run of a Redis server, and the number of clients that it closed because they were too slow."""

    run_id: str
    slow_clients_closed: int | None


class EventSubscriber:
    """Subscribes one socket after the other."""

    def __init__(self) -> None:
        #: the server of the previous connection
        self._server: _ServerInfo | None = None

    def subscribe(self, sock: socket.socket, pattern: bytes, interruption: Interruption | None) -> Gap | None:
        """Subscribe to this pattern. Returns the gap that ends with the subscription. Raises ConnectionLost and
        OSError."""
        interruption = self._find_cause(_read_server_info(sock), interruption)
        # What follows the confirmation are events, which the socket connection reads.
        reply = request(sock, b"PSUBSCRIBE", pattern, receive_size=1)
        if isinstance(reply, hiredis.ReplyError):
            raise ConnectionLost(f"Redis error: {reply}")
        return interruption.end() if interruption is not None else None

    def _find_cause(self, server: _ServerInfo | None, interruption: Interruption | None) -> Interruption | None:
        """The interruption with a more exact cause: whether Redis closed the previous connection because this
        subscriber was too slow."""
        previous, self._server = self._server, server
        if interruption is None or previous is None or server is None or server.run_id != previous.run_id:
            return interruption
        closed_before, closed = previous.slow_clients_closed, server.slow_clients_closed
        if closed is None or closed_before is None:
            # Redis before 7.2 does not count these connections; it hardly closes one for another reason.
            if not interruption.closed_by_broker:
                return interruption
        elif closed <= closed_before:
            return interruption
        return interruption._replace(
            cause="redis_overflow",
            reason="Redis closed the connection because its output buffer was full (client-output-buffer-limit); a "
            "single event that is larger than this limit disconnects every subscriber",
        )


def request(sock: socket.socket, *arguments: bytes, receive_size: int = _RECEIVE_SIZE) -> object:
    """The reply to a command; a `hiredis.ReplyError` if Redis refuses it. Reads up to `receive_size` bytes at once: one
    byte, if more than the reply may follow. Raises ConnectionLost and OSError."""
    started_at = time.monotonic()
    parts = [b"*%d\r\n" % len(arguments), *(b"$%d\r\n%b\r\n" % (len(each), each) for each in arguments)]
    reader = hiredis.Reader()
    try:
        sock.settimeout(CONNECT_TIMEOUT)
        sock.sendall(b"".join(parts))
        while (reply := reader.gets()) is False:
            sock.settimeout(max(0.01, started_at + CONNECT_TIMEOUT - time.monotonic()))
            data = sock.recv(receive_size)
            if not data:
                raise ConnectionResetError("Redis closed the connection")
            reader.feed(data)
    except TimeoutError as error:
        raise NoAnswer(time.monotonic() - started_at) from error
    except hiredis.ProtocolError as error:
        raise ConnectionLost(f"invalid Redis protocol data received: {error}") from None
    return reply


def _read_server_info(sock: socket.socket) -> _ServerInfo | None:
    """None if the server does not permit INFO."""
    values: dict[str, str] = {}
    for section in (b"server", b"stats"):
        reply = request(sock, b"INFO", section)
        if isinstance(reply, hiredis.ReplyError):
            return None
        text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
        for line in text.splitlines():
            name, _, value = line.partition(":")
            values[name] = value
    closed = values.get("client_output_buffer_limit_disconnections", "")
    return _ServerInfo(values["run_id"], int(closed) if closed.isdigit() else None) if "run_id" in values else None
