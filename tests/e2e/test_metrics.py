"""`/metrics` end to end: workers on both brokers, killed and restarted."""

import signal
from collections.abc import Iterator

import pytest

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.prometheus_scrape import ScrapedMetrics
from tests.helpers.servers import BrokerServer, free_port, wait_for

ONLINE = "flower_worker_online"
EXECUTING = "flower_worker_number_of_currently_executing_tasks"
PREFETCHED = "flower_worker_prefetched_tasks"
PREFETCH_TIME = "flower_task_prefetch_time_seconds"


@pytest.fixture
def product(broker: BrokerServer) -> Iterator[Product]:
    with Product(broker.url) as started:
        started.wait_until_capturing()
        yield started


def scrape(product: Product) -> ScrapedMetrics:
    answer = product.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return ScrapedMetrics(answer.text)


def test_counters_survive_kill_9_and_a_dead_worker_has_no_gauges(product: Product) -> None:
    app = make(product.broker, None)
    app.conf.task_default_queue = queue = f"count{free_port()}"
    with Worker(app, "count", 2) as worker:
        name = worker.hostname

        def event_count(kind: str, task: str = "shop.add") -> float:
            return scrape(product).value("flower_events_total", worker=name, type=kind, task=task) or 0

        def send(count: int) -> None:
            for number in range(count):
                app.send_task("shop.add", (number, 1), queue=queue)

        send(10)
        app.send_task("shop.fail", queue=queue)
        wait_for("ten successes", lambda: event_count("task-succeeded") == 10)
        wait_for("a failure", lambda: event_count("task-failed", "shop.fail") == 1)

        product.kill()
        durable = product.broker.startswith("amqp")
        if durable:  # Redis does not store events for absent subscribers
            send(3)
        product.start()
        product.wait_until_capturing()
        send(2 if durable else 5)
        wait_for("fifteen successes", lambda: event_count("task-succeeded") == 15)
        samples = scrape(product)
        for kind in ("task-received", "task-started", "task-succeeded"):
            assert samples.value("flower_events_total", worker=name, type=kind, task="shop.add") == 15
        assert samples.value("flower_task_runtime_seconds_count", worker=name, task="shop.add") == 15
        assert samples.value("flower_task_type_runtime_seconds_count", task="shop.add") == 15
        assert samples.value("flower_task_queue_wait_seconds_count", task="shop.add") == 15
        assert samples.total("flower_events_total", type="task-sent", task="shop.add") == 15

        # both processes run one, and one is fetched ahead by each; the last waits
        for _ in range(5):
            app.send_task("shop.rest", [600.0], queue=queue)
        here = {"worker": name, "task": "shop.rest"}
        wait_for("prefetched tasks", lambda: scrape(product).value(PREFETCHED, **here) == 2)
        wait_for("executing tasks", lambda: scrape(product).value(EXECUTING, worker=name) == 2)
        wait_for("the queued task", lambda: scrape(product).value("flower_queue_messages", queue=queue) == 1)
        samples = scrape(product)
        assert samples.value(ONLINE, worker=name) == 1
        assert samples.value(PREFETCH_TIME, **here) is not None

        worker.signal(signal.SIGKILL)
        worker.process.wait(60)  # type: ignore[union-attr]
        wait_for("the worker to be offline", lambda: scrape(product).value(ONLINE, worker=name) == 0)
        wait_for("no prefetched tasks", lambda: scrape(product).value(PREFETCHED, **here) == 0)
        wait_for("the tasks to be marked as lost", lambda: scrape(product).value(EXECUTING, worker=name) == 0)
        samples = scrape(product)
        assert samples.value(PREFETCH_TIME, **here) == 0
        assert samples.value("flower_events_total", type="task-received", **here) == 4

    assert samples.value("flower_recorder_running") == samples.value("flower_recorder_connected") == 1
    assert (samples.value("flower_store_tasks") or 0) >= 21


def test_separate_port_and_token(product: Product) -> None:
    port = free_port()
    with Product(product.broker, f"--metrics_port={port}", "--metrics_token=t0p") as separate:
        assert separate.http.get("/metrics").status_code == 404
        url = f"http://127.0.0.1:{port}/metrics"
        unauthorized = separate.http.get(url)
        assert (unauthorized.status_code, unauthorized.headers["www-authenticate"]) == (401, 'Bearer realm="metrics"')
        assert separate.http.get(url, headers={"Authorization": "Bearer t0"}).status_code == 401
        allowed = separate.http.get(url, headers={"Authorization": "Bearer t0p"})
        assert allowed.status_code == 200
        assert "flower_recorder_running" in ScrapedMetrics(allowed.text).families
        # this port serves nothing else
        assert separate.http.get(f"http://127.0.0.1:{port}/api/workers").status_code == 404
        assert separate.http.get(f"http://127.0.0.1:{port}/healthcheck").text == "OK"


def test_names_beyond_the_limit_share_one_series(broker: BrokerServer) -> None:
    with Product(broker.url, "--metrics_max_names=2") as product:
        product.wait_until_capturing()
        app = make(product.broker, None)
        with app.connection_for_write() as connection:
            dispatcher = app.events.Dispatcher(connection, hostname="celery@many")
            for number in range(50):
                dispatcher.send("task-received", uuid=f"u{number}", name=f"shop.t{number}")
            dispatcher.close()
        wait_for("all", lambda: scrape(product).total("flower_events_total", worker="celery@many") == 50)
        samples = scrape(product)
        tasks = {sample.labels["task"] for sample in samples.families["flower_events"].samples}
        # a worker of another module on this broker may have taken one of the two places
        assert {"shop.t0", "__other__"} <= tasks
        assert len(tasks) <= 3
