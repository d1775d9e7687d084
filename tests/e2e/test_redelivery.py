"""Tasks that are delivered more than once, with real workers: visibility timeout, and `acks_late` after kill -9."""

import signal
from typing import Any

import pytest

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import RabbitMQ, Redis, free_port, wait_for


def running_attempts(product: Product, task_id: str) -> list[dict[str, Any]]:
    return [each for each in detail(product, task_id).get("attempts", ()) if each.get("started_at")]


def detail(product: Product, task_id: str) -> dict[str, Any]:
    answer = product.http.get(f"/api/v1/tasks/{task_id}")
    return dict(answer.json()) if answer.status_code == 200 else {}


def test_task_that_two_workers_run_after_the_visibility_timeout_is_a_double_run(
    redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_VISIBILITY", "1")
    app = make(redis_server.url, None)
    app.conf.task_default_queue = queue = f"twice{free_port()}"
    with Product(redis_server.url) as product, Worker(app, "first", 1) as first:
        product.wait_until_capturing()
        task_id = app.send_task("shop.rest_late", [600.0], queue=queue).id
        wait_for("its start", lambda: detail(product, task_id).get("state") == "STARTED")
        # A worker restores messages 10 s after its start, and then every 100 s.
        with Worker(app, "second", 1) as second:
            wait_for("the second start", lambda: len(running_attempts(product, task_id)) == 2, 150)
            task = detail(product, task_id)
            assert (task["state"], task["double_run"]) == ("STARTED", True)
            assert [each["worker"] for each in task["attempts"]] == [first.hostname, second.hostname]
            assert all(each.get("ended_at") is None for each in task["attempts"])


def test_task_redelivered_to_another_worker_after_kill_9_begins_a_new_attempt(rabbitmq_server: RabbitMQ) -> None:
    app = make(rabbitmq_server.url, None)
    app.conf.task_default_queue = queue = f"late{free_port()}"
    with Product(rabbitmq_server.url) as product, Worker(app, "killed", 1) as killed:
        product.wait_until_capturing()
        task_id = app.send_task("shop.rest_late", [600.0], queue=queue).id
        wait_for("its start", lambda: detail(product, task_id).get("state") == "STARTED")
        with Worker(app, "other", 1) as other:
            killed.signal(signal.SIGKILL)
            wait_for("the second start", lambda: len(running_attempts(product, task_id)) == 2, 60)
            wait_for("the other worker", lambda: detail(product, task_id)["worker"] == other.hostname)
            task = detail(product, task_id)
            assert task["state"] == "STARTED"
            assert [each["worker"] for each in task["attempts"]] == [killed.hostname, other.hostname]
