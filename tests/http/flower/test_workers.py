"""Flower's worker routes with real workers: inspection, and commands with their effect on the worker."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from typing import Any

import httpx
import psutil
import pytest

from flower.records import Worker as Record
from flower.store.protocols import Batch, Reader, Writer
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.servers import BrokerServer, free_port, wait_for
from tests.helpers.web_server import WebServer


def start_worker(broker: BrokerServer) -> Worker:
    """A worker with its own queues."""
    app = make(broker.url, None)
    app.conf.update(worker_pool_restarts=True, task_default_queue=f"pool{free_port()}")
    return Worker(app, "pool", 3)


@pytest.fixture(scope="module")
def shared_workers() -> Iterator[Callable[[BrokerServer], Worker]]:
    """Starts the worker of a broker when a test first needs it."""
    with ExitStack() as running:
        yield cache(lambda broker: running.enter_context(start_worker(broker)))


@pytest.fixture
def worker(broker: BrokerServer, shared_workers: Callable[[BrokerServer], Worker]) -> Worker:
    """The worker of all tests that do not change it, or undo their changes."""
    return shared_workers(broker)


@pytest.fixture
def live(worker: Worker, store: Reader, opened: None) -> Iterator[WebServer]:
    with WebServer(store, lambda: worker.app) as server:
        yield server


@pytest.fixture
def own_worker(broker: BrokerServer) -> Iterator[Worker]:
    """A worker of this test only."""
    with start_worker(broker) as started:
        yield started


@pytest.fixture
def own_live(own_worker: Worker, store: Reader, opened: None) -> Iterator[WebServer]:
    with WebServer(store, lambda: own_worker.app) as server:
        yield server


def post(live: WebServer, action: str, worker: str, **data: Any) -> tuple[int, str]:
    response = live.http.post(f"/api/worker/{action}/{worker}", data=data)
    return response.status_code, response.json()["message"] if response.status_code == 200 else response.text


def test_inspection(live: WebServer, worker: Worker) -> None:
    name = worker.hostname
    assert live.http.get("/api/workers").json() == {}
    started_at = time.time()
    result = live.http.get("/api/workers", params={"refresh": "1"}).json()[name]
    assert started_at < result["timestamp"] < time.time()
    assert set(result) == {"timestamp", "stats", "active_queues", "registered", "conf"}
    assert result["stats"]["pid"] == worker.process.pid  # type: ignore[union-attr]
    assert "shop.add" in result["registered"]
    assert [queue["name"] for queue in result["active_queues"]] == [worker.app.conf.task_default_queue]
    assert result["conf"]["task_track_started"] is True
    assert "alternates" not in result["stats"]["broker"]
    alone = live.http.get("/api/workers", params={"refresh": "true", "workername": name}).json()
    assert set(alone[name]) == {*result, "active", "scheduled", "reserved", "revoked"}
    assert alone[name]["active"] == []
    assert live.http.get("/api/workers", params={"workername": name}).json() == alone
    assert list(live.http.get("/api/workers", params={"status": "1"}).json()) == ["celery@w1", "celery@w2"]


def inspected(live: WebServer, worker: Worker) -> dict[str, Any]:
    """The workers, once this one is known by inspection."""
    name = worker.hostname
    wait_for("the inspection", lambda: "stats" in live.http.get("/api/workers").json().get(name, {}))
    return dict(live.http.get("/api/workers").json())


def test_unknown_worker_is_inspected_and_not_waited_for(live: WebServer, worker: Worker) -> None:
    assert live.http.get("/api/workers", params={"workername": worker.hostname}).status_code == 404
    result = inspected(live, worker)
    assert result[worker.hostname]["stats"]["pid"] == worker.process.pid  # type: ignore[union-attr]


def test_new_worker_is_inspected_and_not_waited_for(live: WebServer, worker: Worker, writer: Writer) -> None:
    now = time.time()
    writer.write(Batch(workers=[Record(worker.hostname, heartbeat=now, freq=600.0), Record("mute@w", heartbeat=now)]))
    first = live.http.get("/api/workers").json()
    assert first == {worker.hostname: {"timestamp": None}, "mute@w": {"timestamp": None}}
    result = inspected(live, worker)
    assert result[worker.hostname]["stats"]["pid"] == worker.process.pid  # type: ignore[union-attr]
    # it lives, as its events say, and did not answer
    assert result["mute@w"] == {"timestamp": None}
    assert live.http.get("/api/workers", params={"status": "1"}).json()[worker.hostname] is True


def test_concurrent_requests_share_one_inspection(live: WebServer, worker: Worker) -> None:
    started_at = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        params = [pool.submit(live.http.get, "/api/workers", params={"refresh": "1"}) for _ in range(20)]
        times = {each.result().json()[worker.hostname]["timestamp"] for each in params}
    # at most one that was under way, and the next
    assert len(times) <= 2
    assert time.monotonic() - started_at < 15


def test_last_replies_remain(live: WebServer, worker: Worker) -> None:
    before = live.http.get("/api/workers", params={"refresh": "1", "workername": worker.hostname}).json()
    worker.signal(signal.SIGSTOP)
    try:
        after = live.http.get("/api/workers", params={"refresh": "1", "workername": worker.hostname})
        assert (after.status_code, after.json()) == (200, before)
    finally:
        worker.signal(signal.SIGCONT)
    wait_for(
        "the worker",
        lambda: (
            live.http.get("/api/workers", params={"refresh": "1"}).json()[worker.hostname]["timestamp"]
            > before[worker.hostname]["timestamp"]
        ),
    )


def test_grow_and_shrink(own_live: WebServer, own_worker: Worker) -> None:
    name = own_worker.hostname
    assert len(own_worker.pool()) == 3
    assert post(own_live, "pool/grow", name, n=2) == (200, f"Growing '{name}' worker's pool by 2")
    wait_for("five processes", lambda: len(own_worker.pool()) == 5)
    assert post(own_live, "pool/shrink", name) == (200, f"Shrinking '{name}' worker's pool by 1")
    wait_for("four processes", lambda: len(own_worker.pool()) == 4)
    for n in (4, 5, 10_000):
        status, text = post(own_live, "pool/shrink", name, n=n)
        assert status == 403
        assert (
            text
            == f"Failed to shrink '{name}' worker's pool: The pool has 4 processes or threads; at least one must remain"
        )
    for n in (0, -1):
        for action in ("grow", "shrink"):
            assert post(own_live, f"pool/{action}", name, n=n) == (400, "n must be 1 or more")
    assert post(own_live, "pool/grow", name, n="many") == (400, "Invalid argument 'many' of type 'int'")
    assert len(own_worker.pool()) == 4


def test_restart_pool(own_live: WebServer, own_worker: Worker) -> None:
    before = set(own_worker.pool())
    assert post(own_live, "pool/restart", own_worker.hostname) == (
        200,
        f"Restarting '{own_worker.hostname}' worker's pool",
    )
    # each process is replaced when it has done its next task; Celery gives one to the first itself
    wait_for("another process", lambda: len(own_worker.pool()) == 3 and bool(before - set(own_worker.pool())))


def test_consumers(live: WebServer, worker: Worker) -> None:
    name, queue = worker.hostname, "a&b <i>"
    assert post(live, "queue/add-consumer", name, queue=queue) == (200, f"add consumer {queue}")
    wait_for("the consumer", lambda: queue in worker.queues())
    assert post(live, "queue/cancel-consumer", name, queue=queue) == (200, f"no longer consuming from {queue}")
    wait_for("no consumer", lambda: queue not in worker.queues())
    assert post(live, "queue/cancel-consumer", name, queue="never") == (200, "no longer consuming from never")
    for action in ("add", "cancel"):
        assert post(live, f"queue/{action}-consumer", name) == (400, "Missing argument queue")


def test_shutdown(own_live: WebServer, own_worker: Worker) -> None:
    assert post(own_live, "shutdown", own_worker.hostname) == (200, "Shutting down!")
    assert own_worker.process is not None
    own_worker.process.wait(60)


def test_autoscale(broker: BrokerServer, store: Reader, opened: None) -> None:
    app = make(broker.url, None)
    app.conf.task_default_queue = f"scale{free_port()}"
    with Worker(app, "scale", 3, "--autoscale=3,1") as worker, WebServer(store, lambda: app) as live:
        name = worker.hostname
        message = f"Autoscaling '{name}' worker (min=2, max=5)"
        assert post(live, "pool/autoscale", name, min=2, max=5) == (200, message)
        assert {key: worker.inspect("stats")["autoscaler"][key] for key in ("min", "max")} == {"min": 2, "max": 5}
        params: list[tuple[dict[str, Any], str]] = [
            ({"min": 5, "max": 2}, "min must not be more than max"),
            ({"min": -1, "max": 2}, "min must be 0 or more"),
            ({"min": 0, "max": 0}, "max must be 1 or more"),
            ({"min": 1}, "Missing argument max"),
            ({"max": 1}, "Missing argument min"),
            ({"min": "x", "max": "1"}, "Invalid argument 'x' of type 'int'"),
        ]
        for data, text in params:
            assert post(live, "pool/autoscale", name, **data) == (400, text)
        assert worker.inspect("stats")["autoscaler"]["max"] == 5
        refused = f"Failed to restart the '{name}' pool: ValueError('Pool restarts not enabled')"
        assert post(live, "pool/restart", name) == (403, refused)


def test_rejected_commands(live: WebServer, worker: Worker, store: Reader) -> None:
    name = worker.hostname
    refused = f"Failed to autoscale '{name}' worker: ValueError('Autoscale not enabled')"
    assert post(live, "pool/autoscale", name, min=1, max=2) == (403, refused)
    for path in ("shutdown", "pool/restart", "pool/grow", "pool/autoscale", "queue/add-consumer"):
        assert post(live, path, "no/such@w", n="x") == (404, "Unknown worker 'no/such@w'")
    with WebServer(store, lambda: worker.app, read_only=True) as closed:
        assert post(closed, "pool/grow", "nobody") == (403, "Read only mode is enabled")
    assert len(worker.pool()) == 3


def test_worker_without_reply(own_live: WebServer, own_worker: Worker, store: Reader) -> None:
    name = own_worker.hostname
    with WebServer(store, lambda: own_worker.app, reply_timeout=0.5) as impatient:
        parameters = {"workername": name, "refresh": "1"}
        assert impatient.http.get("/api/workers", params=parameters).status_code == 200
        own_worker.signal(signal.SIGSTOP)
        try:
            message = f"Timeout: no reply from worker '{name}' within 0.5 s"
            assert post(impatient, "pool/grow", name) == (403, f"Failed to grow '{name}' worker's pool: {message}")
            assert post(impatient, "pool/shrink", name) == (403, f"Failed to shrink '{name}' worker's pool: {message}")
            added = post(impatient, "queue/add-consumer", name, queue="q")
            assert added == (403, f"Failed to add 'q' consumer to '{name}' worker: {message}")
        finally:
            own_worker.signal(signal.SIGCONT)


def test_broker_unreachable(store: Reader, opened: None) -> None:
    app = make(f"redis://127.0.0.1:{free_port()}", None)
    with WebServer(store, lambda: app) as live:
        response = live.http.get("/api/workers", params={"refresh": "1"})
        assert (response.status_code, response.text) == (503, "Failed to update workers: broker unreachable")
        assert live.http.get("/api/workers").json() == {}
        assert live.http.get("/api/workers", params={"workername": "w"}).status_code == 404
        response = live.http.post("/api/worker/pool/grow/celery@w1")
        assert (response.status_code, response.text) == (503, "Broker or result backend unavailable")


def test_last_replies_of_a_killed_worker(own_live: WebServer, own_worker: Worker, writer: Writer) -> None:
    name = own_worker.hostname
    own_live.http.get("/api/workers", params={"refresh": "1"})
    assert own_worker.process is not None
    children = psutil.Process(own_worker.process.pid).children(recursive=True)
    own_worker.signal(signal.SIGKILL)
    own_worker.process.wait(60)
    psutil.wait_procs(children, timeout=20)
    result = own_live.http.get("/api/workers", params={"refresh": "1"}).json()[name]
    assert "shop.add" in result["registered"]
    assert result["timestamp"] < time.time() - own_live.context.inspect_timeout / 2
    response: httpx.Response = own_live.http.get(f"/api/v1/workers/{name}/inspection")
    assert (response.json()["alive"], response.json()["answered"]) == (False, False)
    assert "shop.add" in response.json()["replies"]["registered"]["value"]
