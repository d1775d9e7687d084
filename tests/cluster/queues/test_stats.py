"""Queue statistics on every kind of broker that can be tested; values that a broker does not report are None."""

import asyncio
import base64
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.transport.virtual import Transport

from flower.cluster.queues import QueueStats, kombu_virtual, queue_stats, redis
from flower.cluster.tasks import task_send_task
from flower.errors import NotFound
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.servers import RabbitMQ, Redis, Sentinel, TlsRedis, wait_for


@pytest.fixture(scope="module")
def managed() -> Iterator[RabbitMQ]:
    with RabbitMQ(management=True) as server:
        yield server


def send(app: Celery, queue: str, times: int = 1, **options: Any) -> list[str]:
    async def scenario() -> list[str]:
        sent = [await task_send_task("shop.rest", [0.0], app=app, queue=queue, **options) for _ in range(times)]
        return [each["task-id"] for each in sent]

    return asyncio.run(scenario())


def stats(app: Celery, *names: str, broker_api: str = "") -> dict[str, QueueStats]:
    return {each.name: each for each in asyncio.run(queue_stats(app, names, broker_api=broker_api))}


def test_redis_with_tls() -> None:
    with TlsRedis() as server:
        app = make(server.url, None)
        app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": str(server.ca)}
        send(app, "mail", 2)
        assert stats(app, "mail")["mail"].ready == 2


def test_redis_behind_sentinel(redis_server: Redis) -> None:
    queue = uuid.uuid4().hex
    with Sentinel(redis_server) as sentinel:
        app = make(sentinel.url, None)
        app.conf.broker_transport_options = {"master_name": "shop", "priority_steps": [0, 5]}
        send(app, queue, 2, priority=5)
        send(app, queue)
        assert stats(app, queue)[queue].ready == 3


@pytest.mark.parametrize("prefix", ["", "shop:"])
def test_redis_counts_unacknowledged_messages_and_finds_the_oldest(redis_server: Redis, prefix: str) -> None:
    app, queue = make(redis_server.url, None), f"held{uuid.uuid4().hex}"
    app.conf.broker_transport_options = {"global_keyprefix": prefix} if prefix else {}
    first, _, _ = send(app, queue, 3)
    assert stats(app, queue) == {queue: QueueStats(queue, ready=3, unacknowledged=0, head_task_ids=(first,))}
    other, bound = f"other{queue}", Queue(f"bound{queue}", Exchange(f"exchange{queue}"), routing_key="key")
    send(app, other)
    with app.connection_for_write() as connection:
        bound(connection.default_channel).declare()
        app.amqp.Producer(connection).publish({}, exchange=bound.exchange, routing_key="key")
        channel = connection.channel()
        got = [channel.basic_get(name) for name in (queue, queue, other, bound.name)]  # delivered, not acknowledged
        result = stats(app, queue, other, bound.name)
        assert [(each.ready, each.unacknowledged) for each in (result[queue], result[other], result[bound.name])] == [
            (1, 2),
            (0, 1),
            (0, 1),
        ]
        for each in got:
            each.ack()
        assert stats(app, queue)[queue].unacknowledged == 0


def test_foreign_messages_have_no_known_age(redis_server: Redis) -> None:
    app, queue = make(redis_server.url, None), uuid.uuid4().hex
    with app.connection_for_write() as connection:
        connection.default_channel.client.lpush(queue, "no message of Celery's")
    assert stats(app, queue)[queue] == QueueStats(queue, ready=1, unacknowledged=0)


def test_too_many_unacknowledged_messages_are_not_counted(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    app, queue = make(redis_server.url, None), uuid.uuid4().hex
    send(app, queue, 2)
    with app.connection_for_write() as connection:
        message = connection.channel().basic_get(queue)
        monkeypatch.setattr(redis, "MAX_UNACKED_BYTES", 10)
        assert stats(app, queue)[queue].unacknowledged is None
        message.ack()


def test_running_tasks_are_unacknowledged(redis_server: Redis) -> None:
    app = make(redis_server.url, redis_server.url)
    app.conf.task_default_queue = queue = f"late{uuid.uuid4().hex}"
    with Worker(app, "late", 1) as worker:
        # the pool's one process runs the first; one more is fetched ahead
        for _ in range(3):
            app.send_task("shop.rest", [60.0], queue=queue)
        wait_for("the second", lambda: len(worker.inspect("reserved") or ()) + len(worker.inspect("active")) == 2)
        result = stats(app, queue)[queue]
        assert (result.ready, result.unacknowledged) == (1, 1)


def test_rabbitmq_by_amqp(rabbitmq_cluster: Cluster) -> None:
    app, queue = rabbitmq_cluster.app, uuid.uuid4().hex
    send(app, queue, 2)
    assert stats(app, queue, "nothing") == {queue: QueueStats(queue, ready=2, consumers=0)}
    assert stats(app, "celery")["celery"].consumers == 1
    # without a response of the management API, AMQP is used
    api = f"http://127.0.0.1:{rabbitmq_cluster.worker.port}/api/"
    assert stats(app, queue, broker_api=api)[queue].ready == 2


@pytest.mark.parametrize("end", ["", "/"])
def test_rabbitmq_by_its_management_api(managed: RabbitMQ, end: str) -> None:
    app, queue = make(managed.url, None), uuid.uuid4().hex
    api = f"http://guest:gu%65st@127.0.0.1:{managed.management}/api{end}"
    send(app, queue, 3)
    # immediately, although the API has no statistics yet
    assert stats(app, queue, broker_api=api)[queue].ready == 3
    with app.connection_for_write() as connection:
        channel = connection.channel()
        message = channel.basic_get(queue)
        wait_for(
            "statistics of the API", lambda: stats(app, queue, broker_api=api)[queue].unacknowledged == 1, timeout=60
        )
        result = stats(app, queue, "nothing", broker_api=api)
        assert list(result) == [queue]
        fields = result[queue].as_queue_length
        assert (fields["messages"], fields["messages_ready"], fields["messages_unacknowledged"]) == (3, 2, 1)
        assert fields["vhost"] == "/"
        channel.basic_ack(message.delivery_tag)


def test_age_of_a_message_with_a_timestamp(managed: RabbitMQ) -> None:
    app, queue = make(managed.url, None), uuid.uuid4().hex
    api = f"http://guest:guest@127.0.0.1:{managed.management}/api/"
    sent = int(time.time()) - 50
    send(app, queue, timestamp=sent)
    wait_for(
        "statistics of the API", lambda: stats(app, queue, broker_api=api)[queue].oldest_sent_at == sent, timeout=60
    )


def test_filesystem_transport(tmp_path: Path) -> None:
    app = make("filesystem://", None)
    app.conf.broker_transport_options = {
        "data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path), "control_folder": str(tmp_path / "control")
    }  # fmt: skip
    send(app, "mail", 2)
    assert stats(app, "mail", "nothing") == {
        "mail": QueueStats("mail", ready=2),
        "nothing": QueueStats("nothing", ready=0),
    }


def test_brokers_that_cannot_count() -> None:
    with pytest.raises(NotFound, match="'memory' broker is not supported"):
        stats(make("memory://", None), "mail")
    # kombu itself returns 0
    assert not kombu_virtual.can_count(Connection(transport=Transport))


def test_format_of_a_celery_message_in_redis(redis_server: Redis) -> None:
    app, queue = make(redis_server.url, None), uuid.uuid4().hex
    (sent,) = send(app, queue)
    with app.connection_for_write() as connection:
        message = json.loads(connection.default_channel.client.lindex(queue, -1))
    assert message["headers"]["id"] == sent
    assert json.loads(base64.b64decode(message["body"]))[0] == [0.0]
