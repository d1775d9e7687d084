"""What brokers show about their queues."""

from uuid import uuid4

import pytest
from celery import Celery

from flower.reconcile import broker as module
from flower.reconcile.broker import BrokerSource
from flower.reconcile.connections import broker_connection
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.findings import BrokerAnswer
from tests.helpers.celery_app import make
from tests.helpers.servers import RabbitMQ, Redis, wait_for


@pytest.fixture
def app(redis_server: Redis) -> Celery:
    app = make(redis_server.url.removesuffix("0") + "7", None)
    app.conf.task_default_queue = f"queue-{uuid4()}"
    app.conf.broker_transport_options = {"global_keyprefix": "shop:"}
    return app


def read(app: Celery, *, read_ids: bool = True) -> BrokerAnswer:
    with broker_connection(app) as connection:
        return BrokerSource(app, ReconcileCost()).read(connection, [app.conf.task_default_queue], read_ids=read_ids)


def test_redis_shows_the_ids_of_all_priorities(app: Celery) -> None:
    sent = {app.send_task("shop.add", (1, 2), priority=priority).id for priority in (0, 5, 9)}
    answer = read(app)
    reading = answer.queues[app.conf.task_default_queue]
    assert (reading.ready, reading.waiting) == (3, sent)
    assert answer.seen_waiting == sent
    assert answer.unacknowledged == frozenset()


def test_redis_shows_ids_that_were_sent_as_uuid_objects(app: Celery) -> None:
    identifier = uuid4()
    app.send_task("shop.add", (1, 2), task_id=identifier, root_id=identifier)
    assert read(app).queues[app.conf.task_default_queue].waiting == {str(identifier)}
    with broker_connection(app) as connection:
        source = BrokerSource(app, ReconcileCost())
        (message,) = source.read_messages(connection, [app.conf.task_default_queue])
    assert (message.uuid, message.root_id) == (str(identifier), str(identifier))


def test_redis_shows_only_numbers_if_they_are_sufficient(app: Celery) -> None:
    app.send_task("shop.add", (1, 2))
    answer = read(app, read_ids=False)
    reading = answer.queues[app.conf.task_default_queue]
    assert (reading.ready, reading.waiting) == (1, None)
    assert answer.unacknowledged is None


def test_a_foreign_message_makes_the_reading_incomplete(app: Celery) -> None:
    sent = app.send_task("shop.add", (1, 2)).id
    with app.connection_for_write() as connection, connection.default_channel.conn_or_acquire() as client:
        client.rpush(app.conf.task_default_queue, "not JSON")
    answer = read(app)
    assert answer.queues[app.conf.task_default_queue].waiting is None
    assert answer.seen_waiting == {sent}


def test_a_long_queue_is_not_read_completely(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGES", 4)
    monkeypatch.setattr(module, "PAGE_SIZE", 2)
    for number in range(6):
        app.send_task("shop.add", (number, 2))
    answer = read(app)
    reading = answer.queues[app.conf.task_default_queue]
    assert (reading.ready, reading.waiting) == (6, None)
    assert len(answer.seen_waiting) == 4


def test_rabbitmq_shows_messages_and_consumers(rabbitmq_server: RabbitMQ) -> None:
    app = make(rabbitmq_server.url, None)
    app.conf.task_default_queue = f"queue-{uuid4()}"
    missing = read(app).queues[app.conf.task_default_queue]
    assert (missing.ready, missing.consumers, missing.exists) == (0, 0, False)
    for _ in range(3):
        app.send_task("shop.add", (1, 2))
    wait_for("the messages", lambda: read(app).queues[app.conf.task_default_queue].ready == 3)
    answer = read(app)
    assert not answer.shows_ids
    assert answer.drops_expired
    assert not answer.has_delayed_messages


def test_queues_that_clients_declared_are_found_on_redis(app: Celery) -> None:
    app.send_task("shop.add", (1, 2))
    app.send_task("shop.add", (1, 2), queue=f"other-{app.conf.task_default_queue}")
    with broker_connection(app) as connection:
        found = BrokerSource(app, ReconcileCost()).find_queues(connection)
    assert {app.conf.task_default_queue, f"other-{app.conf.task_default_queue}"} <= found
    assert not any("pidbox" in name for name in found)


def test_redis_shows_what_messages_describe(app: Celery) -> None:
    sent = app.send_task("shop.add", (1,), {"password": "hunter2"}, root_id="root", parent_id="parent").id
    with broker_connection(app) as connection:
        source = BrokerSource(app, ReconcileCost())
        (message,) = source.read_messages(connection, [app.conf.task_default_queue])
    assert (message.uuid, message.is_waiting, message.name) == (sent, True, "shop.add")
    assert (message.queue, message.args, message.kwargs) == (app.conf.task_default_queue, "(1,)", "{'password': '***'}")
    assert (message.retries, message.root_id, message.parent_id) == (0, "root", "parent")
