"""`flower.utils.broker.Broker`: queue lengths by the URL of a broker, as other programs read them."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from kombu.connection import Connection

from flower.errors import BackendUnavailable
from flower.utils.broker import Broker
from tests.helpers.servers import BrokerServer, RabbitMQ, Redis, free_port


def connect(url: str, **options: Any) -> Any:
    return Connection(url, **options)


@pytest.fixture
def queues(broker: BrokerServer) -> Iterator[str]:
    """The URL of a broker with two messages in queue `one` and none in `two`."""
    url = broker.url
    with connect(url) as connection:
        for name in ("broker-one", "broker-two"):
            simple = connection.SimpleQueue(name)
            simple.clear()
            for number in range(2 if name == "broker-one" else 0):
                simple.put({"number": number})
            simple.close()
    yield url
    with connect(url) as connection:
        connection.SimpleQueue("broker-one").clear()


def read(url: str, *names: str, **options: Any) -> list[tuple[str, int]]:
    found = asyncio.run(Broker(url, **options).queues(names))
    return [(queue["name"], queue["messages"]) for queue in found]


def test_lengths_in_the_order_of_the_names(queues: str) -> None:
    assert read(queues, "broker-two", "broker-one") == [("broker-two", 0), ("broker-one", 2)]


def test_unknown_queue_is_empty_on_redis_and_left_out_on_rabbitmq(queues: str) -> None:
    expected = [("no-such-queue", 0)] if queues.startswith("redis") else []
    assert read(queues, "no-such-queue") == expected


def test_options_of_celery(redis_server: Redis) -> None:
    with connect(redis_server.url, transport_options={"global_keyprefix": "app:"}) as connection:
        simple = connection.SimpleQueue("prefixed")
        simple.put({})
        assert read(redis_server.url, "prefixed") == [("prefixed", 0)]
        assert read(redis_server.url, "prefixed", broker_options={"global_keyprefix": "app:"}) == [("prefixed", 1)]
        simple.clear()


def test_settings_of_the_environment_do_not_replace_the_url(queues: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert read(queues, "broker-one") == [("broker-one", 2)]


def test_several_loops_use_one_broker(redis_server: Redis) -> None:
    client = Broker(redis_server.url)
    assert [asyncio.run(client.queues(["x"])) for _ in range(2)] == [[{"name": "x", "messages": 0}]] * 2


def test_unreachable_broker(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BackendUnavailable):
        read(f"redis://127.0.0.1:{free_port()}/0", "celery")
    with caplog.at_level(logging.ERROR):
        assert read(f"amqp://guest:hush@127.0.0.1:{free_port()}//", "celery") == []
    assert "Queue lengths: " in caplog.text
    assert "hush" not in caplog.text


def test_management_api_that_does_not_respond(rabbitmq_server: RabbitMQ) -> None:
    """Without the API the lengths are read over AMQP."""
    with connect(rabbitmq_server.url) as connection:
        connection.SimpleQueue("broker-api").close()
    (queue,) = asyncio.run(Broker(rabbitmq_server.url, http_api="http://127.0.0.1:1/api/").queues(["broker-api"]))
    assert (queue["name"], queue["messages"]) == ("broker-api", 0)


@pytest.mark.parametrize("url", ["memory://", "nonsense://x"])
def test_unsupported_broker(url: str) -> None:
    with pytest.raises(NotImplementedError):
        Broker(url)


def test_sentinel_requires_the_name_of_the_master() -> None:
    with pytest.raises(ValueError, match="master_name"):
        Broker("sentinel://127.0.0.1:26379/0")
