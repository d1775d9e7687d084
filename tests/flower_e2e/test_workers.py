"""3.1 and 3.2 workers, 8.1 and 8.4 their pages, 9 queues."""

import time
from typing import Any

import pytest

from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.compat_site import Site
from tests.helpers.servers import wait_for


@pytest.fixture
def name(site: Site, redis_cluster: Cluster) -> str:
    """A worker that the site has inspected."""
    worker = redis_cluster.worker.hostname
    wait_for("the inspection", lambda: worker in site.json("/api/workers", refresh="true"))
    return worker


def test_what_is_known_of_a_worker(site: Site, name: str, redis_cluster: Cluster) -> None:
    found = site.json("/api/workers", refresh="true", workername=name)[name]
    assert {
        "timestamp",
        "stats",
        "active_queues",
        "registered",
        "conf",
        "active",
        "scheduled",
        "reserved",
        "revoked",
    } <= (found.keys())
    assert abs(found["timestamp"] - time.time()) < 60
    assert found["stats"]["pool"]["max-concurrency"] == 4
    assert "alternates" not in found["stats"]["broker"]
    assert "celery" in [queue["name"] for queue in found["active_queues"]]
    assert "shop.add" in found["registered"]
    assert isinstance(found["active"], list)


def test_of_all_workers(site: Site, name: str) -> None:
    assert name in site.json("/api/workers")
    assert site.json("/api/workers", workername=name).keys() == {name}


def test_status(site: Site, name: str) -> None:
    wait_for("a heartbeat", lambda: site.json("/api/workers", status="true").get(name) is True)


def test_an_unknown_worker(site: Site, name: str) -> None:
    for more in ({}, {"refresh": "true"}):
        answer = site.http.get("/api/workers", params={"workername": "nobody", **more})
        assert (answer.status_code, answer.text) == (404, "Unknown worker 'nobody'")


CONTROL = [
    "shutdown", "pool/restart", "pool/grow", "pool/shrink", "pool/autoscale?min=1&max=2", "queue/add-consumer?queue=x",
    "queue/cancel-consumer?queue=x",
]  # fmt: skip


@pytest.mark.parametrize("path", CONTROL)
def test_control_of_an_unknown_worker(site: Site, name: str, path: str) -> None:
    action, _, query = path.partition("?")
    answer = site.http.post(f"/api/worker/{action}/nobody?{query}")
    assert (answer.status_code, answer.text) == (404, "Unknown worker 'nobody'")


def test_grow_and_shrink(site: Site, name: str, redis_cluster: Cluster) -> None:
    def size() -> int:
        return len(redis_cluster.worker.inspect("stats")["pool"]["processes"])

    before = size()
    answer = site.post(f"/api/worker/pool/grow/{name}", n="2")
    assert (answer.status_code, answer.json()) == (200, {"message": f"Growing '{name}' worker's pool by 2"})
    wait_for("growth", lambda: size() == before + 2)
    answer = site.post(f"/api/worker/pool/shrink/{name}", n="2")
    assert (answer.status_code, answer.json()) == (200, {"message": f"Shrinking '{name}' worker's pool by 2"})
    wait_for("shrinking", lambda: size() == before)


def test_consumers(site: Site, name: str, redis_cluster: Cluster) -> None:
    def queues() -> list[str]:
        return [queue["name"] for queue in redis_cluster.worker.inspect("active_queues")]

    answer = site.post(f"/api/worker/queue/add-consumer/{name}", queue="extra")
    assert (answer.status_code, answer.json()) == (200, {"message": "add consumer extra"})
    wait_for("the consumer", lambda: "extra" in queues())
    answer = site.post(f"/api/worker/queue/cancel-consumer/{name}", queue="extra")
    assert (answer.status_code, answer.json()) == (200, {"message": "no longer consuming from extra"})
    wait_for("its end", lambda: "extra" not in queues())


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("pool/restart", "Failed to restart the '{}' pool: "),
        ("pool/autoscale", "Failed to autoscale '{}' worker: "),
    ],
)
def test_what_a_worker_refuses(site: Site, name: str, path: str, begins: str) -> None:
    answer = site.post(f"/api/worker/{path}/{name}", **({"min": "1", "max": "2"} if "autoscale" in path else {}))
    assert answer.status_code == 403
    assert answer.text.startswith(begins.format(name))
    assert "not enabled" in answer.text


def test_what_must_be_named(site: Site, name: str) -> None:
    for path, argument in (
        ("pool/autoscale", "min"),
        ("queue/add-consumer", "queue"),
        ("queue/cancel-consumer", "queue"),
    ):
        answer = site.post(f"/api/worker/{path}/{name}")
        assert (answer.status_code, answer.text) == (400, f"Missing argument {argument}")
    assert site.post(f"/api/worker/pool/grow/{name}", n="x").status_code == 400


def test_shutdown(site: Site, name: str, redis_cluster: Cluster) -> None:
    with Worker(redis_cluster.app, node="leaving") as worker:
        wait_for("the inspection", lambda: worker.hostname in site.json("/api/workers", refresh="true"))
        answer = site.post(f"/api/worker/shutdown/{worker.hostname}")
        assert (answer.status_code, answer.json()) == (200, {"message": "Shutting down!"})
        assert worker.process is not None
        worker.process.wait(60)


def test_rows_of_the_workers_table(site: Site, name: str) -> None:
    def row() -> dict[str, Any] | None:
        return next((row for row in site.json("/workers", json="1")["data"] if row["hostname"] == name), None)

    wait_for("the row", lambda: (row() or {}).get("task-received", 0) > 0 and bool((row() or {}).get("status")))
    found = row()
    assert found is not None
    assert {"pid", "freq", "heartbeats", "clock", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys"} <= (
        found.keys()
    )
    assert (len(found["loadavg"]), found["sw_ident"], found["status"]) == (3, "py-celery", True)


@pytest.mark.parametrize(("path", "shown"), [("/workers", "Workers · "), ("/", "Workers · "), ("/broker", "Broker · ")])
def test_pages(site: Site, path: str, shown: str) -> None:
    answer = site.http.get(path, follow_redirects=True)
    assert answer.status_code == 200
    if site.is_flower or path != "/":  # Bellflower begins with the tasks
        assert f"<title>{shown}" in " ".join(answer.text.split()).replace("<title> ", "<title>")


def test_the_page_of_a_worker(site: Site, name: str) -> None:
    answer = site.http.get(f"/worker/{name}")
    assert answer.status_code == 200
    assert name in answer.text
    answer = site.http.get("/worker/nobody")
    assert answer.status_code == 404
    assert "nobody" in answer.text


def test_queue_lengths_on_redis(site: Site, name: str, redis_cluster: Cluster) -> None:
    found = {queue["name"]: queue["messages"] for queue in site.json("/api/queues/length")["active_queues"]}
    assert isinstance(found["celery"], int)


def test_queue_lengths_on_rabbitmq_without_management(rabbit_site: Site, rabbitmq_cluster: Cluster) -> None:
    found = rabbit_site.json("/api/queues/length")["active_queues"]
    if rabbit_site.is_flower:
        assert found == []
    else:
        assert "celery" in [queue["name"] for queue in found]
