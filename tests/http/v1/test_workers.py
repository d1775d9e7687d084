"""Worker routes with a real worker."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flower.records import Worker as Record
from flower.store.factory import open_reader, open_writer
from flower.store.ledger.audit import AuditFilter
from flower.store.protocols import Batch, Writer
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.servers import Redis, free_port, wait_for
from tests.helpers.web_server import WebServer

API = "/api/v1"


@pytest.fixture
def writer(tmp_path: Any) -> Iterator[Writer]:
    opened = open_writer(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def worker(redis_server: Redis) -> Iterator[Worker]:
    app = make(redis_server.url, None)
    app.conf.update(worker_pool_restarts=True, task_default_queue=f"v1{free_port()}")
    with Worker(app, "v1", 3) as started:
        yield started


@pytest.fixture
def live(worker: Worker, writer: Writer, tmp_path: Any, opened: None) -> Iterator[WebServer]:
    writer.write(Batch(workers=[Record(worker.hostname, heartbeat=time.time(), freq=600.0), Record("gone@w")]))
    reader = open_reader(tmp_path / "store")
    with WebServer(reader, lambda: worker.app, reply_timeout=10.0) as server:
        yield server
    reader.close()


def command(live: WebServer, worker: str, path: str, body: Any = None) -> httpx.Response:
    return live.http.post(f"{API}/workers/{worker}/{path}", json=body or {})


def test_inspection(live: WebServer, worker: Worker) -> None:
    started_at = time.time()
    reply = live.http.get(f"{API}/workers/{worker.hostname}/inspection", params={"refresh": "true"}).json()
    assert (reply["alive"], reply["answered"]) == (True, True)
    assert started_at <= reply["replies"]["stats"]["received_at"] <= time.time()
    assert reply["replies"]["stats"]["value"]["pool"]["processes"] == worker.pool()
    assert set(reply["replies"]) >= {
        "conf",
        "registered",
        "active",
        "reserved",
        "scheduled",
        "revoked",
        "active_queues",
    }
    gone = live.http.get(f"{API}/workers/gone@w/inspection").json()
    assert gone == {"name": "gone@w", "alive": None, "inspected_at": None, "answered": False, "replies": {}}
    assert live.http.get(f"{API}/workers/no@w/inspection").status_code == 404


def test_pool_commands(live: WebServer, worker: Worker) -> None:
    name = worker.hostname
    assert command(live, name, "pool/grow", {"n": 2}).json() == {"worker": name, "reply": "pool will grow"}
    wait_for("five processes", lambda: len(worker.pool()) == 5)
    assert command(live, name, "pool/shrink").json() == {"worker": name, "reply": "pool will shrink"}
    wait_for("four processes", lambda: len(worker.pool()) == 4)
    refused = command(live, name, "pool/shrink", {"n": 4})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    for path, body in (("grow", {"n": 0}), ("shrink", {"n": -1}), ("autoscale", {"min": 1}), ("grow", {"m": 1})):
        assert command(live, name, f"pool/{path}", body).status_code == 400
    assert command(live, name, "pool/autoscale", {"min": 3, "max": 2}).status_code == 400
    off = command(live, name, "pool/autoscale", {"min": 1, "max": 2})
    assert (off.status_code, off.json()["error"]["message"]) == (403, "ValueError('Autoscale not enabled')")
    assert command(live, name, "pool/restart").json() == {"worker": name, "reply": "reload started"}
    assert command(live, "no@w", "pool/grow").status_code == 404
    assert len(worker.pool()) == 4


def test_limit_commands(live: WebServer, worker: Worker) -> None:
    name = worker.hostname
    rate = command(live, name, "limits/rate", {"task": "shop.limited", "rate": "10/m"})
    assert rate.json() == {"worker": name, "reply": "new rate limit set successfully"}
    times = command(live, name, "limits/time", {"task": "shop.limited", "soft": 2.5, "hard": 5})
    assert times.json() == {"worker": name, "reply": "time limits set successfully"}
    assert command(live, name, "limits/time", {"task": "shop.limited", "soft": None, "hard": None}).status_code == 200
    wrong = command(live, name, "limits/rate", {"task": "shop.limited", "rate": "often"})
    assert (wrong.status_code, wrong.json()["error"]["message"]) == (400, "Invalid rate limit string: 'often'")
    unknown = command(live, name, "limits/rate", {"task": "no.such", "rate": "1/s"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (403, "forbidden")
    assert command(live, "no@w", "limits/rate", {"task": "shop.limited", "rate": "1/s"}).status_code == 404
    assert live.ledger.audit.entries(AuditFilter(action="worker.rate_limit"), limit=9)[-1].outcome == "done"


def test_consumer_commands_and_shutdown(live: WebServer, worker: Worker) -> None:
    name = worker.hostname
    said = command(live, name, "consumers/add", {"queue": "extra"}).json()
    assert said == {"worker": name, "reply": "add consumer extra"}
    wait_for("the consumer", lambda: "extra" in worker.queues())
    wait_for("the list", lambda: [name] in [row["workers"] for row in live.http.get(f"{API}/queues").json()["queues"]])
    assert command(live, name, "consumers/cancel", {"queue": "extra"}).status_code == 200
    wait_for("no consumer", lambda: "extra" not in worker.queues())
    assert command(live, name, "shutdown").json() == {"worker": name, "reply": None}
    assert worker.process is not None
    worker.process.wait(60)


def test_dead_worker(live: WebServer) -> None:
    live.context.inspections.store_replies(("gone@w",), {"stats": {"gone@w": {}}}, time.time())
    with WebServer(live.context.store, live.context.app, reply_timeout=0.2) as impatient:
        silent = command(impatient, "gone@w", "pool/grow")
    assert silent.status_code == 504
    assert silent.json()["error"]["message"] == "Timeout: no reply from worker 'gone@w' within 0.2 s"


def test_config_check_uses_worker_replies(live: WebServer, worker: Worker) -> None:
    live.http.get(f"{API}/workers/{worker.hostname}/inspection", params={"refresh": "true"})
    result = live.http.get(f"{API}/config-check").json()
    states = {item["setting"]: item["state"] for item in result["checks"]}
    assert states == {
        "worker_send_task_events": "on",
        "task_send_sent_event": "on",
        "task_track_started": "on",
        "result_extended": "off",
    }
    assert f"Not set on {worker.hostname}." in [item["source"] for item in result["checks"]]
    assert result["workers_seen"] is True
