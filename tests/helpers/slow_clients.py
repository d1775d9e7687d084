"""Clients that use up connections: idle ones, and ones that send or read slowly. A program as well."""

import itertools
import select
import socket
import sys
import threading
import time
from types import TracebackType
from typing import Final, Self

from flower.descriptor_limit import raise_descriptor_limit

_HEAD: Final = b"GET /healthcheck HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
_BODY: Final = (
    b"POST /api/task/timeout/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 100000\r\n\r\n"
)
#: Responses that together are larger than the buffers of the kernel.
_UNREAD: Final = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 10

#: Maximum number of connections that are opened per second: these clients hold connections, and do not flood.
CONNECTIONS_PER_SECOND: Final = 250


class SlowClients:
    """`idle` connections that send nothing, and `slow` ones: of these a third sends headers at one byte per second, a
    third a body, and a third does not read the response. A closed connection is opened again."""

    def __init__(self, port: int, idle: int, slow: int) -> None:
        self._port = port
        self._open: dict[socket.socket, bytes] = {}
        self._wanted = [b""] * idle + list(itertools.islice(itertools.cycle((_HEAD, _BODY, _UNREAD)), slow))
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        #: number of connections that the server has closed
        self.closed = 0

    def __len__(self) -> int:
        return len(self._open)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leaving.set()
        self._thread.join(30)
        for client in self._open:
            client.close()

    def _run(self) -> None:
        missing = list(self._wanted)
        while not self._leaving.is_set():
            started = time.monotonic()
            now, missing = missing[:CONNECTIONS_PER_SECOND], missing[CONNECTIONS_PER_SECOND:]
            for first_bytes in now:
                if not self._connect(first_bytes):
                    missing.append(first_bytes)
                self._leaving.wait(1 / CONNECTIONS_PER_SECOND / 2)  # evenly, in half of the second
            for client, first_bytes in list(self._open.items()):
                if not self._is_open(client, first_bytes):
                    del self._open[client]
                    client.close()
                    self.closed += 1
                    missing.append(first_bytes)
            self._leaving.wait(max(0.0, 1.0 - (time.monotonic() - started)))

    def _connect(self, first_bytes: bytes) -> bool:
        client = socket.socket()
        if first_bytes == _UNREAD:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            client.settimeout(5)
            client.connect(("127.0.0.1", self._port))
            client.sendall(first_bytes)
        except OSError:
            client.close()
            return False
        client.setblocking(False)
        self._open[client] = first_bytes
        return True

    def _is_open(self, client: socket.socket, first_bytes: bytes) -> bool:
        poll = select.poll()
        poll.register(client, select.POLLRDHUP if first_bytes == _UNREAD else select.POLLIN)
        if poll.poll(0):
            return False  # a response or the end: in both cases the server has ended the attempt
        if first_bytes in (_HEAD, _BODY):
            try:
                client.send(b"a")
            except BlockingIOError:
                return True
            except OSError:
                return False
        return True


def main() -> None:
    """Run until the process is ended; print the numbers of open and of closed connections every second."""
    port, idle, slow = map(int, sys.argv[1:])
    raise_descriptor_limit()
    with SlowClients(port, idle, slow) as clients:
        while True:
            print(len(clients), clients.closed, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main()
