"""How late figures follow: a real change of a worker, and the requests of pages, counted in refresh periods."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for

Visit = Callable[..., Page]

#: The unit of time is the request of the health, about once per second: on a loaded machine all are later.
PERIODS = 9
#: Figures are requested every 1.2 to 1.5 s.
MIN_REQUESTS = 4


@pytest.fixture
def growing(product: Product, redis_cluster: Cluster) -> Iterator[Worker]:
    """A worker with its own queue, whose pool a test changes."""
    app = make(redis_cluster.app.conf.broker_url, None)
    app.conf.task_default_queue = "growing"
    with Worker(app, "growing", 2) as worker:
        wait_for("its events", lambda: product.get("/api/workers", status="1").get(worker.hostname) is True)
        yield worker


def count_requests(page: Page, each_time: Callable[[], object] = lambda: None) -> Counter[str]:
    """The requests by the name of the route, during `PERIODS` periods."""
    counts: Counter[str] = Counter()
    page.on("request", lambda request: counts.update([request.url.partition("/api/v1/")[2].partition("?")[0]]))
    deadline = time.monotonic() + 120
    while counts["health"] < PERIODS and time.monotonic() < deadline:
        each_time()
        page.wait_for_timeout(300)
    return counts


def test_a_pool_that_grows_is_shown_by_open_pages(visit: Visit, redis_cluster: Cluster, growing: Worker) -> None:
    """No event contains the size of a pool, and the command is not one of Bellflower."""
    workers = visit("/workers")
    row = workers.get_by_role("row", name=growing.hostname)
    expect(row.get_by_role("img", name="of 2 pool processes busy")).to_be_visible()
    page = visit(f"/worker/{growing.hostname}")
    expect(page.locator("dl.facts")).to_contain_text("0/2")
    redis_cluster.app.control.pool_grow(3, destination=[growing.hostname])
    expect(page.locator("dl.facts")).to_contain_text("0/5")
    expect(row.get_by_role("img", name="of 5 pool processes busy")).to_be_visible()


def test_figures_without_events_are_loaded_again_and_again(visit: Visit, growing: Worker) -> None:
    for path in ("/", "/workers"):
        counts = count_requests(visit(path))
        assert min(counts["inspections"], counts["workers"]) >= MIN_REQUESTS, (path, counts)
    counts = count_requests(visit(f"/worker/{growing.hostname}"))
    assert sum(n for route, n in counts.items() if route.endswith("/inspection")) >= MIN_REQUESTS, counts


def test_figures_and_trends_of_tasks_are_loaded_while_tasks_change(visit: Visit, redis_cluster: Cluster) -> None:
    page = visit("/")
    counts = count_requests(page, lambda: redis_cluster.app.send_task("shop.add", (1, 2)))
    # the trend of each task type is a histogram
    assert min(counts["stats"], counts["histogram"], counts["failures"]) >= MIN_REQUESTS, counts
