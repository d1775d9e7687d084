"""Result backends in the running product: a database that is stopped, suspended and started; pickled results."""

import signal
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.postgresql import PostgreSQL, find_program
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, wait_for

#: Seconds within which a request for a result must be answered while the database is suspended.
RESULT_TIMEOUT = 15.0


class DatabaseProduct(Product):
    def __init__(self, app: Celery) -> None:
        super().__init__(app.conf.broker_url)
        self.app = app

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SHOP_BACKEND": self.app.conf.result_backend}

    def read_result(self, uuid: str) -> tuple[int, Any]:
        answer = self.http.get(f"/api/task/result/{uuid}")
        is_json = answer.headers["content-type"].startswith("application/json")
        return answer.status_code, answer.json() if is_json else answer.text

    def find_issue(self, kind: str) -> dict[str, Any] | None:
        return next((each for each in self.get("/api/v1/health")["issues"] if each["kind"] == kind), None)


@pytest.fixture
def database() -> Iterator[PostgreSQL]:
    if find_program("postgres") is None:
        pytest.skip("PostgreSQL is not installed")
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def product(redis_server: Redis, database: PostgreSQL) -> Iterator[DatabaseProduct]:
    app = make(redis_server.url.removesuffix("0") + "9", database.url)
    app.conf.task_default_queue = f"database-{uuid4()}"
    with DatabaseProduct(app) as started:
        started.wait_until_capturing()
        yield started


def test_results_are_unavailable_while_the_database_is_and_return_with_it(
    product: DatabaseProduct, database: PostgreSQL
) -> None:
    unknown = str(uuid4())
    pending = (200, {"task-id": unknown, "state": "PENDING"})
    wait_for("a new table", lambda: product.read_result(unknown) == pending)
    with Worker(product.app, "database", 1):
        uuid = product.app.send_task("shop.add", (20, 22)).id
        wait_for("the result", lambda: product.read_result(uuid)[1]["state"] == "SUCCESS")
    assert product.find_issue("result_backend_failing") is None
    expected = product.read_result(uuid)
    assert expected == (200, {"task-id": uuid, "state": "SUCCESS", "result": 42})

    database.stop()
    stopped = time.time()
    for _ in range(3):
        status, text = product.read_result(uuid)
        assert status == 503, text
        assert "secret" not in text
    wait_for("the issue", lambda: product.find_issue("result_backend_failing") is not None, 120)
    issue = product.find_issue("result_backend_failing")
    assert issue is not None
    assert issue["severity"] == "warning"
    assert stopped - 1 <= issue["started_at"] <= time.time()
    assert "connection refused" in issue["detail"]
    assert "Check result_backend: address, password" in issue["detail"]
    assert "secret" not in str(issue)

    database.start()
    wait_for("the result", lambda: product.read_result(uuid) == expected, 30)
    wait_for("the end of the issue", lambda: product.find_issue("result_backend_failing") is None, 60)

    database.signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        status, text = product.read_result(uuid)
        assert status == 503, text
        assert time.monotonic() - started < RESULT_TIMEOUT
    finally:
        database.signal(signal.SIGCONT)
    wait_for("the result", lambda: product.read_result(uuid) == expected, 60)


def test_a_pickled_result_with_keys_that_json_lacks_is_returned(
    redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_RESULT_SERIALIZER", "pickle")
    monkeypatch.setenv("C_FORCE_ROOT", "1")  # Celery refuses pickle to a worker of root
    url = redis_server.url.removesuffix("0") + "9"
    app = make(url, url)
    app.conf.task_default_queue = f"pickle-{uuid4()}"
    monkeypatch.setenv("SHOP_QUEUE", app.conf.task_default_queue)
    with DatabaseProduct(app) as product, Worker(app, "pickle", 1):
        expected = {"null": 1, "1": "a", "false": {"2.5": None}}
        applied = product.http.post("/api/task/apply/shop.odd_keys", json={"args": []})
        assert (applied.status_code, applied.json()["result"]) == (200, expected)
        status, body = product.read_result(applied.json()["task-id"])
        assert (status, body["state"], body["result"]) == (200, "SUCCESS", expected)
