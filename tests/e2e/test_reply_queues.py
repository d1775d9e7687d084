"""Requests to workers leave no reply queue at the broker: celery-exporter and Flower left one for each thread."""

import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import RabbitMQ, Redis, wait_for

_SUFFIX = "reply.celery.pidbox"


def redis_queues(server: Redis) -> list[str]:
    """Keys of reply queues, and their bindings."""
    client: Any = redis.Redis(port=server.port, decode_responses=True)
    names = [key for key in client.keys(f"*{_SUFFIX}*") if not key.startswith("_kombu.binding.")]
    return [*names, *client.smembers(f"_kombu.binding.{_SUFFIX}")]


def rabbitmq_queues(server: RabbitMQ) -> list[str]:
    command = [
        "/usr/lib/rabbitmq/bin/rabbitmqctl",
        "-q",
        "-n",
        server.node,
        "list_queues",
        "name",
        "--no-table-headers",
    ]
    output = subprocess.run(command, env=server.environment(), check=True, capture_output=True, text=True).stdout
    return [name for name in output.split() if name.endswith(_SUFFIX)]


@pytest.mark.parametrize(("make_server", "list_queues"), [(Redis, redis_queues), (RabbitMQ, rabbitmq_queues)])
def test_requests_to_workers_leave_no_reply_queues(
    make_server: Callable[[], Redis | RabbitMQ], list_queues: Callable[[Redis | RabbitMQ], list[str]]
) -> None:
    with (
        make_server() as server,
        Product(server.url) as product,
        Worker(make(server.url, None), "replies", 1) as worker,
    ):
        product.wait_until_capturing()

        def request(number: int) -> int:
            if number % 3:
                return product.http.get("/api/workers", params={"refresh": "1"}).status_code
            return product.http.get("/api/workers", params={"refresh": "1", "workername": worker.hostname}).status_code

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(request, range(60))) == {200}
        assert product.http.post(f"/api/worker/pool/grow/{worker.hostname}?n=1").status_code == 200
        # Its replies arrive when no request waits for them.
        worker.signal(signal.SIGSTOP)
        assert request(1) == 200
        worker.signal(signal.SIGCONT)
        wait_for("a reply", lambda: worker.hostname in product.get("/api/workers", refresh="1"))
        assert product.http.post(f"/api/worker/pool/grow/{worker.hostname}?n=1").status_code == 200
        # The recorder's requests may be in progress.
        wait_for("no reply queues", lambda: not list_queues(server), 30)
