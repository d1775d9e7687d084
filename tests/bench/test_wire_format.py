"""The encoded events equal those of a real `EventDispatcher`, as a subscriber of a real broker receives them."""

import base64
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import amqp
import pytest
import redis
from celery import Celery

from bench.event_feed import TRANSPORTS, EventFeed, Transport
from bench.event_stream import Emitted, Workload
from bench.publisher import CONNECTIONS
from bench.wire_format import BATCH, ENCODERS, encode
from tests.helpers.servers import RabbitMQ, Redis

SMALL = Workload(400)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    """A broker without workers of other tests."""
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    with RabbitMQ() as server:
        yield server


#: Fields that Celery sets.
SET_BY_CELERY = ("timestamp", "clock", "pid", "utcoffset", "type", "hostname")


class Received(NamedTuple):
    address: str
    properties: dict[str, Any]
    body: Any


class Subscriber(Protocol):
    """Receives the messages that a monitor receives."""

    def receive(self, count: int) -> list[Received]:
        """The next `count` messages."""
        ...

    def is_drained(self) -> bool: ...

    def close(self) -> None: ...


class RedisSubscriber:
    def __init__(self, server: Redis) -> None:
        # Referenced here: a client that is garbage-collected closes the connections of its subscriptions.
        self.client: Any = redis.Redis.from_url(server.url)
        self.pubsub = self.client.pubsub(ignore_subscribe_messages=True)
        self.pubsub.psubscribe("/0.celeryev/*")
        assert self.pubsub.get_message(timeout=5) is None  # the subscription is confirmed

    def receive(self, count: int) -> list[Received]:
        received: list[Received] = []
        while len(received) < count:
            message = self.pubsub.get_message(timeout=10)
            assert message, f"{len(received)} of {count} messages arrived"
            envelope = json.loads(message["data"])
            assert envelope["properties"].pop("delivery_tag")
            body = json.loads(base64.b64decode(envelope.pop("body")))
            received.append(Received(message["channel"].decode(), envelope, body))
        return received

    def is_drained(self) -> bool:
        return self.pubsub.get_message(timeout=0.2) is None

    def close(self) -> None:
        self.pubsub.close()
        self.client.close()


class RabbitMQSubscriber:
    def __init__(self, server: RabbitMQ) -> None:
        self.connection = amqp.Connection(f"127.0.0.1:{server.port}")
        self.connection.connect()
        self.channel = self.connection.channel()
        self.channel.exchange_declare("celeryev", "topic", durable=True, auto_delete=False)
        self.queue = self.channel.queue_declare(exclusive=True).queue
        self.channel.queue_bind(self.queue, "celeryev", "#")
        self.messages: list[Any] = []
        self.channel.basic_consume(self.queue, callback=self.messages.append, no_ack=True)

    def receive(self, count: int) -> list[Received]:
        while len(self.messages) < count:
            self.connection.drain_events(timeout=10)
        messages, self.messages[:] = self.messages[:count], self.messages[count:]
        return [
            Received(
                f"{m.delivery_info['exchange']}/{m.delivery_info['routing_key']}", m.properties, json.loads(m.body)
            )
            for m in messages
        ]

    def is_drained(self) -> bool:
        with pytest.raises(TimeoutError):
            self.connection.drain_events(timeout=0.2)
        return True

    def close(self) -> None:
        self.connection.close()


def _subscribe(server: Redis | RabbitMQ) -> Subscriber:
    return RedisSubscriber(server) if isinstance(server, Redis) else RabbitMQSubscriber(server)


@pytest.fixture
def subscriber(broker: Redis | RabbitMQ) -> Iterator[Subscriber]:
    with closing(_subscribe(broker)) as subscriber:
        yield subscriber


def _dispatch(url: str, hostname: str, events: list[Emitted], *, buffered: bool) -> None:
    """Send the events as a worker does."""
    app = Celery(broker=url)
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(
            connection, hostname=hostname, buffer_group={"task"} if buffered else None, buffer_limit=BATCH
        )
        for emitted in events:
            fields = {name: value for name, value in emitted.event.items() if name not in SET_BY_CELERY}
            dispatcher.send(emitted.event["type"], **fields)
        dispatcher.flush()


def _assert_same(encoded: Received, dispatched: Received) -> None:
    assert encoded.address == dispatched.address
    assert encoded.properties == dispatched.properties
    first, second = encoded.body, dispatched.body
    assert type(first) is type(second)
    for ours, theirs in zip(first, second, strict=True) if isinstance(first, list) else [(first, second)]:
        assert ours.keys() == theirs.keys()
        free = {"timestamp", "clock", "pid"}
        assert {k: v for k, v in ours.items() if k not in free} == {k: v for k, v in theirs.items() if k not in free}


@pytest.mark.parametrize("batched", [False, True], ids=["single", "batched"])
def test_messages_equal_those_of_a_real_dispatcher(
    broker: Redis | RabbitMQ, subscriber: Subscriber, batched: bool
) -> None:
    sender = "celery@worker-03.example.com"
    events = [each for each in SMALL.events() if each.event["hostname"] == sender]
    assert {each.event["type"] for each in events} >= {
        "task-received",
        "task-started",
        "task-succeeded",
        "worker-online",
    }
    messages = list(encode(events, ENCODERS[broker.name], batched=batched))
    connection = CONNECTIONS[broker.name]("127.0.0.1", broker.port)
    for message in messages:
        connection.send(message.payload, 1)
    connection.flush()
    encoded = subscriber.receive(len(messages))
    connection.close()
    _dispatch(broker.url, sender, events, buffered=batched)
    dispatched = subscriber.receive(len(messages))
    assert subscriber.is_drained()
    for ours, theirs in zip(encoded, dispatched, strict=True):
        _assert_same(ours, theirs)


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.label)
def test_publisher_sends_all_events_in_order(transport: Transport, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(f"{transport.broker}_server")
    expected = [each.event["uuid"] for each in SMALL.events() if "uuid" in each.event]
    with closing(_subscribe(server)) as subscriber, EventFeed(transport, SMALL) as feed:
        feed.connect(server)
        feed.send(feed.steps // 2)
        feed.send_all()
        bodies = [receive.body for receive in subscriber.receive(feed.messages)]
        events = [event for body in bodies for event in (body if isinstance(body, list) else [body])]
        assert feed.events == len(events)
        uuids = [event["uuid"] for event in events if "uuid" in event]
        assert sorted(uuids) == sorted(expected)
        if transport.batched:
            assert max(len(body) for body in bodies if isinstance(body, list)) == BATCH
        else:
            assert uuids == expected
        _assert_in_order(events)


def test_feed_reconnects_to_another_broker() -> None:
    transport = Transport("rabbitmq", batched=True)
    with EventFeed(transport, Workload(50)) as feed:
        for _ in range(2):
            with RabbitMQ() as server:
                feed.connect(server)
                feed.send_all()
                with closing(_subscribe(server)) as subscriber:
                    feed.connect(server)
                    feed.send_all()
                    assert len(subscriber.receive(feed.messages)) == feed.messages


def _assert_in_order(events: list[dict[str, Any]]) -> None:
    """The events of one task are in chronological order."""
    last: dict[str, float] = {}
    for event in events:
        if "uuid" in event:
            assert event["timestamp"] >= last.get(event["uuid"], 0)
            last[event["uuid"]] = event["timestamp"]


def test_long_body_is_split_into_frames(rabbitmq_server: RabbitMQ) -> None:
    event = {"hostname": "celery@long", "uuid": "1", "type": "task-failed", "traceback": "x" * 300_000}
    (message,) = encode([Emitted(event)], ENCODERS["rabbitmq"], batched=False)
    with (
        closing(_subscribe(rabbitmq_server)) as subscriber,
        closing(CONNECTIONS["rabbitmq"]("127.0.0.1", rabbitmq_server.port)) as connection,
    ):
        connection.send(message.payload, 1)
        connection.flush()
        (receive,) = subscriber.receive(1)
    assert receive.body == event
