"""The pages of workers and queues, and the data behind the workers' table."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from live import Live

from flower.records import Task
from flower.records import Worker as Record
from flower.store.ledger.samples import QueueSample
from flower.store.port import Batch, Reader, Writer
from flower.tallies import Tally
from servers import free_port
from workers.fixtures import Cluster
from workers.tasks import make


@pytest.fixture
def steered(redis_cluster: Cluster, store: Reader, opened: None) -> Iterator[Live]:
    with Live(store, lambda: redis_cluster.app) as server:
        yield server


def data(live: Live, path: str = "/workers", **parameters: Any) -> dict[str, dict[str, Any]]:
    found = live.http.get(path, params={"json": "1", **parameters}).json()
    assert found.keys() == {"data"}
    return {row["hostname"]: row for row in found["data"]}


def counted(worker: str, task: str, number: int) -> Tally:
    return Tally(worker, task, dict.fromkeys(("task-received", "task-succeeded"), (number, 1.0)))


def test_rows(live: Live, writer: Writer) -> None:
    now = time.time()
    here = Record("celery@w1", pid=7, heartbeat=now, freq=2.0, active=1, processed=9, loadavg=(0.5, 0.4, 0.3), clock=5)
    writer.write(
        Batch(workers=[here], tallies=[counted("celery@w1", "shop.add", 2), counted("celery@w1", "shop.sub", 1)])
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
    }
    assert rows["celery@w2"]["status"] is False
    assert not [key for key in rows["celery@w2"] if key.startswith("task-")]
    assert data(live, "/") == rows
    writer.write(Batch(tallies=[counted("celery@w1", "shop.add", 5), counted("celery@w2", "shop.sub", 1)]))
    rows = data(live)
    assert rows["celery@w1"]["task-received"] == 6
    assert rows["celery@w2"]["task-succeeded"] == 1


def test_workers_that_went_long_ago(store: Reader, writer: Writer, opened: None) -> None:
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
    with Live(store, purge_offline_workers=100.0) as live:
        assert list(data(live)) == ["new@w"]
        assert "old@w" in live.http.get("/api/workers", params={"status": "1"}).json()
    with Live(store) as live:
        assert {"new@w", "old@w", "said@w"} <= set(data(live))


def test_the_table(live: Live) -> None:
    page = live.http.get("/workers")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=UTF-8")
    assert 'href="/worker/celery%40w1"' in page.text
    assert "0 of 2 online" in page.text
    assert "<script" not in page.text


def test_a_worker(steered: Live, redis_cluster: Cluster) -> None:
    name = redis_cluster.worker.hostname
    page = steered.http.get(f"/worker/{name}")
    assert page.status_code == 200
    for text in ("prefork", "shop.add", "celery", "task_track_started", "Offline", str(redis_cluster.worker.pool()[0])):
        assert text in page.text
    # no events came from it, so nobody says that it lives
    assert "Shut down" not in page.text


def test_commands_are_for_those_who_may(steered: Live, redis_cluster: Cluster, writer: Writer, store: Reader) -> None:
    name = redis_cluster.worker.hostname
    writer.write(Batch(workers=[Record(name, heartbeat=time.time(), freq=600.0)]))
    page = steered.http.get(f"/worker/{name}", params={"limit": 3})
    assert f'action="/api/worker/pool/grow/{name.replace("@", "%40")}"' in page.text
    assert page.text.count("Set rate") == 3
    with Live(store, lambda: redis_cluster.app, read_only=True) as closed:
        assert "Grow" not in closed.http.get(f"/worker/{name}").text


def test_a_dead_worker_is_shown_with_its_last_words(steered: Live, writer: Writer) -> None:
    heard = time.time() - 3600
    last = Record("dead@w", pid=99, heartbeat=heard, freq=2.0, sw_ident="py-celery", sw_ver="5.7.0", processed=123)
    lost = Task(uuid="lost", name="shop.mail", state="STARTED", hostname="dead@w", started=heard, timestamp=heard)
    done = Task(uuid="done", name="shop.pay", state="SUCCESS", hostname="dead@w", started=heard, timestamp=heard)
    writer.write(Batch(workers=[last], new=[lost, done]))
    begun = time.monotonic()
    page = steered.http.get("/worker/dead@w")
    assert page.status_code == 200
    assert time.monotonic() - begun < 5
    for text in ("Offline", "It never said anything of itself", "py-celery 5.7.0", "123", "shop.mail", "/task/lost"):
        assert text in page.text
    assert "shop.pay" not in page.text


def test_nobody_knows_it(steered: Live) -> None:
    page = steered.http.get("/worker/no%2Fsuch%3Cb%3E")
    assert page.status_code == 404
    assert "Unknown worker &#39;no/such&lt;b&gt;&#39;" in page.text


def test_queues(steered: Live) -> None:
    page = steered.http.get("/broker")
    assert page.status_code == 200
    assert "redis://" in page.text
    assert ">celery</td>" in page.text
    steered.ledger.samples.note([QueueSample("noted", time.time(), 1234, None, 3, 2.5)])
    page = steered.http.get("/broker")
    for text in (">noted</td>", "1,234", "2.50 s", "the broker does not tell"):
        assert text in page.text


def test_a_broker_that_is_away(store: Reader, opened: None) -> None:
    app = make(f"redis://user:secret@127.0.0.1:{free_port()}", None)
    with Live(store, lambda: app) as live:
        page = live.http.get("/broker")
        assert page.status_code == 200
        assert "No queue data is available." in page.text
        assert "secret" not in page.text
        assert live.http.get("/worker/celery@w1").status_code == 200
        assert live.http.get("/workers", params={"refresh": "1"}).status_code == 200
