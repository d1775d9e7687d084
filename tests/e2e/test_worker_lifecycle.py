"""The whole product with workers that come, are killed and come again, and queues that fill."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import Server, free_port, wait_for


@pytest.fixture
def product(broker: Server) -> Iterator[Product]:
    with Product(broker.url) as started:  # type: ignore[attr-defined]
        started.wait_until_capturing()
        yield started


def test_a_worker_comes_dies_and_comes_again(product: Product) -> None:
    app = make(product.broker, None)
    app.conf.task_default_queue = queue = f"come{free_port()}"
    with Worker(app, "come", 2) as worker:
        name = worker.hostname

        def known() -> dict[str, Any]:
            return product.get("/api/workers").get(name) or {}

        # nobody asked for a refresh
        wait_for("its inspection", lambda: bool(known().get("stats")))
        assert known()["stats"]["pid"] == worker.process.pid  # type: ignore[union-attr]
        wait_for("its events", lambda: product.get("/api/workers", status="1").get(name) is True)
        # both processes run one, and one is fetched ahead by each; the last waits
        for _ in range(5):
            app.send_task("shop.rest", [600.0], queue=queue)
        path = f"/api/v1/queues/{queue}/history"
        wait_for("a sample", lambda: any(each["ready"] == 1.0 for each in product.get(path)["stretches"]))
        wait_for("its life", lambda: product.get(f"/api/v1/workers/{name}")["worker"]["alive"])

        worker.signal(signal.SIGKILL)
        worker.process.wait(20)  # type: ignore[union-attr]
        wait_for("its death", lambda: product.get("/api/workers", status="1")[name] is False)
        rows = {row["hostname"]: row for row in product.get("/workers", json="1")["data"]}
        assert rows[name]["status"] is False
        assert rows[name]["task-received"] == 4
        # what its page shows; how it does is in tests/ui
        page = product.http.get(f"/worker/{name}")
        assert page.status_code == 200
        assert f"<title>{name} · Bellflower</title>" in page.text
        query = f'worker:="{name}" (state:STARTED OR state:RECEIVED)'
        lost = product.get("/api/v1/tasks", query=query)["tasks"]
        assert [task["name"] for task in lost] == ["shop.rest"] * 4
        last = product.get(f"/api/v1/workers/{name}/inspection")
        assert last["alive"] is False
        assert "prefork" in last["said"]["stats"]["value"]["pool"]["implementation"]
        assert product.get(f"/api/v1/workers/{name}")["worker"]["sw_ident"] == "py-celery"
        before = known()["timestamp"]
        assert before < time.time()

        worker.start()
        wait_for("its second life", lambda: known()["stats"]["pid"] == worker.process.pid)  # type: ignore[union-attr]
        assert known()["timestamp"] > before
