"""What workers and clients append to the Redis stream: a real Redis, dispatchers of real applications, and refused
commands."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from celery import Celery
from redis import Redis as RedisClient

from flower.capture.factory import create_capture
from flower.capture.settings import settings_from_app
from tests.helpers.capture_session import CaptureSession
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import DURABLE_EVENTS, Worker
from tests.helpers.servers import RabbitMQ, Redis, wait_for

KEY = "celeryev.stream"


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def client(own_redis: Redis) -> Iterator[RedisClient]:
    with RedisClient(port=own_redis.port) as client:
        yield client


def durable_app(url: str, **conf: Any) -> Celery:
    app = Celery("durable", broker=url, set_as_current=False)
    app.events_cls = DURABLE_EVENTS
    app.conf.update(conf)
    return app


def entries(client: RedisClient, key: str = KEY) -> list[Any]:
    return list(client.xrange(key) or ())


def stream_uuids(client: RedisClient, key: str = KEY) -> list[str]:
    return [msgspec.json.decode(fields[b"e"])["uuid"] for _, fields in entries(client, key) if b"e" in fields]


def published(client: RedisClient) -> Any:
    """A subscription to the events, as they are published."""
    subscription = client.pubsub(ignore_subscribe_messages=True)
    subscription.psubscribe("/0.celeryev/*")
    subscription.get_message(timeout=5)
    return subscription


def read_published(subscription: Any) -> list[dict[str, Any]]:
    messages = []
    while (message := subscription.get_message(timeout=0.3)) is not None:
        messages.append(msgspec.json.decode(message["data"]))
    return messages


def send(app: Celery, *uuids: str, **options: Any) -> None:
    with app.connection_for_write() as connection, app.events.Dispatcher(connection, **options) as dispatcher:
        for uuid in uuids:
            dispatcher.send("task-started", uuid=uuid)
        dispatcher.flush()


def test_single_and_batched_events_are_appended_and_published(own_redis: Redis, client: RedisClient) -> None:
    app, subscription = durable_app(own_redis.url), published(client)
    send(app, "a", "b")
    send(app, *map(str, range(30)), buffer_group=["task"])
    assert stream_uuids(client) == ["a", "b", *map(str, range(30))]
    messages = read_published(subscription)
    assert all(message["headers"]["bellflower_stream"] == 1 for message in messages)
    assert len(messages) == 4  # two events, and batches of 24 and 6


@pytest.mark.parametrize("serializer", ["yaml", "msgpack", "pickle"])
def test_events_of_other_serializers_are_recorded_once(own_redis: Redis, serializer: str) -> None:
    app = durable_app(own_redis.url, event_serializer=serializer)
    send(app, "first")
    session = CaptureSession(app, create_capture(settings_from_app(app, enable_events=False)))
    session.capture.start()
    try:
        session.until("the first", lambda: "first" in session.uuids)
        send(app, "a", "b", buffer_group=["task"])
        send(app, "last")
        session.until("the last", lambda: "last" in session.uuids)
        assert [event.uuid for event in session.events] == ["first", "a", "b", "last"]
    finally:
        session.capture.stop()


def test_stream_has_the_global_key_prefix_and_a_maximum_length(own_redis: Redis, client: RedisClient) -> None:
    options = {"broker_transport_options": {"global_keyprefix": "shop-"}, "event_stream_max_length": 50}
    send(durable_app(own_redis.url, **options), *map(str, range(500)))
    # Redis removes whole nodes of the stream: up to 100 more
    assert 50 <= client.xlen(f"shop-{KEY}") <= 150
    assert stream_uuids(client, f"shop-{KEY}")[-1] == "499"


def test_nothing_is_appended_on_other_brokers(rabbitmq_server: RabbitMQ) -> None:
    app = durable_app(rabbitmq_server.url)
    with app.connection_for_write() as connection:
        assert app.events.stream_of(connection) is None
    send(app, "a", buffer_group=["task"])


def test_refused_events_are_published_and_appended_later_in_order(
    own_redis: Redis, client: RedisClient, caplog: pytest.LogCaptureFixture
) -> None:
    app, subscription = durable_app(own_redis.url), published(client)
    with app.connection_for_write() as connection, app.events.Dispatcher(connection) as dispatcher:
        dispatcher.send("task-started", uuid="before")
        client.config_set("maxmemory", "1")  # Redis refuses XADD and accepts PUBLISH
        for number in range(20):
            dispatcher.send("task-started", uuid=str(number))
        client.config_set("maxmemory", "0")

        def appended() -> bool:
            dispatcher.send("task-started", uuid="after")
            return "after" in stream_uuids(client)

        wait_for("the stream", appended)
    uuids = stream_uuids(client)
    assert uuids[:21] == ["before", *map(str, range(20))]
    assert set(uuids[21:]) == {"after"}
    headers = [message["headers"] for message in read_published(subscription)]
    # The event whose refusal was noticed is published twice: it is not in the stream after all.
    assert [each["bellflower_stream"] for each in headers[:4]] == [1, 1, 2, 2]
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "durable events: cannot append" in warnings[0].getMessage()


def test_dropped_events_are_reported_in_the_stream(
    own_redis: Redis, client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flower.durable_events._MAX_BUFFERED", 10)
    app = durable_app(own_redis.url)
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, hostname="w1@shop")
        dispatcher.send("task-started", uuid="before")
        client.config_set("maxmemory", "1")
        for number in range(25):
            dispatcher.send("task-started", uuid=str(number))
        client.config_set("maxmemory", "0")
        wait_for("the stream", lambda: (dispatcher.send("task-started", uuid="x"), client.xlen(KEY) > 5)[1])
    assert stream_uuids(client)[0] == "before"
    assert stream_uuids(client)[-1] == "x"
    loss = next(msgspec.json.decode(fields[b"d"]) for _, fields in entries(client) if b"d" in fields)
    assert loss["hostname"] == "w1@shop"
    assert loss["event_count"] >= 15
    assert loss["start"] <= loss["end"]


def test_connection_that_redis_closed_loses_nothing(own_redis: Redis, client: RedisClient) -> None:
    app = durable_app(own_redis.url)
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection)
        dispatcher.send("task-started", uuid="a")
        (stream,) = app.events._streams.values()
        client.client_kill_filter(laddr=None, _id=_client_id(client, stream))
        dispatcher.send("task-started", uuid="b")
        dispatcher.send("task-started", uuid="c")
    assert stream_uuids(client) == ["a", "b", "c"]


def _client_id(client: RedisClient, stream: Any) -> str:
    host, port = stream._connection._sock.getsockname()
    return next(each["id"] for each in client.client_list() if each["addr"] == f"{host}:{port}")


def test_threads_share_one_connection_and_lose_nothing(own_redis: Redis, client: RedisClient) -> None:
    app = durable_app(own_redis.url)
    app.finalize()

    def work(number: int) -> None:
        send(app, *(f"{number}-{count}" for count in range(100)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    uuids = stream_uuids(client)
    assert len(uuids) == 600
    for number in range(6):
        own = [uuid for uuid in uuids if uuid.startswith(f"{number}-")]
        assert own == [f"{number}-{count}" for count in range(100)]


def test_forked_process_uses_a_connection_of_its_own(own_redis: Redis, client: RedisClient) -> None:
    program = f"""
import os
from celery import Celery
app = Celery(broker={own_redis.url!r}, set_as_current=False)
app.events_cls = {DURABLE_EVENTS!r}
def send(dispatcher, name):
    for n in range(200):
        dispatcher.send("task-started", uuid=f"{{name}}-{{n}}")
with app.connection_for_write() as connection:
    dispatcher = app.events.Dispatcher(connection)
    send(dispatcher, "first")
    pid = os.fork()
    if not pid:
        with app.connection_for_write() as own:
            send(app.events.Dispatcher(own), "child")
        os._exit(0)
    send(dispatcher, "parent")
    os.waitpid(pid, 0)
    send(dispatcher, "last")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    uuids = stream_uuids(client)
    assert len(uuids) == 800
    for name in ("first", "child", "parent", "last"):
        assert [uuid for uuid in uuids if uuid.startswith(name)] == [f"{name}-{n}" for n in range(200)]


def test_events_of_clients_prefork_workers_and_tasks_are_in_the_stream(own_redis: Redis, client: RedisClient) -> None:
    app = make(own_redis.url, None)
    app.events_cls = DURABLE_EVENTS
    with Worker(app, "durable", 2):
        results = [app.send_task("shop.add", (1, n)).id for n in range(20)]

        def types() -> set[tuple[str, str]]:
            events = [msgspec.json.decode(fields[b"e"]) for _, fields in entries(client)]
            return {(event["type"], event["uuid"]) for event in events if "uuid" in event}

        expected = {(f"task-{kind}", uuid) for uuid in results for kind in ("sent", "received", "started", "succeeded")}
        wait_for("all events", lambda: types() == expected)


def test_importing_the_module_loads_only_what_celery_has_loaded() -> None:
    program = (
        "import sys, celery.app.events, celery.events.dispatcher, kombu.serialization; before = set(sys.modules); "
        "import flower.durable_events; print(*(set(sys.modules) - before))"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    ).stdout
    assert set(output.split()) == {"flower", "flower.durable_events"}
