"""7 metrics."""

import re

from tests.flower_e2e.conftest import Ran, watching
from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.compat_site import Kind, Site
from tests.helpers.servers import wait_for

FAMILIES = {
    "flower_events": "counter", "flower_task_runtime_seconds": "histogram",
    "flower_task_prefetch_time_seconds": "gauge", "flower_worker_prefetched_tasks": "gauge",
    "flower_worker_online": "gauge",
    "flower_worker_number_of_currently_executing_tasks": "gauge",
}  # fmt: skip


def sample(text: str, name: str, **labels: str) -> float | None:
    """The sample of this name with these labels, in whatever order they stand."""
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            there = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            if labels.items() <= there.items():
                return float(found[3])
    return None


def test_it_is_open_and_text(site: Site) -> None:
    answer = site.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "python_info" in answer.text
    assert "process_resident_memory_bytes" in answer.text


def test_families(site: Site, ran: Ran) -> None:
    text = site.http.get("/metrics").text
    for family, kind in FAMILIES.items():
        assert re.search(rf"^# TYPE {family}(_total)? {kind}$", text, re.M), family
        assert re.search(rf"^# HELP {family}(_total)? \S", text, re.M), family


def test_events_by_worker_type_and_task(site: Site, ran: Ran, redis_cluster: Cluster) -> None:
    worker = redis_cluster.worker.hostname

    def count(kind: str, task: str) -> float:
        text = site.http.get("/metrics").text
        return sample(text, "flower_events_total", worker=worker, type=kind, task=task) or 0

    before = count("task-succeeded", "shop.add"), count("task-received", "shop.add")
    sent = redis_cluster.app.send_task("shop.add", (1, 1)).id
    site.wait_for_task(sent, state="SUCCESS")
    wait_for("the counters", lambda: count("task-succeeded", "shop.add") >= before[0] + 1)
    assert count("task-received", "shop.add") >= before[1] + 1
    client = site.task(sent)["client"]
    assert sample(site.http.get("/metrics").text, "flower_events_total", worker=client, type="task-sent")


def test_run_times(site: Site, ran: Ran, redis_cluster: Cluster) -> None:
    labels = {"worker": redis_cluster.worker.hostname, "task": "shop.add"}
    text = site.http.get("/metrics").text
    count = sample(text, "flower_task_runtime_seconds_count", **labels)
    assert count
    assert sample(text, "flower_task_runtime_seconds_bucket", le="+Inf", **labels) == count
    assert sample(text, "flower_task_runtime_seconds_bucket", le="0.005", **labels) is not None
    assert (sample(text, "flower_task_runtime_seconds_sum", **labels) or 0) > 0


def test_workers(site: Site, ran: Ran, redis_cluster: Cluster) -> None:
    worker = redis_cluster.worker.hostname
    executing = "flower_worker_number_of_currently_executing_tasks"
    wait_for("a heartbeat", lambda: sample(site.http.get("/metrics").text, executing, worker=worker) is not None)
    text = site.http.get("/metrics").text
    assert sample(text, "flower_worker_online", worker=worker) == 1
    assert sample(text, "flower_task_prefetch_time_seconds", worker=worker, task="shop.add") == 0
    assert sample(text, "flower_worker_prefetched_tasks", worker=worker, task="shop.add") is not None


def test_what_a_worker_has_fetched_ahead(site: Site, ran: Ran, redis_cluster: Cluster) -> None:
    app, name = redis_cluster.app, redis_cluster.worker.hostname
    queue = "ahead"
    with Worker(app, "ahead", 1, "-Q", queue) as worker:
        for _ in range(3):
            app.send_task("shop.rest", (4.0,), queue=queue)
        labels = {"worker": worker.hostname, "task": "shop.rest"}

        def fetched() -> float | None:
            return sample(site.http.get("/metrics").text, "flower_worker_prefetched_tasks", **labels)

        wait_for("one that waits", lambda: fetched() == 1)
        wait_for("nothing that waits", lambda: fetched() == 0)
        assert sample(site.http.get("/metrics").text, "flower_worker_online", worker=name) == 1


def test_workers_that_went_are_left_out_when_asked(kind: Kind, redis_cluster: Cluster) -> None:
    app = redis_cluster.app
    options = ("--purge_offline_workers=1",)
    with Site(kind, app.conf.broker_url, *options, backend=app.conf.result_backend) as site:
        watching(site, app)
        with Worker(app, "gone", 1, "-Q", "gone") as worker:
            name = worker.hostname
            app.send_task("shop.add", (1, 1), queue="gone")
            counted = lambda: sample(site.http.get("/metrics").text, "flower_events_total", worker=name)  # noqa: E731
            wait_for("its events", lambda: bool(counted()))
            wait_for("its status", lambda: site.json("/api/workers", status="1").get(name) is True)
        wait_for("its end", lambda: name not in site.http.get("/metrics").text)
        assert counted() is None
        assert name not in {row["hostname"] for row in site.json("/workers", json="1")["data"]}
        assert site.json("/api/workers", status="1")[name] is False
