"""Queue lengths on real brokers."""

import asyncio
import uuid

import pytest

from flower.cluster.queues import queue_lengths
from flower.cluster.tasks import task_send_task
from flower.errors import NotFound
from tests.helpers.celery_app import make
from tests.helpers.clusters import Cluster
from tests.helpers.servers import Redis


def test_redis(redis_cluster: Cluster) -> None:
    app, queue = redis_cluster.app, uuid.uuid4().hex

    async def scenario() -> object:
        for priority in (0, 3, 6, 9, 9):
            await task_send_task("shop.add", app=app, queue=queue, priority=priority)
        return await queue_lengths([queue, "nothing"], app=app)

    assert asyncio.run(scenario()) == sorted(
        [{"name": "nothing", "messages": 0}, {"name": queue, "messages": 5}], key=lambda one: str(one["name"])
    )


def test_redis_with_a_prefix_and_other_steps(redis_server: Redis) -> None:
    app, queue = make(redis_server.url, None), uuid.uuid4().hex
    app.conf.broker_transport_options = {"global_keyprefix": "shop:", "priority_steps": [0, 5], "sep": ":"}

    async def scenario() -> object:
        for priority in (0, 5, 9):
            await task_send_task("shop.add", app=app, queue=queue, priority=priority)
        return await queue_lengths([queue], app=app)

    assert asyncio.run(scenario()) == [{"name": queue, "messages": 3}]


def test_rabbitmq(rabbitmq_cluster: Cluster) -> None:
    app, queue = rabbitmq_cluster.app, uuid.uuid4().hex

    async def scenario() -> object:
        await task_send_task("shop.add", app=app, queue=queue)
        return await queue_lengths([queue, "nothing"], app=app)

    assert asyncio.run(scenario()) == [{"name": queue, "messages": 1, "consumers": 0}]


def test_default_is_the_queues_that_workers_consume(cluster: Cluster) -> None:
    assert "celery" in [one["name"] for one in asyncio.run(queue_lengths(app=cluster.app))]


def test_unsupported_brokers() -> None:
    with pytest.raises(NotFound, match="'memory' broker is not supported"):
        asyncio.run(queue_lengths(["celery"], app=make("memory://", None)))
