"""Accepted and refused connections, with and without TLS."""

import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from flower.sockets import bind_unix
from flower.store.protocols import Reader
from flower.web import acceptor
from tests.helpers.certificate import create_certificate
from tests.helpers.servers import wait_for
from tests.helpers.sse_client import StreamReader
from tests.helpers.web_server import WebServer


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def connect(server: WebServer, clients: ExitStack) -> socket.socket:
    return clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return not client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_idle_connections_do_not_exclude_users(store: Reader, opened: None, clients: ExitStack) -> None:
    with WebServer(store, max_connections=20) as server:
        idle = [connect(server, clients) for _ in range(100)]
        for _ in range(20):
            assert httpx.get(f"{server.http.base_url}/healthcheck").text == "OK"
        assert len(server.connections) <= 20
        wait_for("the end of the oldest", lambda: sum(map(is_closed, idle)) >= 80)


def test_new_connections_are_refused_with_503_if_all_are_in_use(
    store: Reader, opened: None, clients: ExitStack
) -> None:
    with WebServer(store, max_connections=2) as server:
        for _ in range(2):
            stream = clients.enter_context(StreamReader(server.http, topics="tasks"))
            stream.wait("start")
        refused = connect(server, clients)
        assert refused.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert not stream.over


def test_connections_that_are_closed_at_once_leave_nothing_behind(
    store: Reader, opened: None, clients: ExitStack
) -> None:
    with WebServer(store) as server:
        for _ in range(300):
            connect(server, clients).close()
        wait_for("the end of all connections", lambda: len(server.connections) == 0)
        assert server.http.get("/healthcheck").text == "OK"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return create_certificate(tmp_path_factory.mktemp("certificate"))


def test_tls_connections_count_before_their_handshake(
    store: Reader, opened: None, certificate: tuple[Path, Path], clients: ExitStack
) -> None:
    with WebServer(store, max_connections=20, tls=certificate) as server:
        idle = [connect(server, clients) for _ in range(100)]
        tls_context = ssl.create_default_context(cafile=str(certificate[0]))
        url = f"https://127.0.0.1:{server.port}/healthcheck"
        assert httpx.get(url, verify=tls_context).text == "OK"
        assert len(server.connections) <= 20
        wait_for("the end of the oldest", lambda: sum(map(is_closed, idle)) >= 80)


def test_tls_handshake_has_a_time_limit(
    store: Reader,
    opened: None,
    certificate: tuple[Path, Path],
    clients: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_TIMEOUT", 0.5)
    with WebServer(store, tls=certificate) as server:
        silent, wrong = connect(server, clients), connect(server, clients)
        wrong.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_for("the end of both", lambda: is_closed(silent) and is_closed(wrong))
        wait_for("the count", lambda: len(server.connections) == 0)
    assert "Traceback" not in caplog.text


def test_slow_tls_request_is_answered_408(
    store: Reader, opened: None, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower.web.http_protocol.HEAD_TIMEOUT", 0.5)
    tls_context = ssl.create_default_context(cafile=str(certificate[0]))
    with (
        WebServer(store, tls=certificate) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain,
        tls_context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_unix_socket_has_the_same_limits(store: Reader, opened: None, clients: ExitStack) -> None:
    path = str(Path(clients.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))) / "s")
    listeners = clients.enter_context(bind_unix(path))
    with WebServer(store, max_connections=20, listeners=listeners) as server:
        idle = []
        for _ in range(100):
            idle.append(clients.enter_context(socket.socket(socket.AF_UNIX)))
            idle[-1].connect(path)
        client = httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://any.example")
        assert clients.enter_context(client).get("/healthcheck").text == "OK"
        assert len(server.connections) <= 20
        wait_for("the end of the oldest", lambda: sum(map(is_closed, idle)) >= 80)


#: A server that may open fewer descriptors than connections; prints its port.
WITHOUT_DESCRIPTORS = """
import asyncio, logging, resource, time
from flower.config import Config
from flower.sockets import bind_tcp
from flower.web.open_connections import OpenConnections
from flower.web.server import create_server

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"OK"})

logging.basicConfig()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with bind_tcp("127.0.0.1", 0) as listeners:
    print(listeners[0].getsockname()[1], flush=True)
    asyncio.run(create_server(app, Config(), OpenConnections(1000, time.monotonic)).serve(listeners))
"""


def test_server_without_descriptors_logs_one_line_and_recovers(clients: ExitStack) -> None:
    server = clients.enter_context(
        subprocess.Popen([sys.executable, "-c", WITHOUT_DESCRIPTORS], stdout=-1, stderr=-1, text=True)
    )
    clients.callback(server.kill)
    assert server.stdout is not None
    assert server.stderr is not None
    port = int(server.stdout.readline())
    for _ in range(200):
        clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
    assert httpx.get(f"http://127.0.0.1:{port}/", timeout=30).text == "OK"
    server.kill()
    lines = server.stderr.read().splitlines()
    assert [line for line in lines if "Cannot accept a connection: Too many open files" in line]
    assert len(lines) <= 3
