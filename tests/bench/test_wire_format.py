"""Our bytes beside those of a real `EventDispatcher`, on real brokers: whoever listens cannot tell them apart."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import amqp
import pytest
import redis
from celery import Celery

from bench.event_feed import FORMS, Feed, Form
from bench.event_stream import Emitted, Workload
from bench.publisher import LINES
from bench.wire_format import BATCH, ENCODERS, encode
from tests.helpers.servers import RabbitMQ, Redis

SMALL = Workload(400)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    """One that no worker of another test is heard on."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    with RabbitMQ() as server:
        yield server


#: Celery stamps these itself.
STAMPED = ("timestamp", "clock", "pid", "utcoffset", "type", "hostname")


class Heard(NamedTuple):
    where: str
    about: dict[str, Any]
    body: Any


class Ear(Protocol):
    """Hears what a monitor would."""

    def heard(self, count: int) -> list[Heard]:
        """The next `count` messages."""
        ...

    def nothing_more(self) -> bool: ...

    def close(self) -> None: ...


class RedisEar:
    def __init__(self, server: Redis) -> None:
        # Kept: a client that is forgotten closes the connections of its subscriptions.
        self.client: Any = redis.Redis.from_url(server.url)
        self.pubsub = self.client.pubsub(ignore_subscribe_messages=True)
        self.pubsub.psubscribe("/0.celeryev/*")
        assert self.pubsub.get_message(timeout=5) is None  # the subscription is confirmed

    def heard(self, count: int) -> list[Heard]:
        found: list[Heard] = []
        while len(found) < count:
            message = self.pubsub.get_message(timeout=10)
            assert message, f"{len(found)} of {count} messages came"
            envelope = json.loads(message["data"])
            assert envelope["properties"].pop("delivery_tag")
            body = json.loads(base64.b64decode(envelope.pop("body")))
            found.append(Heard(message["channel"].decode(), envelope, body))
        return found

    def nothing_more(self) -> bool:
        return self.pubsub.get_message(timeout=0.2) is None

    def close(self) -> None:
        self.pubsub.close()
        self.client.close()


class RabbitEar:
    def __init__(self, server: RabbitMQ) -> None:
        self.connection = amqp.Connection(f"127.0.0.1:{server.port}")
        self.connection.connect()
        self.channel = self.connection.channel()
        self.channel.exchange_declare("celeryev", "topic", durable=True, auto_delete=False)
        self.queue = self.channel.queue_declare(exclusive=True).queue
        self.channel.queue_bind(self.queue, "celeryev", "#")
        self.messages: list[Any] = []
        self.channel.basic_consume(self.queue, callback=self.messages.append, no_ack=True)

    def heard(self, count: int) -> list[Heard]:
        while len(self.messages) < count:
            self.connection.drain_events(timeout=10)
        messages, self.messages[:] = self.messages[:count], self.messages[count:]
        return [
            Heard(f"{m.delivery_info['exchange']}/{m.delivery_info['routing_key']}", m.properties, json.loads(m.body))
            for m in messages
        ]

    def nothing_more(self) -> bool:
        with pytest.raises(TimeoutError):
            self.connection.drain_events(timeout=0.2)
        return True

    def close(self) -> None:
        self.connection.close()


def _listen(server: Redis | RabbitMQ) -> Ear:
    return RedisEar(server) if isinstance(server, Redis) else RabbitEar(server)


@pytest.fixture
def ear(broker: Redis | RabbitMQ) -> Iterator[Ear]:
    with closing(_listen(broker)) as listening:
        yield listening


def _dispatch(url: str, hostname: str, events: list[Emitted], *, buffered: bool) -> None:
    """Send them as a worker does."""
    app = Celery(broker=url)
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(
            connection, hostname=hostname, buffer_group={"task"} if buffered else None, buffer_limit=BATCH
        )
        for emitted in events:
            fields = {name: value for name, value in emitted.event.items() if name not in STAMPED}
            dispatcher.send(emitted.event["type"], **fields)
        dispatcher.flush()


def _same(ours: Heard, theirs: Heard) -> None:
    assert ours.where == theirs.where
    assert ours.about == theirs.about
    one, other = ours.body, theirs.body
    assert type(one) is type(other)
    for mine, real in zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]:
        assert mine.keys() == real.keys()
        free = {"timestamp", "clock", "pid"}
        assert {k: v for k, v in mine.items() if k not in free} == {k: v for k, v in real.items() if k not in free}


@pytest.mark.parametrize("batched", [False, True], ids=["single", "batched"])
def test_same_as_a_real_dispatcher(broker: Redis | RabbitMQ, ear: Ear, batched: bool) -> None:
    sender = "celery@worker-03.example.com"
    events = [each for each in SMALL.events() if each.event["hostname"] == sender]
    assert {each.event["type"] for each in events} >= {
        "task-received",
        "task-started",
        "task-succeeded",
        "worker-online",
    }
    messages = list(encode(events, ENCODERS[broker.name], batched=batched))
    line = LINES[broker.name]("127.0.0.1", broker.port)
    for message in messages:
        line.send(message.payload, 1)
    line.settle()
    ours = ear.heard(len(messages))
    line.close()
    _dispatch(broker.url, sender, events, buffered=batched)
    theirs = ear.heard(len(messages))
    assert ear.nothing_more()
    for mine, real in zip(ours, theirs, strict=True):
        _same(mine, real)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.label)
def test_the_publisher_sends_everything_in_order(form: Form, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(f"{form.broker}_server")
    expected = [each.event["uuid"] for each in SMALL.events() if "uuid" in each.event]
    with closing(_listen(server)) as ear, Feed(form, SMALL) as feed:
        feed.connect(server)
        feed.send(feed.steps // 2)
        feed.send_all()
        bodies = [heard.body for heard in ear.heard(feed.messages)]
        events = [event for body in bodies for event in (body if isinstance(body, list) else [body])]
        assert feed.events == len(events)
        uuids = [event["uuid"] for event in events if "uuid" in event]
        assert sorted(uuids) == sorted(expected)
        if form.batched:
            assert max(len(body) for body in bodies if isinstance(body, list)) == BATCH
        else:
            assert uuids == expected
        _orderly(events)


def test_a_feed_moves_on_when_its_broker_is_gone() -> None:
    form = Form("rabbitmq", batched=True)
    with Feed(form, Workload(50)) as feed:
        for _ in range(2):
            with RabbitMQ() as server:
                feed.connect(server)
                feed.send_all()
                with closing(_listen(server)) as ear:
                    feed.connect(server)
                    feed.send_all()
                    assert len(ear.heard(feed.messages)) == feed.messages


def _orderly(events: list[dict[str, Any]]) -> None:
    """Whatever the mixture, the events of one task are in the order of time."""
    last: dict[str, float] = {}
    for event in events:
        if "uuid" in event:
            assert event["timestamp"] >= last.get(event["uuid"], 0)
            last[event["uuid"]] = event["timestamp"]


def test_a_long_body_takes_several_frames(rabbitmq_server: RabbitMQ) -> None:
    event = {"hostname": "celery@long", "uuid": "1", "type": "task-failed", "traceback": "x" * 300_000}
    (message,) = encode([Emitted(event)], ENCODERS["rabbitmq"], batched=False)
    with (
        closing(_listen(rabbitmq_server)) as ear,
        closing(LINES["rabbitmq"]("127.0.0.1", rabbitmq_server.port)) as line,
    ):
        line.send(message.payload, 1)
        line.settle()
        (heard,) = ear.heard(1)
    assert heard.body == event
