"""The proxy that stops, delays and closes connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from chaos.network import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy of a server that sends back what it receives."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(1000):
                connection.sendall(data)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with Proxy(listener.getsockname()[1]) as proxy:
        yield proxy
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_stopped_proxy_drops_bytes_silently_and_resets_when_it_resumes(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        client.sendall(b"one")
        assert client.recv(3) == b"one"
        proxy.stop()
        client.sendall(b"two")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(3)
        proxy.resume()
        client.settimeout(10)
        with pytest.raises(ConnectionResetError):
            client.recv(3)
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as client:
        client.sendall(b"three")
        assert client.recv(5) == b"three"


def test_a_closed_proxy_refuses_connections(proxy: Proxy) -> None:
    proxy.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 10)
    proxy.open()
    socket.create_connection(("127.0.0.1", proxy.port), 10).close()
