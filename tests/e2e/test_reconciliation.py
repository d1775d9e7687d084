"""The states of tasks after faults that no event reports, in the running product."""

import signal
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import BrokerServer, Redis, wait_for

#: Seconds from kill -9 of a worker to the mark: twice the heartbeat interval of 2 s, and 10 s.
MARK_TIMEOUT = 14.0


class ReconcilingProduct(Product):
    def __init__(self, app: Celery, *options: str) -> None:
        super().__init__(app.conf.broker_url, *options)
        self.app = app

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SHOP_BACKEND": self.app.conf.result_backend or ""}

    def find(self, uuid: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/v1/tasks/{uuid}")
        return dict(answer.json()) if answer.status_code == 200 else {}

    def wait_for_task(self, uuid: str, timeout: float = 30.0, **fields: Any) -> dict[str, Any]:
        def there() -> bool:
            task = self.find(uuid)
            return bool(task) and all(task[name] == value for name, value in fields.items())

        wait_for(f"{uuid} with {fields}, not {self.find(uuid)}", there, timeout)
        return self.find(uuid)

    def wait_for_mark(self, uuid: str, timeout: float = 30.0) -> dict[str, Any]:
        wait_for(f"the mark of {uuid}", lambda: bool(self.find(uuid).get("lost")), timeout)
        return dict(self.find(uuid)["lost"])

    def wait_for_no_mark(self, uuid: str) -> None:
        wait_for(f"no mark of {uuid}", lambda: self.find(uuid).get("lost", True) is None)


@pytest.fixture
def product(broker: BrokerServer, redis_server: Redis) -> Iterator[ReconcilingProduct]:
    app = make(broker.url, redis_server.url.removesuffix("0") + "6")
    app.conf.task_default_queue = f"faults-{uuid4()}"
    with ReconcilingProduct(app) as started:
        started.wait_until_capturing()
        yield started


def test_tasks_of_a_killed_worker_are_marked_within_the_heartbeat_window(
    product: ReconcilingProduct, broker: BrokerServer
) -> None:
    app = product.app
    with Worker(app, "killed", 1, "--prefetch-multiplier=2") as worker:
        running, held = (app.send_task("shop.rest", (600,)).id for _ in range(2))
        product.wait_for_task(running, state="STARTED")
        product.wait_for_task(held, state="RECEIVED")
        worker.signal(signal.SIGKILL)
        killed_at = time.monotonic()
        mark = product.wait_for_mark(running, MARK_TIMEOUT)
        assert time.monotonic() - killed_at < MARK_TIMEOUT
        assert mark["reason"] == "worker_offline"
        assert mark["queried"] == ["workers", "result backend", "queue"]
        marked = product.get("/api/v1/tasks", query="is:lost")["tasks"]
        assert running in {task["uuid"] for task in marked}
        status = "/api/v1/status"
        wait_for("the cost", lambda: product.get(status)["recorder"]["reconcile"]["lost"] >= 1)
        if broker.name == "rabbitmq":
            # The broker has returned the message to the queue.
            assert product.wait_for_task(held, state="PENDING")["source"] == "broker"
        else:
            # The worker may be stopped and continue, as far as Redis shows.
            assert product.wait_for_mark(held)["reason"] == "message_unacknowledged"
        worker.start()
        # The process that had the tasks does not exist any more.
        product.wait_for_task(held, state="STARTED" if broker.name == "rabbitmq" else "PENDING", lost=None)
        assert product.find(running)["lost"]["reason"] == "worker_offline"


def test_tasks_that_a_worker_returned_at_its_shutdown_wait_in_their_queue(product: ReconcilingProduct) -> None:
    app = product.app
    with Worker(app, "warm", 1) as worker:
        later = [app.send_task("shop.add", (1, 2), countdown=600).id for _ in range(3)]
        for uuid in later:
            product.wait_for_task(uuid, state="RECEIVED")
        worker.signal(signal.SIGTERM)
        for uuid in later:
            task = product.wait_for_task(uuid, state="PENDING")
            assert (task["source"], task["worker"], task["lost"]) == ("broker", None, None)


def test_purged_tasks_are_marked(product: ReconcilingProduct) -> None:
    app = product.app
    sent = [app.send_task("shop.add", (1, 2)).id for _ in range(3)]
    for uuid in sent:
        product.wait_for_task(uuid, state="PENDING")
    with app.connection_for_write() as connection:
        app.amqp.queues[app.conf.task_default_queue].bind(connection.default_channel).purge()
    with Worker(app, "later", 1):
        after = app.send_task("shop.add", (1, 2))
        after.get(timeout=30)
        for uuid in sent:
            assert product.wait_for_mark(uuid)["reason"] == "not_in_queue"


def test_the_mark_of_a_stopped_worker_is_removed_when_it_continues(product: ReconcilingProduct) -> None:
    app = product.app
    with Worker(app, "stopped", 1) as worker:
        uuid = app.send_task("shop.rest", (20,)).id
        product.wait_for_task(uuid, state="STARTED")
        worker.signal(signal.SIGSTOP)
        try:
            product.wait_for_mark(uuid, MARK_TIMEOUT)
            assert product.find(uuid)["state"] == "STARTED"
        finally:
            worker.signal(signal.SIGCONT)
        product.wait_for_no_mark(uuid)


def test_reconciliation_can_be_disabled(redis_server: Redis) -> None:
    app = make(redis_server.url, None)
    with ReconcilingProduct(app, "--reconcile=false") as product:
        product.wait_until_capturing()
        assert product.get("/api/v1/status")["recorder"]["reconcile"] is None
        assert "flower_reconcile_tasks_total{" not in product.http.get("/metrics").text
