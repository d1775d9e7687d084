"""Limits of size and time for requests and responses, with the protocol of each parser."""

import select
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from flower.store.protocols import Reader
from flower.web import http_protocol, server
from flower.web.http_protocol import MAX_HEAD_SIZE, MAX_HEADERS, MAX_PIPELINED, LimitedH11Protocol
from tests.helpers.servers import wait_for
from tests.helpers.sse_client import StreamReader
from tests.helpers.web_server import WebServer

GET = b"GET /healthcheck HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /api/task/timeout/x HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "h11":
        monkeypatch.setattr(server, "protocol_class", lambda: LimitedH11Protocol)
    return str(request.param)


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_TIMEOUT", "BODY_TIMEOUT", "KEEP_ALIVE_TIMEOUT", "LINGER_TIMEOUT", "WRITE_TIMEOUT"):
        monkeypatch.setattr(http_protocol, name, 0.5)


@pytest.fixture
def own(store: Reader, parser: str, opened: None) -> Iterator[WebServer]:
    """A server with the protocol of the parser."""
    with WebServer(store) as started:
        yield started


Connect = Callable[[], socket.socket]


@pytest.fixture
def connect(own: WebServer) -> Iterator[Connect]:
    opened: list[socket.socket] = []

    def open_connection() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", own.port), timeout=60))
        return opened[-1]

    yield open_connection
    for each in opened:
        each.close()


def read_all(client: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = b""
    try:
        while data := client.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass
    return received


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def test_head_of_64_kilobytes_is_accepted(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall(GET + b"X-Large: " + b"x" * (MAX_HEAD_SIZE - 200) + b"\r\nConnection: close\r\n\r\n")
    assert status(read_all(client)) == 200


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (GET + b"X-Large: " + b"x" * 10 * MAX_HEAD_SIZE, 431),
        (GET + b"".join(b"X-%d: %b\r\n" % (n, b"x" * 8000) for n in range(80)), 431),
        (b"GET /" + b"x" * 10 * MAX_HEAD_SIZE, 414),
    ],
    ids=["one header", "several headers", "URL"],
)
def test_head_without_end_is_rejected(
    own: WebServer, connect: Connect, head: bytes, expected: int, parser: str
) -> None:
    client = connect()
    client.sendall(head)
    response = read_all(client)
    assert status(response) in ({expected} if parser == "httptools" else {414, 431})
    assert b"exceed 65536 bytes" in response
    assert b"connection: close" in response
    assert own.http.get("/healthcheck").text == "OK"


def test_complete_head_that_is_too_large_is_rejected(own: WebServer, connect: Connect, parser: str) -> None:
    if parser == "h11":
        pytest.skip("h11 has no callbacks: up to one read more than the limit is accepted")
    client = connect()
    client.sendall(GET + b"X-Large: " + b"x" * MAX_HEAD_SIZE + b"\r\n\r\n")
    assert status(read_all(client)) == 431
    client = connect()
    client.sendall(GET + b"a:b\r\n" * MAX_HEADERS + b"\r\n")
    assert status(read_all(client)) == 431


@pytest.mark.usefixtures("short_timeouts")
def test_head_that_is_not_completed_in_time_is_answered_408(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall(GET + b"X-Slow: ")
    started = time.monotonic()
    while time.monotonic() - started < 10:
        try:
            client.sendall(b"x")
        except OSError:
            break
        if client in _readable(client):
            break
        time.sleep(0.1)
    assert status(read_all(client)) == 408
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("sent", [b"", GET + b"\r\n", b"\r\n\r\n"], ids=["nothing", "one request", "empty lines"])
def test_idle_connection_is_closed(own: WebServer, connect: Connect, sent: bytes) -> None:
    client = connect()
    client.sendall(sent)
    response = read_all(client)
    assert (status(response) if response else None) in ({None} if not sent else {200, 400, 408})
    wait_for("the connection", lambda: len(own.connections) == 0)


@pytest.mark.usefixtures("short_timeouts")
def test_body_that_is_sent_too_slowly_is_answered_408_without_a_traceback(
    own: WebServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    for head in (b"Content-Length: 1000\r\n\r\nab", b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"):
        client = connect()
        client.sendall(POST + head)
        assert status(read_all(client)) == 408
    assert "Internal error" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.usefixtures("short_timeouts")
def test_body_that_is_sent_fast_enough_has_no_time_limit(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall(POST + b"Content-Length: 40000\r\nConnection: close\r\n\r\n")
    for _ in range(20):
        client.sendall(b"a" * 2000)
        time.sleep(0.1)
    assert status(read_all(client)) != 408


def test_client_that_disconnects_within_a_body_causes_no_log_line(
    own: WebServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    client.sendall(POST + b"Content-Length: 1000\r\n\r\nab")
    wait_for("the connection", lambda: len(own.connections) > 0)
    time.sleep(0.2)
    client.close()
    wait_for("the end of the connection", lambda: len(own.connections) == 0)
    assert "Internal error" not in caplog.text


@pytest.mark.usefixtures("short_timeouts")
def test_rest_of_a_body_after_an_early_response_is_bounded(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    assert status(client.recv(1000)) == 404
    started = time.monotonic()
    while time.monotonic() - started < 10 and _can_send(client):
        time.sleep(0.05)
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("short_timeouts")
def test_expect_100_continue_without_a_body(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall(POST + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
    response = read_all(client)
    assert response.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 408 " in response


def test_trailers_are_bounded(own: WebServer, connect: Connect, parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_TIMEOUT", 0.5)
    if parser == "h11":
        pytest.skip("h11 limits them itself")
    for trailer in (b"X: " + b"x" * 10 * MAX_HEAD_SIZE, b"a:b\r\n" * 2 * MAX_HEADERS):
        client = connect()
        client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        time.sleep(0.1)
        client.sendall(trailer)
        response = read_all(client)
        assert status(response) == 431
        assert response.count(b"HTTP/1.1 ") == 1
    wait_for("the connections", lambda: len(own.connections) <= 1)


def test_chunks_of_one_byte_are_a_valid_body(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall(
        POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"1\r\na\r\n" * 30_000 + b"0\r\n\r\n"
    )
    assert status(read_all(client)) not in (408, 431)


def test_pipelined_requests_are_answered_in_order(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall((GET + b"\r\n") * 20 + b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    response = read_all(client)
    assert response.count(b"HTTP/1.1 200 OK") == 20
    assert response.count(b"HTTP/1.1 404 ") == 1


def test_number_of_pipelined_requests_is_bounded(own: WebServer, connect: Connect, parser: str) -> None:
    client = connect()
    client.sendall((GET + b"\r\n") * 5_000 + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    responses = read_all(client).count(b"HTTP/1.1 200")
    # h11 parses the next request after the response to the one before.
    assert responses <= MAX_PIPELINED if parser == "httptools" else responses >= 5_000


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
def test_upgrade_is_answered_as_http_1_1_and_not_logged(
    own: WebServer, connect: Connect, upgrade: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    client.sendall(GET + b"Connection: Upgrade\r\nUpgrade: " + upgrade + b"\r\nSec-WebSocket-Key: a\r\n\r\n")
    assert status(client.recv(1000)) == 200
    assert "pgrade" not in caplog.text


def test_http_1_0_connection_is_closed_after_the_response(own: WebServer, connect: Connect) -> None:
    client = connect()
    client.sendall(b"GET /healthcheck HTTP/1.0\r\n\r\n")
    assert read_all(client).endswith(b"OK")


def test_malformed_request_is_answered_400(own: WebServer, connect: Connect) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"nonsense\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        client = connect()
        client.sendall(sent)
        assert status(read_all(client)) in (400, 404, 405)


def test_more_than_one_host_is_answered_400(own: WebServer, connect: Connect) -> None:
    """A proxy and the server could use different ones."""
    client = connect()
    client.sendall(b"GET /healthcheck HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n")
    assert status(read_all(client)) == 400


@pytest.mark.parametrize("target", [b"CONNECT a:80", b"CONNECT a", b"GET http://[::1", b"GET http://a:99999/"])
def test_invalid_url_is_answered_400_without_a_traceback(
    own: WebServer, connect: Connect, parser: str, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect()
    client.sendall(target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    expected = (400,) if parser == "httptools" else (404, 405)  # h11 does not parse the URL
    assert status(read_all(client)) in expected
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.usefixtures("short_timeouts")
def test_event_stream_is_not_ended_by_time_limits(own: WebServer) -> None:
    with StreamReader(own.http, topics="tasks") as stream:
        stream.wait("start")
        time.sleep(4)
        assert not stream.over


@pytest.mark.usefixtures("short_timeouts")
def test_client_that_does_not_read_the_response_is_disconnected(own: WebServer, connect: Connect) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", own.port))
    # The responses do not fit into the buffers of the kernel.
    client.settimeout(1)
    try:
        for _ in range(2_000):
            client.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
    except OSError:
        pass
    wait_for("the disconnection", lambda: len(own.connections) == 0)
    client.close()


def test_time_limits_do_not_end_slow_responses(own: WebServer) -> None:
    """A client that reads, although slowly, receives everything."""
    with httpx.stream("GET", f"http://127.0.0.1:{own.port}/api/v1/openapi.json") as response:
        parts = []
        for part in response.iter_raw(50_000):
            parts.append(part)
            time.sleep(0.3)
    assert len(b"".join(parts)) == int(response.headers["content-length"])


def _can_send(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
    except OSError:
        return False
    return True


def _readable(client: socket.socket) -> list[socket.socket]:
    return select.select([client], [], [], 0)[0]
