"""Queue routes with a real worker."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flower.api.queues import record_queue_samples
from flower.records import Task
from flower.records import Worker as Record
from flower.store.factory import open_reader, open_writer
from flower.store.ledger.queue_samples import QueueSample
from flower.store.protocols import Batch, Writer
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.servers import Redis, free_port
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


def test_queues(live: WebServer, worker: Worker, writer: Writer) -> None:
    queue = f"waits{free_port()}"
    sent = worker.app.send_task("shop.add", [1, 2], queue=queue)
    hour_ago = time.time() - 3600
    writer.write(Batch(new=[Task(uuid=sent.id, name="shop.add", queue=queue, sent=hour_ago, timestamp=hour_ago)]))
    result = {row["name"]: row for row in live.http.get(f"{API}/queues").json()["queues"]}
    row = result[queue]
    assert (row["ready"], row["unacked"], row["consumers"], row["workers"]) == (1, 0, None, [])
    assert 3600 <= row["oldest_message_age"] < 3700
    assert live.http.get(f"{API}/queues/{queue}/history").json()["buckets"] == []
    asyncio.run(record_queue_samples(live.context))
    worker.app.send_task("shop.add", [1, 2], queue=queue)
    asyncio.run(record_queue_samples(live.context))
    history = live.http.get(f"{API}/queues/{queue}/history", params={"start": "-1h", "buckets": 4}).json()
    assert history["name"] == queue
    assert 900.0 <= history["width"] <= 1800.0
    assert [each["ready_max"] for each in history["buckets"]] == [2]
    assert live.ledger.queue_samples.latest()
    now = time.time()
    live.ledger.queue_samples.add([QueueSample(queue, now - 120, 100), QueueSample(queue, now - 60, 50)])
    row = next(row for row in live.http.get(f"{API}/queues").json()["queues"] if row["name"] == queue)
    assert (row["arrivals_per_second"], row["departures_per_second"], row["growing"]) == (None, None, False), (
        "no recorder is running"
    )
    assert 0 < row["time_to_empty"] < 10
    for bad in ({"width": "1"}, {"start": "soon"}, {"tz": "Mars"}, {"queue": "x"}):
        assert live.http.get(f"{API}/queues/{queue}/history", params=bad).status_code == 400


def test_last_samples_are_listed_while_the_broker_is_unreachable(writer: Writer, tmp_path: Any, opened: None) -> None:
    reader = open_reader(tmp_path / "store")
    app = make(f"redis://127.0.0.1:{free_port()}/0", None)
    with WebServer(reader, lambda: app) as server:
        assert server.http.get(f"{API}/queues").status_code == 503, "nothing is known"
        now = time.time()
        server.ledger.queue_samples.add(
            [QueueSample("mail", now - 90, 7, 2, 1), QueueSample("mail", now - 60, 5, 2, 1)]
        )
        result = server.http.get(f"{API}/queues").json()
        assert result["problem"] == "The broker is unreachable."
        assert result["sampled_at"] == pytest.approx(now - 60, abs=15), "samples are of fixed times"
        [row] = result["queues"]
        assert (row["name"], row["ready"], row["unacked"], row["arrivals_per_second"]) == ("mail", 5, 2, None)
    reader.close()
