"""The direct sources with real brokers, dispatchers and a worker."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from flower.capture.factory import create_capture
from flower.capture.settings import settings_from_app
from flower.capture.spill_queue import Chunk, SpillQueue
from tests.helpers.capture_session import CaptureSession
from tests.helpers.servers import BrokerServer, RabbitMQ, Redis, free_port, wait_for

MakeRig = Callable[..., CaptureSession]


@pytest.fixture(scope="module")
def own_rabbitmq() -> Iterator[RabbitMQ]:
    """A server that tests may restart and stop, in contrast to the shared server."""
    with RabbitMQ() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


def test_single_and_batched_events_arrive(broker: Any, rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    r = rig(broker.url)
    r.send(*(f"single-{n}" for n in range(100)))
    with r.app.connection_for_write() as connection:
        dispatcher = r.app.events.Dispatcher(connection, buffer_group=["task"])
        for n in range(240):
            dispatcher.send("task-received", uuid=f"batched-{n}", name="a.b", args="()", kwargs="{}")
        dispatcher.send("task-progress", uuid="custom", percent=50)
        dispatcher.flush()
        dispatcher.send("worker-heartbeat", freq=2.0, loadavg=[1.0, 2, 3])
    expected = {f"single-{n}" for n in range(100)} | {f"batched-{n}" for n in range(240)} | {"custom", None}
    r.until("all events", lambda: r.uuids == expected)
    assert next(event for event in r.events if event.uuid == "custom").data == {"percent": 50}
    assert [batch.token for batch in r.batches] == sorted({batch.token for batch in r.batches})
    assert r.gaps == []
    status = r.capture.status()
    assert status["events"] == len(r.events) == 342
    assert "direct socket" in status["path"]
    assert any("direct socket" in record.getMessage() for record in caplog.records)
    assert ":guest@" not in caplog.text
    assert abs(r.batches[-1].received - time.time()) < 60


def test_after_an_internal_error_capture_continues(
    broker: Any, rig: MakeRig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    r = rig(broker.url)
    receive, failures = SpillQueue.put, [RuntimeError("bug")]

    def fail_once(queue: SpillQueue, chunk: Chunk, timeout: float) -> bool:
        if chunk.data and failures:
            raise failures.pop()
        return receive(queue, chunk, timeout)

    monkeypatch.setattr(SpillQueue, "put", fail_once)
    r.send("first")
    # RabbitMQ delivers the messages again; from Redis they are lost, which is a gap.
    r.until("the new connection", lambda: r.connected() and (r.gaps != [] or "first" in r.uuids))
    r.send("second")
    r.until("the next event", lambda: "second" in r.uuids)
    assert [("internal error" in gap.reason) for gap in r.gaps] == [True] * isinstance(broker, Redis)
    assert "RuntimeError: bug" in caplog.text


@pytest.mark.parametrize("serializer", ["yaml", "msgpack", "pickle"])
def test_other_serializers_and_compression(broker: Any, rig: MakeRig, serializer: str) -> None:
    r = rig(broker.url, event_serializer=serializer)
    r.send("a", "b")
    event = {"type": "task-started", "uuid": "zipped", "timestamp": 5.0}
    r.publish(event, serializer=serializer, compression="gzip")
    r.publish([event, {**event, "uuid": "json"}], serializer="json", compression="bzip2")
    r.until("events", lambda: r.uuids == {"a", "b", "zipped", "json"})
    assert r.capture.status()["malformed"] == {}


def test_malformed_messages_are_counted(broker: Any, rig: MakeRig) -> None:
    r = rig(broker.url)
    started = {"type": "task-started", "timestamp": 1.0}
    bodies = [b"not json", b"[1, 2", b"7", b"{}", b'{"type":"task-started"}', b"\xff\xfe\x00", b""]
    bodies += [json.dumps({**started, "uuid": 5}).encode(), json.dumps([{**started, "uuid": "mixed"}, None]).encode()]
    good: dict[str, dict[str, Any]] = {
        "big": {"args": "x" * 10_000_000},
        "control": {"exception": "\x00\x01\x1b[31m"},
        "surrogate": {"exception": "\ud800"},
        "types": {"args": [1], "runtime": "0.5", "clock": True},
        "1970": {"timestamp": 0},
        "2100": {"timestamp": 4102444800},
    }
    bodies += [json.dumps({**started, "uuid": uuid, **fields}).encode() for uuid, fields in good.items()]
    for body in bodies:
        r.publish(body)
    r.publish(b"\x80\x04.", content_type="application/x-python-serialize", content_encoding="binary")
    r.send("last")
    r.until("the last", lambda: "last" in r.uuids)
    assert r.uuids == {*good, "mixed", "5", "last"}  # integers are ids of foreign senders
    assert len(next(event for event in r.events if event.uuid == "big").args or "") == 10_000_000
    malformed = r.capture.status()["malformed"]
    assert malformed["serializer"] == 1
    assert malformed["no uuid"] == 1
    assert sum(malformed.values()) >= 8


def test_a_real_worker(broker: Any, rig: MakeRig, tmp_path: Path) -> None:
    """Started without -E: only the enable_events broadcast makes it send task events."""
    (tmp_path / "proj.py").write_text(
        "from celery import Celery\n"
        f"app = Celery('proj', broker={broker.url!r})\n"
        "app.conf.update(worker_hijack_root_logger=False)\n"
        "@app.task(name='add')\n"
        "def add(a, b): return a + b\n"
        "@app.task(name='fail', bind=True)\n"
        "def fail(self): self.send_event('task-progress', percent=5); raise ValueError('no')\n"
    )
    command = [sys.executable, "-m", "celery", "-A", "proj", "worker", "-c", "1", "-l", "warning", "-n", "w1@test"]
    worker = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    try:
        r = rig(broker.url, options={"enable_events": True, "enable_interval": 0.3})
        r.until("a heartbeat", lambda: any(event.type == "worker-heartbeat" for event in r.events), 60)

        def enabled() -> bool:
            r.app.send_task("add", (1, 2), task_id=f"probe-{time.monotonic_ns()}")
            return any(event.uuid and event.uuid.startswith("probe") for event in r.events)

        r.until("task events", enabled, 60)
        r.app.send_task("fail", task_id="bad")
        r.until("its end", lambda: any(event.uuid == "bad" and event.type == "task-failed" for event in r.events), 60)
        kinds = [event.type for event in r.events if event.uuid == "bad"]
        assert set(kinds) == {"task-received", "task-started", "task-progress", "task-failed"}
        progress = next(event for event in r.events if event.type == "task-progress")
        assert progress.data == {"percent": 5}
        assert r.capture.status()["malformed"] == {}
        assert r.capture.status()["skipped"] == 0
    finally:
        worker.terminate()
        worker.wait(60)


def test_burst_is_complete_and_in_order(broker: Any, rig: MakeRig) -> None:
    """A burst larger than the memory limit, while nothing is read."""
    r = rig(broker.url, options={"memory_limit": 100_000, "prefetch": 2000})
    with r.app.connection_for_write() as connection:
        dispatcher = r.app.events.Dispatcher(connection, buffer_group=["task"])
        for n in range(20_000):
            dispatcher.send("task-started", uuid=str(n))
        dispatcher.flush()
    # beyond the memory limit, messages stay in the queue on RabbitMQ and are spilled to disk on Redis
    waiting = "spilled_bytes" if isinstance(broker, Redis) else "backlog_bytes"
    wait_for("a backlog", lambda: r.capture.status()[waiting] > 0)
    r.until("all", lambda: len(r.events) >= 20_000)
    assert [event.uuid for event in r.events] == [str(n) for n in range(20_000)]
    assert r.capture.status()["backlog_bytes"] == 0


def test_stop_is_quick_and_received_events_stay_readable(broker: Any, rig: MakeRig) -> None:
    others = set(threading.enumerate())
    r = rig(broker.url, options={"enable_events": True})
    r.send("kept")
    wait_for("bytes", lambda: r.capture.status()["backlog_bytes"] > 0)
    began = time.monotonic()
    r.capture.stop()
    assert time.monotonic() - began < 8
    wait_for("threads", lambda: not {t for t in threading.enumerate() if t.name.startswith("capture")} - others)
    r.read(0)
    assert r.uuids == {"kept"}
    assert r.capture.read(5) is None


def test_unreachable_broker_is_logged_once_and_retried(rig: MakeRig, caplog: pytest.LogCaptureFixture) -> None:
    server = Redis()
    r = rig(server.url, wait=False)
    wait_for("an error", lambda: r.capture.status()["last_error"] is not None)
    assert "connection refused" in str(r.capture.status()["last_error"])
    with server:
        wait_for("capture", r.connected)
        r.send("late")
        r.until("events", lambda: r.uuids == {"late"})
    assert r.gaps == []
    assert sum("broker unreachable" in record.getMessage() for record in caplog.records) <= 2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("amqp://guest:s3cret@127.0.0.1:{rabbitmq}//", "rejected the user or password"),
        ("amqp://guest:guest@127.0.0.1:{rabbitmq}/s3cretless", "virtual host not found"),
        ("amqp://guest:s3cret@127.0.0.1:{free}//", "connection refused"),
        ("redis://:s3cret@127.0.0.1:{locked}/0", "rejected the user or password"),
        ("redis://127.0.0.1:{locked}/0", "requires a password"),
        ("redis://:s3cret@no-such-host.invalid:1/0", "host not found"),
        ("nonsense://:s3cret@host/0", ""),
        ("redis://:s3cret@host:port/0", ""),
        ("zookeeper://host:1", ""),
    ],
)
def test_connection_errors_are_described(
    url: str, message: str, rabbitmq_server: RabbitMQ, rig: MakeRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with Redis("--requirepass", "opensesame") as locked:
        broker_url = url.format(rabbitmq=rabbitmq_server.port, free=free_port(), locked=locked.port)
        r = rig(broker_url, wait=False)
        wait_for("an error", lambda: r.capture.status()["last_error"] is not None)
        assert message in str(r.capture.status()["last_error"])
        assert "s3cret@" not in caplog.text + repr(r.capture.status())
        assert "opensesame" not in caplog.text


# ---- Redis


def test_redis_restart_is_recorded_as_a_gap(own_redis: Redis, rig: MakeRig) -> None:
    r = rig(own_redis.url, options={"enable_events": True})
    r.send("before")
    r.until("before", lambda: r.uuids == {"before"})
    lost = time.time()
    own_redis.stop()
    stopped = time.time()
    wait_for("the loss", lambda: not r.connected())
    own_redis.start()
    wait_for("the return", r.connected)
    back = time.time()
    r.send("after")
    r.until("after", lambda: r.uuids == {"before", "after"})
    r.until("a gap", lambda: bool(r.gaps))
    (gap,) = r.gaps
    assert lost - 4 <= gap.start <= stopped <= (gap.end or 0) <= back
    assert gap.cause == "broker_unreachable"
    assert "closed the connection" in gap.reason


def test_redis_disconnecting_a_slow_reader_makes_a_gap(own_redis: Redis, rig: MakeRig) -> None:
    import redis

    r = rig(own_redis.url)
    client = redis.Redis(port=own_redis.port)
    client.client_kill_filter(_type="pubsub")
    r.until("a gap", lambda: bool(r.gaps))
    client.close()
    assert r.gaps[0].end is not None


@pytest.mark.parametrize(
    "options",
    [
        {"fanout_prefix": False},
        {"fanout_prefix": "mine."},
        {"fanout_patterns": False},
        {"fanout_prefix": False, "fanout_patterns": False},
        {"global_keyprefix": "tenant:"},
        {"client_name": "bell", "socket_keepalive": True, "socket_timeout": 5},
    ],
)
def test_redis_transport_options(redis_server: Redis, rig: MakeRig, options: dict[str, Any]) -> None:
    r = rig(redis_server.url.replace("/0", "/3"), broker_transport_options=options, event_exchange="other")
    r.send("x")
    r.until("events", lambda: r.uuids == {"x"})


def test_redis_with_password_over_a_unix_socket(rig: MakeRig, tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    with Redis("--unixsocket", str(path), "--requirepass", "opensesame") as server:
        for url in (f"redis+socket://:opensesame@{path}", f"redis://:opensesame@127.0.0.1:{server.port}/0"):
            r = rig(url)
            assert r.capture.status()["path"] == "Redis, direct socket"
            r.send("x")
            r.until("events", lambda: r.uuids == {"x"})  # noqa: B023 - called here
            assert "opensesame" not in repr(r.capture.status())


def test_redis_over_tls(rig: MakeRig, tmp_path: Path) -> None:
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject,
         "-keyout", tmp_path / "key", "-out", tmp_path / "crt"], check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", str(tmp_path / "crt"), "--tls-key-file", str(tmp_path / "key"),
           "--tls-ca-cert-file", str(tmp_path / "crt"), "--tls-auth-clients", "no"]  # fmt: skip
    import ssl

    with Redis(*tls):
        use = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(tmp_path / "crt")}
        r = rig(f"rediss://localhost:{port}/0", broker_use_ssl=use)
        r.send(*(str(n) for n in range(50)), args="x" * 20_000)
        r.until("events", lambda: len(r.uuids) == 50)


def test_server_that_is_not_redis(rig: MakeRig) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        r = rig(
            f"redis://127.0.0.1:{other.getsockname()[1]}/0", wait=False, broker_transport_options={"socket_timeout": 1}
        )
        one, _ = other.accept()
        one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        wait_for("an error", lambda: r.capture.status()["last_error"] is not None)
        one.close()


# ---- RabbitMQ


def test_unacknowledged_events_are_redelivered(rabbitmq_server: RabbitMQ, tmp_path: Path) -> None:
    """A recorder that crashes before its batch is on disk loses no event."""
    app = Celery("x", broker=rabbitmq_server.url, set_as_current=False)
    settings = settings_from_app(app, queue_name=f"again-{time.time_ns()}", spill_folder=tmp_path, enable_events=False)

    def opened() -> CaptureSession:
        made = CaptureSession(app, create_capture(settings))
        made.capture.start()
        wait_for("capture", made.connected)
        return made

    first = opened()
    first.send("safe")
    first.until("safe", lambda: first.uuids == {"safe"})
    first.send("held-1", "held-2")
    first.until("held", lambda: len(first.uuids) == 3, done=False)
    first.capture.stop()  # without acknowledging
    first.send("meanwhile")
    second = opened()
    second.until("redelivery", lambda: second.uuids >= {"held-1", "held-2", "meanwhile"})
    assert "safe" not in second.uuids
    assert second.gaps == []
    second.capture.stop()
    third = opened()
    third.send("end")
    third.until("the end", lambda: "end" in third.uuids)
    assert third.uuids == {"end"}
    third.capture.stop()
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete(third.capture._capture._source.queue)


def test_lost_connection_to_rabbitmq_loses_no_event(rabbitmq_server: RabbitMQ, rig: MakeRig) -> None:
    r = rig(rabbitmq_server.url)
    r.send("before")
    r.until("before", lambda: r.uuids == {"before"}, done=False)
    r.capture._capture._drain.current[1].close("cut by the test")
    r.send("meanwhile")
    r.until("all", lambda: r.uuids == {"before", "meanwhile"} and r.connected())
    r.until("before again", lambda: sum(event.uuid == "before" for event in r.events) == 2)
    assert r.gaps == []


def test_restart_of_rabbitmq_and_a_deleted_queue_make_a_gap(own_rabbitmq: RabbitMQ, rig: MakeRig) -> None:
    """The queue survives a restart, but the events in it do not."""
    server = own_rabbitmq
    r = rig(server.url, options={"enable_events": True})
    r.send("before")
    r.until("before", lambda: r.uuids == {"before"})
    stopped_at = time.time()
    server.stop()
    wait_for("the loss", lambda: not r.connected())
    server.start()
    r.send("meanwhile")
    wait_for("the return", r.connected)
    r.send("after")
    r.until("after", lambda: {"before", "meanwhile", "after"} <= r.uuids)
    assert [gap.cause for gap in r.gaps] == ["broker_restarted"]
    assert r.gaps[0].start < stopped_at - 1.0  # it had not routed all that was sent
    with r.app.connection_for_write() as connection:
        connection.default_channel.queue_delete(r.capture._capture._source.queue)
    r.until("a second gap", lambda: len(r.gaps) == 2)
    assert r.gaps[1].cause == "queue_expired"
    r.send("recreated")
    r.until("recreated", lambda: "recreated" in r.uuids)


def test_queue_with_different_settings_is_used_unchanged(
    rabbitmq_server: RabbitMQ, rig: MakeRig, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"other-{time.time_ns()}"
    first = rig(rabbitmq_server.url, options={"queue_name": name, "delete_queue_on_stop": False})
    first.capture.stop()
    second = rig(rabbitmq_server.url, options={"queue_name": name, "queue_expires": 60.0})
    assert "exists with different settings" in caplog.text
    second.send("x")
    second.until("events", lambda: second.uuids == {"x"})


def test_rabbitmq_failover_and_idle_connection(rabbitmq_server: RabbitMQ, rig: MakeRig) -> None:
    """The first of two brokers is unreachable; heartbeats keep an idle connection open."""
    r = rig(f"amqp://127.0.0.1:{free_port()}//;{rabbitmq_server.url}", broker_heartbeat=1)
    connection = r.capture._capture._drain.current
    r.read(4)
    assert r.capture._capture._drain.current is connection
    r.app.conf.broker_url = rabbitmq_server.url
    r.send("x")
    r.until("events", lambda: r.uuids == {"x"})


def test_unresponsive_broker_is_detected(own_rabbitmq: RabbitMQ, rig: MakeRig) -> None:
    import signal

    r = rig(own_rabbitmq.url, broker_heartbeat=10)
    own_rabbitmq.signal(signal.SIGSTOP)
    try:
        wait_for("the silence to be detected", lambda: not r.connected(), 8)  # before the first missed heartbeat
    finally:
        own_rabbitmq.signal(signal.SIGCONT)
    wait_for("the return", r.connected)


def test_messages_of_several_frames_and_empty_messages(rabbitmq_server: RabbitMQ, rig: MakeRig) -> None:
    r = rig(rabbitmq_server.url)
    for size in (0, 1, 131_064, 131_072, 131_073, 400_000):
        r.publish(json.dumps({"type": "task-started", "uuid": str(size), "timestamp": 1, "args": "x" * size}).encode())
    r.publish(b"")
    r.send("last")
    r.until("last", lambda: "last" in r.uuids)
    assert len(r.uuids) == 7
    assert r.capture.status()["malformed"] == {"not JSON": 1}


def test_source_matches_the_broker(broker: BrokerServer, rig: MakeRig) -> None:
    path = str(rig(broker.url).capture.status()["path"])
    assert path.startswith("Redis" if isinstance(broker, Redis) else "RabbitMQ")


def test_an_older_kombu_is_read_directly_too(own_redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 5.6.1 a connection of kombu has no attribute `credential_provider`."""
    app = Celery(broker=own_redis.url)
    connection = app.connection_for_read()
    monkeypatch.delattr(connection, "credential_provider", raising=False)
    monkeypatch.setattr(app, "connection_for_read", lambda *args, **kwargs: connection)
    monkeypatch.setattr("flower.capture.factory.app_from_settings", lambda settings: app)
    capture = create_capture(settings_from_app(app))
    assert "direct socket" in str(capture.status()["path"])
