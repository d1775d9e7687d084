"""Durable events on Redis: kill -9 of all processes of Bellflower loses nothing."""

from collections.abc import Iterator

import pytest

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import DURABLE_EVENTS, Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, wait_for


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


def test_kill_of_all_processes_loses_no_event_of_durable_workers(own_redis: Redis) -> None:
    app = make(own_redis.url, None)
    app.events_cls = DURABLE_EVENTS
    with Worker(app, "durable", 4) as worker, Product(own_redis.url) as product:
        product.wait_until_capturing()
        ids = [app.send_task("shop.add", (1, number)).id for number in range(20)]
        running = [app.send_task("shop.rest", (2,)).id for _ in range(2)]
        wait_for("the running tasks", lambda: all(product.states().get(uuid) == "STARTED" for uuid in running))
        product.kill()
        ids += [app.send_task("shop.add", (1, number)).id for number in range(100)]
        ids += [app.send_task("shop.fail").id for _ in range(10)]
        wait_for("the tasks", lambda: worker.inspect("active") == [] and own_redis_is_idle(own_redis))
        product.start()
        expected = dict.fromkeys([*ids, *running], "SUCCESS") | dict.fromkeys(ids[-10:], "FAILURE")
        wait_for("all tasks", lambda: product.states() == expected)
        for uuid in (*ids, *running):
            task = product.task(uuid)
            assert task is not None
            assert task["name"]
            assert None not in (task["sent"], task["received"], task["started"])
        assert product.get("/api/v1/status")["gaps"] == []


def own_redis_is_idle(server: Redis) -> bool:
    from redis import Redis as RedisClient

    with RedisClient(port=server.port) as client:
        return client.llen("celery") == 0 and client.zcard("unacked_index") == 0
