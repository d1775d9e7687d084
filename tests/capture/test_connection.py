"""Error messages, masked URLs, retry delays and picklable settings of broker connections."""

import itertools
import pickle
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery

from flower.capture import connection, kombu_source, redis_subscription
from flower.capture.connection import app_from_settings, backoff_delays, describe_error
from flower.capture.enable_events import EventEnabler
from flower.capture.settings import accepted_serializers, settings_from_app
from flower.redaction.settings import mask_url
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import Redis, Sentinel, wait_for

#: The limit is one second; the message has the time that passed, which is more on a loaded machine.
NO_ANSWER = re.compile(r"no answer within \d s")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://:s3cret@host:1/0", "redis://:**@host:1/0"),
        ("amqp://user:s3cret@host//", "amqp://user:**@host//"),
        ("amqp://user:s3/cr@et@host//", "amqp://user:**@host//"),
        ("amqp://u:s3cret@a//;amqp://u:s3cret@b//", "amqp://u:**@a//;amqp://u:**@b//"),
        (["amqp://u:s3cret@a//", "amqp://b//"], "amqp://u:**@a//;amqp://b//"),
        ("rediss://h/0?password=s3cret", "rediss://h/0?…"),
        ("user:s3cret@host", "**@host"),
        (None, ""),
    ],
)
def test_passwords_are_masked(url: object, shown: str) -> None:
    assert mask_url(url) == shown


def test_errors_are_described() -> None:
    url = "redis://:s3cret@h/0"
    assert describe_error(ConnectionRefusedError(111, "Connection refused"), url).startswith("connection refused")
    denied = RuntimeError("ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused for user 'u'")
    assert "no permission" in describe_error(denied, url)
    assert describe_error(socket.gaierror(-2, "Name or service not known"), url).startswith("host not found")
    assert "s3cret" not in describe_error(ValueError("port could not be cast: 's3cret'"), url)
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = TimeoutError("timed out")
    assert describe_error(wrapped, url).startswith("no answer in time")


def test_retry_delays_grow_up_to_a_maximum() -> None:
    waits = list(itertools.islice(backoff_delays(), 50))
    assert 0.7 < waits[0] <= 1
    assert all(22 < wait <= 30 for wait in waits[6:])


def test_settings_can_be_pickled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("x", broker="redis://:s3cret@host:7/3", set_as_current=False)
    app.conf.update(
        event_exchange="other", broker_transport_options={"global_keyprefix": "p:"}, accept_content=["json", "yaml"],
        event_queue_prefix="ev", control_exchange="ctl", broker_failover_strategy=lambda urls: iter([*urls]),
    )  # fmt: skip
    settings = settings_from_app(app, queue_name="n", spill_folder=tmp_path, prefetch=7)
    assert "s3cret" not in repr(settings)
    assert "broker_failover_strategy" in caplog.text
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    built = app_from_settings(again)
    assert built.conf.broker_read_url == "redis://:s3cret@host:7/3"
    assert (built.conf.event_exchange, built.conf.event_queue_prefix, built.conf.control_exchange) == (
        "other",
        "ev",
        "ctl",
    )
    assert built.conf.broker_transport_options == {"global_keyprefix": "p:"}
    assert accepted_serializers(again) == {"json", "yaml"}
    assert "pickle" not in accepted_serializers(again)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr(redis_subscription, "CONNECT_TIMEOUT", 1.0)


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:{port}/0",
        "rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none",
        "amqp://guest:guest@127.0.0.1:{port}//",
        "amqps://guest:guest@127.0.0.1:{port}//",
        "sentinel://127.0.0.1:{port}/0",
    ],
)
def test_a_broker_that_does_not_answer_is_reported_in_time(
    silent_port: int, rig: Callable[..., CaptureSession], url: str, caplog: pytest.LogCaptureFixture
) -> None:
    session = rig(
        url.format(port=silent_port), wait=False, broker_transport_options={"master_name": "shop"},
        options={"enable_events": True},
    )  # fmt: skip
    wait_for("an error", lambda: session.capture.status()["last_error"] is not None)
    assert NO_ANSWER.search(str(session.capture.status()["last_error"]))
    assert NO_ANSWER.search(caplog.text)


@pytest.mark.usefixtures("short_limit")
def test_tls_on_a_port_without_tls_is_reported_in_time(redis_server: Redis, rig: Callable[..., CaptureSession]) -> None:
    session = rig(f"rediss://127.0.0.1:{redis_server.port}/0?ssl_cert_reqs=none", wait=False)
    wait_for("an error", lambda: session.capture.status()["last_error"] is not None)
    error = str(session.capture.status()["last_error"])
    assert "no answer within" in error or "TLS handshake failed" in error


@pytest.mark.usefixtures("short_limit")
def test_capture_connects_when_a_silent_broker_answers_again(rig: Callable[..., CaptureSession]) -> None:
    with Redis() as server:
        server.signal(signal.SIGSTOP)
        session = rig(server.url, wait=False)
        wait_for("an error", lambda: session.capture.status()["last_error"] is not None)
        server.signal(signal.SIGCONT)
        wait_for("capture", session.connected)
        session.send("one")
        session.until("the event", lambda: session.uuids == {"one"})


@pytest.mark.usefixtures("short_limit")
def test_broadcasts_of_enable_events_are_limited_in_time(silent_port: int, caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("silent", broker=f"redis://127.0.0.1:{silent_port}/0", set_as_current=False)
    enabler = EventEnabler(app, 0.1)
    enabler.start()
    enabler.on_connect()
    try:
        wait_for("a warning", lambda: "cannot broadcast enable_events: no answer within " in caplog.text)
    finally:
        enabler.stop()


@pytest.mark.usefixtures("short_limit")
def test_a_frozen_redis_behind_a_sentinel_is_detected(
    rig: Callable[..., CaptureSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kombu_source, "_PROBE_INTERVAL", 0.5)
    with Redis() as master, Sentinel(master) as sentinel:
        session = rig(sentinel.url, broker_transport_options={"master_name": "shop"})
        session.send("before")
        session.until("before", lambda: session.uuids == {"before"})
        frozen = time.time()
        master.signal(signal.SIGSTOP)
        try:
            wait_for("the loss", lambda: not session.connected())
        finally:
            master.signal(signal.SIGCONT)
        session.until("a gap", lambda: bool(session.gaps))
        assert session.gaps[0].start <= frozen + 0.1
