"""A worker that starts, is killed and starts again, and its queue, end to end."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import BrokerServer, free_port, wait_for


@pytest.fixture
def product(broker: BrokerServer) -> Iterator[Product]:
    with Product(broker.url) as started:
        started.wait_until_capturing()
        yield started


def test_worker_starts_is_killed_and_restarts(product: Product) -> None:
    app = make(product.broker, None)
    app.conf.task_default_queue = queue = f"come{free_port()}"
    with Worker(app, "come", 2) as worker:
        name = worker.hostname

        def worker_info() -> dict[str, Any]:
            return product.get("/api/workers").get(name) or {}

        # without a refresh
        wait_for("its inspection", lambda: bool(worker_info().get("stats")))
        assert worker_info()["stats"]["pid"] == worker.process.pid  # type: ignore[union-attr]
        wait_for("its events", lambda: product.get("/api/workers", status="1").get(name) is True)
        # each of two processes runs one task and prefetches one; the last stays in the queue
        for _ in range(5):
            app.send_task("shop.rest", [600.0], queue=queue)
        path = f"/api/v1/queues/{queue}/history"
        wait_for("a sample", lambda: any(each["ready_avg"] == 1.0 for each in product.get(path)["buckets"]))
        wait_for("the worker to be online", lambda: product.get(f"/api/v1/workers/{name}")["worker"]["alive"])

        worker.signal(signal.SIGKILL)
        worker.process.wait(60)  # type: ignore[union-attr]
        wait_for("the worker to be offline", lambda: product.get("/api/workers", status="1")[name] is False)
        rows = {row["hostname"]: row for row in product.get("/workers", json="1")["data"]}
        assert rows[name]["status"] is False
        assert rows[name]["task-received"] == 4
        # the content of its page is tested in tests/ui
        page = product.http.get(f"/worker/{name}")
        assert page.status_code == 200
        assert f"<title>{name} · Bellflower</title>" in page.text
        query = f'worker:="{name}" (state:STARTED OR state:RECEIVED)'
        lost = product.get("/api/v1/tasks", query=query)["tasks"]
        assert [task["name"] for task in lost] == ["shop.rest"] * 4
        inspection = product.get(f"/api/v1/workers/{name}/inspection")
        assert inspection["alive"] is False
        assert "prefork" in inspection["replies"]["stats"]["value"]["pool"]["implementation"]
        assert product.get(f"/api/v1/workers/{name}")["worker"]["sw_ident"] == "py-celery"
        before = worker_info()["timestamp"]
        assert before < time.time()

        worker.start()
        wait_for("the restarted worker", lambda: worker_info()["stats"]["pid"] == worker.process.pid)  # type: ignore[union-attr]
        assert worker_info()["timestamp"] > before
