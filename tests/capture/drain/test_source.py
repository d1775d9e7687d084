"""Connections of the drain process to a real Redis: opened by the connector, and again without it."""

import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from flower.capture.connection import NoAnswer, describe_error
from flower.capture.drain import source as drain_source
from flower.capture.drain.settings import DrainSettings
from flower.capture.drain.source import CannotConnect, DrainSource, RedisAddress
from flower.capture.interruption import Interruption
from flower.capture.settings import CaptureSettings, settings_from_app
from flower.capture.source import SourceConnection
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import Redis, TlsRedis, free_port, wait_for


def make_app(url: str, **conf: Any) -> Celery:
    app = Celery("drained", broker=url, set_as_current=False)
    app.conf.update(conf)
    return app


def make_settings(app: Celery) -> CaptureSettings:
    return settings_from_app(app, enable_events=False)


@contextmanager
def receiving(connection: SourceConnection) -> Iterator[bytearray]:
    """What the connection receives meanwhile."""
    received = bytearray()

    def put(data: bytes, _received: float, _since: float, _timeout: float) -> bool:
        received.extend(data)
        return True

    thread = threading.Thread(target=connection.run, args=(put,))
    thread.start()
    try:
        yield received
    finally:
        connection.close("the test ends")
        thread.join(20)


def check_receives(connection: SourceConnection, app: Celery) -> None:
    with receiving(connection) as received:
        CaptureSession(app, None).send("some-task")
        wait_for("the event", lambda: b"celeryev" in received or b"other" in received)


@pytest.fixture
def connector_starts(monkeypatch: pytest.MonkeyPatch) -> list[CaptureSettings]:
    """The settings with which the connector was started."""
    starts: list[CaptureSettings] = []
    run = drain_source._run_connector

    def count_and_run(settings: CaptureSettings) -> Any:
        starts.append(settings)
        return run(settings)

    monkeypatch.setattr(drain_source, "_run_connector", count_and_run)
    return starts


def check_two_connections(app: Celery) -> None:
    source = DrainSource(make_settings(app))
    for _ in range(2):
        check_receives(source.connect(None), app)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fanout_prefix": False, "fanout_patterns": False},
        {"global_keyprefix": "tenant:"},
        {"client_name": "bell", "socket_keepalive": True, "socket_timeout": 5},
    ],
)
def test_later_connections_are_opened_without_the_connector(
    redis_server: Redis, connector_starts: list[CaptureSettings], options: dict[str, Any]
) -> None:
    url = redis_server.url.replace("/0", "/3")
    check_two_connections(make_app(url, broker_transport_options=options, event_exchange="other"))
    assert len(connector_starts) == 1


def test_login_and_unix_socket(connector_starts: list[CaptureSettings], tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    users = ("--user", "mia", "on", ">open:sesame", "~*", "&*", "+@all")
    with Redis("--unixsocket", str(path), "--requirepass", "opensesame", *users) as server:
        for login, place in (
            (":opensesame@", str(path)),
            (":opensesame@", f"127.0.0.1:{server.port}/0"),
            ("mia:open%3Asesame@", f"127.0.0.1:{server.port}/0"),
        ):
            scheme = "redis+socket" if place.startswith("/") else "redis"
            check_two_connections(make_app(f"{scheme}://{login}{place}"))
    assert len(connector_starts) == 3


def test_with_several_urls_the_connector_chooses(redis_server: Redis, connector_starts: list[CaptureSettings]) -> None:
    check_two_connections(make_app(f"redis://127.0.0.1:{free_port()}/0;{redis_server.url}"))
    assert len(connector_starts) == 2


def test_tls_connections_are_opened_in_the_process(connector_starts: list[CaptureSettings]) -> None:
    with TlsRedis() as server:
        use = {"ssl_cert_reqs": "required", "ssl_ca_certs": str(server.ca)}
        check_two_connections(make_app(server.url, broker_use_ssl=use))
    assert len(connector_starts) == 1


def test_errors_are_those_of_the_client_library() -> None:
    def message(url: str) -> str:
        with pytest.raises(CannotConnect) as error:
            DrainSource(make_settings(make_app(url))).connect(None)
        return describe_error(error.value, url)

    port = free_port()
    assert message(f"redis://:secret@127.0.0.1:{port}/0") == f"connection refused (redis://:**@127.0.0.1:{port}/0)"
    assert message("redis://no-such-host.invalid/0") == "host not found (redis://no-such-host.invalid/0)"
    with Redis("--requirepass", "opensesame") as server:
        assert message(server.url) == f"the broker requires a password ({server.url})"


def test_errors_of_later_connections(redis_server: Redis) -> None:
    def make_address(**changes: Any) -> RedisAddress:
        values: dict[str, Any] = {"path": "", "host": "127.0.0.1", "port": redis_server.port, "timeout": 1.0}
        options = dict.fromkeys(("username", "password", "client_name", "keep_alive"))
        return RedisAddress(**values | options | changes)

    def message(**changes: Any) -> str:
        address = make_address(**changes)
        with pytest.raises(Exception) as error:  # noqa: PT011 - any: the message is compared
            address.open()
        return describe_error(error.value, "redis://there/0")

    assert message(port=free_port()) == "connection refused (redis://there/0)"
    assert "x" not in repr(make_address(password="x"))
    assert message(username="mia", password="x") == "the broker rejected the user or password (redis://there/0)"
    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=lambda: other.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
        thread.start()
        assert message(port=other.getsockname()[1], password="x").startswith("invalid Redis protocol data received")
        thread.join(20)


def test_a_connector_that_is_killed_is_an_error(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CannotConnect, match="ended unexpectedly"):
        DrainSource(make_settings(make_app(redis_server.url))).connect(None)


def test_a_connector_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_source, "_CONNECTOR_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoAnswer):
        DrainSource(make_settings(make_app(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))).connect(None)


def test_the_cause_of_a_lost_connection_is_found() -> None:
    """Redis closes the connections of clients that are too slow."""
    with Redis("--client-output-buffer-limit", "pubsub", "100kb", "100kb", "1") as server:
        app = make_app(server.url)
        source = DrainSource(make_settings(app))
        first = source.connect(None)
        app.connection_for_write().default_channel.client.publish("/0.celeryev/x", b"x" * 50_000_000)
        with receiving(first):
            wait_for("the loss", lambda: first.is_closed_by_peer)
        gap = source.connect(Interruption(1.0, "broker_unreachable", "lost", first.is_closed_by_peer)).gap
    assert gap is not None
    assert gap.cause == "redis_overflow"


LOADED = """
import pickle, sys
from flower.capture.drain import process
settings = pickle.load(sys.stdin.buffer)
process.DrainSource(settings.capture).connect(None)
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_the_process_does_not_load_client_libraries(redis_server: Redis) -> None:
    app = make_app(redis_server.url, broker_transport_options={"visibility_timeout": 10})
    settings = pickle.dumps(DrainSettings(make_settings(app), "folder", "1"))
    output = subprocess.run([sys.executable, "-c", LOADED], input=settings, capture_output=True, check=True).stdout
    loaded = set(output.decode().split())
    assert "hiredis" in loaded
    assert not loaded & {
        "celery", "kombu", "redis", "amqp", "asyncio", "cryptography", "numpy", "apsw", "tantivy", "click", "yaml",
    }  # fmt: skip
