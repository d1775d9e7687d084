"""Accepts the connections of listening sockets, within the maximum of `OpenConnections`.

asyncio's own server accepts as many connections as the backlog allows at once, does not count those in a TLS handshake,
and logs a traceback for each one that it cannot accept because the descriptors are used up."""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from flower.log_rate_limit import limit_log_rate
from flower.web.http_protocol import ClientLimits
from flower.web.open_connections import OpenConnections

log = logging.getLogger(__name__)
limit_log_rate(log)

#: Connections that are accepted at once. Closing others takes effect after all of them have been accepted.
ACCEPT_BATCH: Final = 16
#: Seconds until the next attempt when a connection cannot be accepted.
ACCEPT_RETRY_DELAY: Final = 0.5
#: Seconds until the TLS handshake must be complete.
HANDSHAKE_TIMEOUT: Final = 15.0

_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_UNAVAILABLE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nserver: Bellflower\r\nretry-after: 10\r\ncontent-length: 0\r\n"
    b"connection: close\r\n\r\n"
)


class Acceptor:
    """Stands in for the `asyncio.Server` objects of uvicorn. `create_protocol` receives the address of the client, ""
    for a Unix socket."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        connections: OpenConnections,
        create_protocol: Callable[[str], ClientLimits],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.sockets = tuple(listeners)
        self._connections = connections
        self._create_protocol = create_protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}
        for listener in self.sockets:
            listener.setblocking(False)
            self._resume(listener)

    def close(self) -> None:
        for listener in self.sockets:
            self._loop.remove_reader(listener)
        for timer in self._paused.values():
            timer.cancel()
        for task in list(self._connecting):
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _resume(self, listener: socket.socket) -> None:
        self._paused.pop(listener, None)
        self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                client, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("Cannot accept a connection: %s", error.strerror)
                if error.errno in _OUT_OF_RESOURCES:
                    self._connections.make_room()
                self._loop.remove_reader(listener)
                self._paused[listener] = self._loop.call_later(ACCEPT_RETRY_DELAY, self._resume, listener)
                return
            self._admit(client, address[0] if isinstance(address, tuple) else "")

    def _admit(self, client: socket.socket, host: str) -> None:
        client.setblocking(False)
        protocol = self._create_protocol(host)
        if not self._connections.admit(protocol):
            if self._tls is None:
                with contextlib.suppress(OSError):  # the client has gone
                    client.send(_UNAVAILABLE)
            client.close()
            return
        connecting = self._loop.create_task(self._connect(client, protocol))
        protocol.cancel_handshake = connecting.cancel
        self._connecting.add(connecting)
        connecting.add_done_callback(lambda task: self._finish(task, client, protocol))

    async def _connect(self, client: socket.socket, protocol: ClientLimits) -> None:
        """Connect the socket with its protocol, after the TLS handshake."""
        with contextlib.suppress(OSError):  # ssl.SSLError is an OSError
            await self._loop.connect_accepted_socket(
                lambda: protocol, client, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_TIMEOUT if self._tls else None
            )

    def _finish(self, connecting: asyncio.Task[None], client: socket.socket, protocol: ClientLimits) -> None:
        self._connecting.discard(connecting)
        if protocol.transport is None:  # failed or cancelled
            self._connections.remove(protocol)
            client.close()
