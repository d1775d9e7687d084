"""Worker and queue pages, and the rows of Flower's worker table."""

import json
import re
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from flower.api.inspection_redaction import redact_inspection
from flower.counters import TaskCounters
from flower.records import STARTED, Task
from flower.records import Worker as Record
from flower.redaction import Redactor, parse_rules
from flower.store.protocols import Batch, Reader, Writer
from tests.helpers.celery_app import make
from tests.helpers.clusters import Cluster
from tests.helpers.servers import free_port
from tests.helpers.web_server import WebServer


@pytest.fixture
def steered(redis_cluster: Cluster, store: Reader, opened: None) -> Iterator[WebServer]:
    with WebServer(store, lambda: redis_cluster.app) as server:
        yield server


def data(live: WebServer, path: str = "/workers", **parameters: Any) -> dict[str, dict[str, Any]]:
    result = live.http.get(path, params={"json": "1", **parameters}).json()
    assert result.keys() == {"data"}
    return {row["hostname"]: row for row in result["data"]}


def counted(worker: str, task: str, number: int) -> TaskCounters:
    return TaskCounters(worker, task, dict.fromkeys(("task-received", "task-succeeded"), (number, 1.0)))


def test_worker_rows(live: WebServer, writer: Writer) -> None:
    now = time.time()
    here = Record("celery@w1", pid=7, heartbeat=now, freq=2.0, active=7, processed=9, loadavg=(0.5, 0.4, 0.3), clock=5)
    running = Task("r", "shop.add", STARTED, "celery@w1", started=now, timestamp=now)
    writer.write(
        Batch(
            new=[running],
            workers=[here],
            counters=[
                counted("celery@w1", "shop.add", 2),
                counted("celery@w1", "shop.sub", 1),
                TaskCounters("celery@w1", "", {"worker-online": (1, 1.0), "worker-heartbeat": (40, 1.0)}),
            ],
        )
    )
    rows = data(live)
    assert list(rows) == ["celery@w1", "celery@w2"]
    assert rows["celery@w1"] == {
        "hostname": "celery@w1",
        "pid": 7,
        "freq": 2.0,
        "clock": 5,
        "active": 1,
        "processed": 9,
        "loadavg": [0.5, 0.4, 0.3],
        "sw_ident": None,
        "sw_ver": None,
        "sw_sys": None,
        "heartbeats": [now],
        "status": True,
        "task-received": 3,
        "task-succeeded": 3,
        "worker-online": 1,
        "worker-heartbeat": 40,
    }
    assert rows["celery@w2"]["status"] is False
    assert not [key for key in rows["celery@w2"] if key.startswith("task-")]
    assert data(live, "/") == rows
    writer.write(Batch(counters=[counted("celery@w1", "shop.add", 5), counted("celery@w2", "shop.sub", 1)]))
    rows = data(live)
    assert rows["celery@w1"]["task-received"] == 6
    assert rows["celery@w2"]["task-succeeded"] == 1


def test_purged_workers(store: Reader, writer: Writer, opened: None) -> None:
    now = time.time()
    writer.write(
        Batch(
            workers=[
                Record("new@w", heartbeat=now - 20, freq=2.0),
                Record("old@w", heartbeat=now - 200, freq=2.0),
                Record("said@w", timestamp=now - 200, online=False),
            ]
        )
    )
    with WebServer(store, purge_offline_workers=100.0) as live:
        assert list(data(live)) == ["new@w"]
        assert "old@w" in live.http.get("/api/workers", params={"status": "1"}).json()
    with WebServer(store) as live:
        assert {"new@w", "old@w", "said@w"} <= set(data(live))


def settings(page: str) -> dict[str, Any]:
    result = re.search(r'<meta name="bellflower" content="([^"]*)">', page)
    assert result
    return dict(json.loads(unescape(result[1])))


def test_page_titles(live: WebServer) -> None:
    for path, title in (
        ("/workers", "Workers"), ("/broker", "Broker"), ("/queues", "Queues"), ("/queues/a%2Fb", "a/b"),
        ("/audit", "Audit log"), ("/jobs", "Bulk jobs"), ("/settings", "Settings"),
        ("/worker/celery%40w1", "celery@w1"),
    ):  # fmt: skip
        page = live.http.get(path)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=UTF-8")
        assert f"<title>{title} · Bellflower</title>" in page.text
        assert settings(page.text)["found"] is True


def test_worker_without_events_is_inspected(steered: WebServer, redis_cluster: Cluster) -> None:
    name = redis_cluster.worker.hostname
    assert steered.http.get(f"/worker/{name}").status_code == 200
    brief = next(each for each in steered.http.get("/api/v1/inspections").json()["workers"] if each["name"] == name)
    assert (brief["answered"], brief["concurrency"], brief["pool"]) == (
        True,
        redis_cluster.worker.concurrency,
        "prefork",
    )
    assert "celery" in brief["queues"]


def test_dead_worker_does_not_delay_its_page(steered: WebServer, writer: Writer) -> None:
    heard = time.time() - 3600
    writer.write(Batch(workers=[Record("dead@w", pid=99, heartbeat=heard, freq=2.0)]))
    started_at = time.monotonic()
    assert steered.http.get("/worker/dead@w").status_code == 200
    assert time.monotonic() - started_at < 5


def test_unknown_worker_and_job(steered: WebServer) -> None:
    page = steered.http.get("/worker/no%2Fsuch%3Cb%3E")
    assert page.status_code == 404
    assert "Unknown worker &#39;no/such&lt;b&gt;&#39;" in page.text
    assert settings(page.text)["found"] is False
    page = steered.http.get("/jobs/nothing")
    assert (page.status_code, settings(page.text)["found"]) == (404, False)


def test_settings(store: Reader, opened: None) -> None:
    app = make("redis://user:secret@127.0.0.1:1", None)
    rules = parse_rules(["default", "my_pin"], None, ["shop.login:1"])
    with WebServer(store, lambda: app, max_age=3600.0, read_only=True, redactor=Redactor(rules)) as live:
        response = live.http.get("/api/v1/settings")
    assert "secret" not in response.json()["broker_url"]
    assert response.json()["broker_url"].startswith("redis://user:**@")
    assert response.json()["retention"]["task_max_age"] == 3600.0
    assert "my_pin" in response.json()["redaction"]["names"]
    assert response.json()["redaction"]["arguments"] == ["shop.login: 1"]
    assert (response.json()["read_only"], response.json()["login_required"]) == (True, False)


def test_broker_unreachable(store: Reader, opened: None) -> None:
    app = make(f"redis://user:secret@127.0.0.1:{free_port()}", None)
    with WebServer(store, lambda: app) as live:
        assert live.http.get("/broker").status_code == 200
        away = live.http.get("/api/v1/queues")
        assert away.status_code == 503
        assert "secret" not in away.text
        assert live.http.get("/worker/celery@w1").status_code == 200
        assert live.http.get("/worker/nobody@w").status_code == 404
        assert live.http.get("/workers", params={"refresh": "1"}).status_code == 200


def test_redacted_inspection() -> None:
    redactor = Redactor()
    conf = {"broker_url": "redis://:hunter2@h", "my_password": "hunter2", "task_acks_late": True}
    assert redact_inspection("conf", conf, redactor) == {
        "broker_url": "redis://:***@h", "my_password": "***", "task_acks_late": True,
    }  # fmt: skip
    task = {"id": "1", "name": "shop.pay", "args": [20.0, "a"], "kwargs": {"password": "hunter2"}}
    assert redact_inspection("active", [task], redactor)[0]["args"] == "(20.0, 'a')"
    assert "hunter2" not in redact_inspection("active", [task], redactor)[0]["kwargs"]
    assert "hunter2" not in str(redact_inspection("scheduled", [{"eta": "x", "request": task}], redactor))
    assert redact_inspection("reserved", [{**task, "args": "x" * 5000}], redactor)[0]["args"].endswith("...")
    placed = Redactor(parse_rules(None, None, ["shop.pay:0"]))
    assert "20.0" not in redact_inspection("active", [task], placed)[0]["args"]
    assert redact_inspection("revoked", ["a"], redactor) == ["a"]
