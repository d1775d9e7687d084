"""The states of real workers, in all places that show them, while workers, the broker and the recorder fail."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from chaos.network import Proxy
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.prometheus_scrape import ScrapedMetrics
from tests.helpers.servers import RabbitMQ, Redis, free_port, wait_for

#: A worker of which only task events and answers are known.
QUIET = ("--without-heartbeat",)


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A broker of this test only, which it can stop."""
    with Redis() as server:
        yield server


def make_app(broker: str) -> Celery:
    app = make(broker, None)
    app.conf.task_default_queue = f"states{free_port()}"
    return app


def row(product: Product, name: str) -> dict[str, Any]:
    """The worker in `/api/v1/workers`; {} if it is not known."""
    rows = product.get("/api/v1/workers")["workers"]
    return next((dict(each) for each in rows if each["name"] == name), {})


def state(product: Product, name: str) -> str | None:
    return row(product, name).get("state")


def wait_for_heartbeats(product: Product, name: str) -> None:
    """The first heartbeat can be the one that Bellflower requests."""
    wait_for("its heartbeats", lambda: row(product, name).get("sends_heartbeats") is True)


def wait_until_unknown(product: Product, name: str, *reasons: str) -> None:
    """On a loaded machine the state can be unknown for another reason before, for example a late recorder."""

    def is_unknown() -> bool:
        found = row(product, name)
        return found.get("state") == "unknown" and found["state_reason"] in reasons

    wait_for("the worker to be unknown", is_unknown)


def signs(product: Product, name: str) -> dict[str, Any]:
    """Whether the worker is alive, in every place that shows it."""
    table = {each["hostname"]: each for each in product.get("/workers", json="1")["data"]}
    detail = product.get(f"/api/v1/workers/{name}")["worker"]
    scraped = ScrapedMetrics(product.http.get("/metrics").text)
    return {
        "/api/v1/workers": row(product, name)["alive"],
        "/api/v1/workers/NAME": detail["alive"],
        "/api/workers?status=1": product.get("/api/workers", status="1")[name],
        "/workers?json=1": table[name]["status"],
        "flower_worker_online": bool(scraped.value("flower_worker_online", worker=name)),
    }


def wait_for_signs(product: Product, name: str, values: set[bool | None]) -> None:
    """On a loaded machine a late recorder makes a worker unknown for a moment, between the requests too."""
    wait_for("the signs", lambda: set(signs(product, name).values()) == values, 20)


def issue_kinds(product: Product) -> list[str]:
    return [each["kind"] for each in product.get("/api/v1/health")["issues"] if each["kind"] != "disk_low"]


def stays(what: str, seconds: float, condition: Any) -> None:
    """Check repeatedly that a condition holds for this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), what
        time.sleep(0.2)


def test_killed_worker_is_silent_within_its_heartbeat_window_and_online_at_once_after_a_restart(redis: Redis) -> None:
    app = make_app(redis.url)
    with Product(redis.url) as product, Worker(app, "killed", 1) as worker:
        name = worker.hostname
        wait_for_heartbeats(product, name)
        wait_for_signs(product, name, {True})
        worker.signal(signal.SIGKILL)
        killed_at = time.monotonic()
        worker.process.wait(60)  # type: ignore[union-attr]
        wait_for("the worker to be silent", lambda: state(product, name) == "silent")
        assert time.monotonic() - killed_at < 15  # the window of a heartbeat every minute is longer
        wait_for_signs(product, name, {False})
        wait_for("the issue", lambda: "no_workers_online" in issue_kinds(product))
        worker.start()
        wait_for("the worker to be online again", lambda: state(product, name) == "online", 10)


def test_stopped_worker_is_silent_and_online_when_it_continues(redis: Redis) -> None:
    app = make_app(redis.url)
    with Product(redis.url) as product, Worker(app, "stopped", 1) as worker:
        wait_for_heartbeats(product, worker.hostname)
        worker.signal(signal.SIGSTOP)
        wait_for("the worker to be silent", lambda: state(product, worker.hostname) == "silent")
        worker.signal(signal.SIGCONT)
        wait_for("the worker to be online", lambda: state(product, worker.hostname) == "online", 5)
        worker.stop()
        wait_for("the worker to be offline", lambda: state(product, worker.hostname) == "offline")


def test_worker_without_heartbeats_that_works_is_alive(redis: Redis) -> None:
    """Bellflower requests one heartbeat when it connects, and such a worker sends that one only."""
    app = make_app(redis.url)
    with Worker(app, "quiet", 2, *QUIET) as worker, Product(redis.url) as product:
        name = worker.hostname
        product.wait_until_capturing()  # a task of which only a part is recorded is lost
        app.send_task("shop.rest", [60.0])
        found: list[str | None] = []

        def is_known() -> bool:
            app.send_task("shop.add", [1, 2])
            found.append(state(product, name))
            return found[-1] == "no_heartbeats"

        wait_for("the state", is_known)
        assert not {"silent", "offline"} & set(found)
        wait_for_signs(product, name, {True})
        assert issue_kinds(product) == []
        assert product.get("/api/v1/health")["status"] == "ok"


def test_solo_worker_is_not_dead_while_it_runs_a_task(redis: Redis) -> None:
    """It sends the event `task-started` before or after the task: see Celery's event loop."""
    app = make_app(redis.url)
    with Product(redis.url) as product, Worker(app, "solo", 1, "-P", "solo") as worker:
        name = worker.hostname
        wait_for("its pool", lambda: row(product, name).get("pool") == "solo")
        result = app.send_task("shop.rest", [8.0])
        wait_for("the worker to be busy", lambda: state(product, name) in ("busy", "unknown"))
        assert False not in signs(product, name).values()
        assert issue_kinds(product) == []
        wait_for("the end of the task", lambda: product.states().get(result.id) == "SUCCESS")
        wait_for("the worker to be online", lambda: state(product, name) == "online", 5)


def test_two_workers_with_one_name_are_reported(redis: Redis) -> None:
    app = make_app(redis.url)
    first, second = Worker(app, "twin", 1), Worker(app, "twin", 1)
    second.hostname = first.hostname
    with Product(redis.url) as product, first, second:
        wait_for("the report", lambda: "worker_name_shared" in issue_kinds(product))
        pids = sorted(each.process.pid for each in (first, second))  # type: ignore[union-attr]
        assert row(product, first.hostname)["duplicate_pids"] == pids
        issues = product.get("/api/v1/health")["issues"]
        detail = next(each["detail"] for each in issues if each["kind"] == "worker_name_shared")
        assert str(pids[0]) in detail
        assert "-n worker1@%h" in detail


def test_workers_are_unknown_while_the_broker_is_unreachable(redis: Redis) -> None:
    app = make_app(redis.url)
    with Product(redis.url) as product, Worker(app, "cut", 1) as worker:
        name = worker.hostname
        wait_for_heartbeats(product, name)
        redis.signal(signal.SIGKILL)
        stopped_at = time.time()
        wait_until_unknown(product, name, "The broker is unreachable.")
        found = row(product, name)
        assert found["alive"] is None
        assert abs(found["state_since"] - stopped_at) < 2
        stays("no worker is dead", 6, lambda: signs(product, name)["flower_worker_online"] is True)
        wait_for_signs(product, name, {True, None})
        assert issue_kinds(product) == ["broker_unreachable"]
        redis.process.wait(60)  # type: ignore[union-attr]
        redis.start()
        wait_for("the worker to be online", lambda: state(product, name) == "online")


@pytest.mark.parametrize("kind", [Redis, RabbitMQ])
def test_workers_are_unknown_while_the_network_to_the_broker_is_cut(kind: type[Redis | RabbitMQ]) -> None:
    """The connection exists, and nothing arrives on it."""
    with (
        kind() as server,
        Proxy(server.port) as network,
        Product(server.url.replace(str(server.port), str(network.port))) as product,
        Worker(make_app(server.url), "cut", 1) as worker,
    ):
        name = worker.hostname
        wait_for_heartbeats(product, name)
        network.stop()
        wait_until_unknown(product, name, "The broker does not respond.", "The broker is unreachable.")
        stays("no worker is dead", 3, lambda: False not in signs(product, name).values())
        network.resume()
        seen: set[str | None] = set()

        def is_online() -> bool:
            seen.add(state(product, name))
            return state(product, name) == "online"

        wait_for("the worker to be online", is_online)
        assert seen <= {"online", "unknown"}


def test_workers_are_unknown_while_the_recorder_is_stopped_and_not_dead_when_it_resumes(redis: Redis) -> None:
    app = make_app(redis.url)
    with Product(redis.url) as product, Worker(app, "seen", 1) as worker:
        name = worker.hostname
        wait_for_heartbeats(product, name)
        recorder = product.recorder()
        assert recorder is not None
        recorder.suspend()
        wait_for("the worker to be unknown", lambda: state(product, name) == "unknown")
        wait_for_signs(product, name, {True, None})
        recorder.resume()
        seen: set[str | None] = set()

        def is_online() -> bool:
            seen.add(state(product, name))
            return state(product, name) == "online"

        wait_for("the worker to be online", is_online)
        assert seen <= {"online", "unknown"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_living_worker_is_not_dead_while_the_disk_is_full(redis: Redis, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], check=True)
    app = make_app(redis.url)
    try:
        with Product(redis.url, db=disk / "store") as product, Worker(app, "full", 1) as worker:
            name, filler = worker.hostname, disk / "filler"
            wait_for_heartbeats(product, name)
            filler.write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 100_000))

            def is_full() -> bool:
                app.send_task("shop.echo", ["x" * 20_000])
                return product.status()["trouble"] is not None

            wait_for("the error", is_full, 60)
            wait_until_unknown(product, name, "The recorder cannot write to the store.")
            stays("no worker is dead", 6, lambda: False not in signs(product, name).values())
            filler.unlink()
            wait_for("the worker to be online", lambda: state(product, name) == "online")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_every_place_shows_the_same_number_of_running_tasks_after_a_worker_died(redis: Redis) -> None:
    app = make_app(redis.url)
    with Product(redis.url) as product, Worker(app, "count", 2) as worker:
        name = worker.hostname
        wait_for_heartbeats(product, name)
        running = [app.send_task("shop.rest", [600.0]).id for _ in range(2)]
        wait_for("two tasks", lambda: [product.states().get(each) for each in running] == ["STARTED"] * 2)

        def numbers() -> set[float | int]:
            table = {each["hostname"]: each for each in product.get("/workers", json="1")["data"]}
            scraped = ScrapedMetrics(product.http.get("/metrics").text)
            executing = scraped.value("flower_worker_number_of_currently_executing_tasks", worker=name)
            count = product.get("/api/v1/count", query=f'is:running worker:="{name}"')["count"]
            return {table[name]["active"], executing or 0, row(product, name)["active"], count}

        wait_for("the heartbeat", lambda: numbers() == {2})
        worker.signal(signal.SIGKILL)
        worker.process.wait(60)  # type: ignore[union-attr]
        wait_for("the worker to be silent", lambda: state(product, name) == "silent")
        wait_for("one number", lambda: len(numbers()) == 1)


def test_a_new_installation_has_no_data_and_is_not_reported_as_healthy(redis: Redis) -> None:
    app = make_app(redis.url)
    with Product(redis.url) as product:
        product.wait_until_capturing()
        health = product.get("/api/v1/health")
        assert (health["status"], health["summary"]) == ("unknown", "No data yet: no workers connected")
        assert "celery -A proj worker -E" in health["next_step"]
        assert product.http.get("/healthcheck").text == "OK"
        with Worker(app, "first", 1):
            wait_for("the verdict", lambda: product.get("/api/v1/health")["status"] == "ok")
