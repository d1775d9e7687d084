"""The pages of workers in a real browser: replies to inspect, commands, and a worker that died."""

import re
import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.helpers.browser import PHONE, TABLET, WatchedPage, violations
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for

Visit = Callable[..., Page]
TABS = ("", "pool", "queues", "limits", "config", "system", "history")


@pytest.fixture
def steered(product: Product, redis_cluster: Cluster) -> Iterator[Worker]:
    """A worker with its own queue for tests that change it."""
    app = make(redis_cluster.app.conf.broker_url, None)
    app.conf.update(task_default_queue="steered", worker_pool_restarts=True)
    with Worker(app, "steered", 2) as worker:
        wait_for("its events", lambda: product.get("/api/workers", status="1").get(worker.hostname) is True)
        yield worker


def test_the_list(visit: Visit, redis_cluster: Cluster) -> None:
    page = visit("/workers")
    name = redis_cluster.worker.hostname
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Online")
    expect(row).to_contain_text("celery")
    expect(row.get_by_role("img", name="of 4 pool processes busy")).to_be_visible()
    page.get_by_role("searchbox").fill("no such worker")
    expect(page.get_by_role("heading", name="No matching workers")).to_be_visible()
    assert page.url.endswith("?q=no+such+worker")
    page.get_by_role("button", name="Clear filters").click()
    row.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_inspected_data(visit: Visit, redis_cluster: Cluster) -> None:
    worker = redis_cluster.worker
    page = visit(f"/worker/{worker.hostname}")
    expect(page).to_have_title(f"{worker.hostname} · Bellflower")
    expect(page.get_by_text("Inspected")).to_be_visible()
    for text in ("Busy processes", "Last seen", "none", "Prefetch count", "py-celery"):
        expect(page.locator("dl.facts")).to_contain_text(text)
    panel = page.get_by_role("tabpanel")
    for tab, shown in (
        ("Pool", "celery.concurrency.prefork:TaskPool"), ("Pool", str(worker.pool()[0])), ("Queues", "celery"),
        ("Task types", "shop.add"), ("Configuration", "task_track_started"), ("System", "utime"),
        ("System", "transport"), ("History", "came online"),
    ):  # fmt: skip
        page.get_by_role("tab", name=tab).click()
        expect(panel).to_contain_text(shown)
    assert "tab=history" in page.url
    page.get_by_role("tab", name="History").press("ArrowLeft")
    expect(page.get_by_role("tab", name="System")).to_be_focused()
    expect(page.get_by_role("tab", name="System")).to_have_attribute("aria-selected", "true")


def test_the_size_of_the_pool_is_current_after_grow_and_shrink(
    open_page: Callable[..., WatchedPage], product: Product, steered: Worker
) -> None:
    """In the head and in the table of the pool, without a click."""
    watched = open_page(f"http://127.0.0.1:{product.port}", f"/worker/{steered.hostname}?tab=pool")
    watched.expect_problems = True  # one is rejected
    page = watched.page
    reply = page.get_by_role("status").filter(has_text="Worker:")
    page.get_by_label("Processes to add").fill("2")
    page.get_by_role("button", name="Grow").click()
    expect(reply).to_contain_text("pool will grow")
    wait_for("four processes", lambda: len(steered.pool()) == 4)
    expect(page.locator("dl.facts")).to_contain_text("/4")
    expect(page.get_by_role("tabpanel")).to_contain_text(str(max(steered.pool())))
    page.get_by_role("button", name="Shrink").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    page.get_by_role("dialog").get_by_role("button", name="Shrink").click()
    wait_for("three processes", lambda: len(steered.pool()) == 3)
    expect(page.locator("dl.facts")).to_contain_text("/3")
    page.get_by_label("Minimum").fill("1")
    page.get_by_label("Maximum").fill("3")
    page.get_by_role("button", name="Autoscale").click()
    expect(page.get_by_text("Autoscale not enabled")).to_be_visible()


def test_the_queues_of_a_worker_are_current_after_a_change_of_its_consumers(visit: Visit, steered: Worker) -> None:
    page = visit(f"/worker/{steered.hostname}?tab=queues")
    page.get_by_role("textbox", name="Add queue").fill("extra & more")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("row", name="extra & more")).to_be_visible()
    assert "extra & more" in steered.queues()
    expect(page.get_by_role("tab", name="Queues")).to_contain_text("2")
    page.get_by_role("button", name="Stop consuming… extra & more").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop consuming").click()
    expect(page.get_by_role("row", name="extra & more")).to_have_count(0)
    expect(page.get_by_role("tab", name="Queues")).to_contain_text("1")
    assert "extra & more" not in steered.queues()


def test_the_numbers_of_a_worker_agree_or_name_their_source(visit: Visit, product: Product, steered: Worker) -> None:
    """The worker counts what it ran since its start, Bellflower what it recorded."""
    name, send = steered.hostname, steered.app.send_task
    running = send("shop.rest", (600,), queue="steered").id
    wait_for("a running task", lambda: (product.task(running) or {}).get("state") == "STARTED")
    page = visit(f"/worker/{name}")
    expect(page.locator("dl.facts")).to_contain_text("since worker start")
    expect(page.get_by_role("img", name="1 of 2 pool processes busy")).to_be_visible()
    expect(page.get_by_role("region", name="Running 1")).to_contain_text("shop.rest")
    counts = page.locator(".state-counts")
    expect(counts).to_contain_text("Recorded by Bellflower")
    expect(counts.get_by_role("link", name="Started 1")).to_be_visible()
    # without a click
    for _ in range(3):
        send("shop.add", (1, 2), queue="steered")
    expect(counts.get_by_role("link", name="Success 3")).to_be_visible()
    steered.app.control.revoke(running, terminate=True, signal="SIGKILL")
    page.goto("/workers")
    processed = page.get_by_role("columnheader", name="Processed")
    expect(processed).to_have_attribute("title", "Since worker start (reported by the worker)")
    tasks = page.get_by_role("columnheader", name="Tasks")
    expect(tasks).to_have_attribute("title", re.compile("^Tasks in the last "))


def test_limits(open_page: Callable[..., WatchedPage], product: Product, steered: Worker) -> None:
    watched = open_page(f"http://127.0.0.1:{product.port}", f"/worker/{steered.hostname}?tab=limits")
    watched.expect_problems = True
    page = watched.page
    page.get_by_role("searchbox", name="Filter task types").fill("limited")
    page.get_by_role("button", name="Limits… shop.limited").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Rate limit").fill("often")
    dialog.get_by_role("button", name="Set rate limit").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Invalid rate limit string: 'often'")
    dialog.get_by_label("Rate limit").fill("100/s")
    dialog.get_by_role("button", name="Set rate limit").click()
    expect(dialog.get_by_role("status")).to_contain_text("new rate limit set successfully")
    dialog.get_by_label("Soft time limit").fill("20")
    dialog.get_by_label("Hard time limit").fill("30.5")
    dialog.get_by_role("button", name="Set time limits").click()
    expect(dialog.get_by_role("status")).to_contain_text("time limits set successfully")
    assert violations(page) == []


def test_shutdown(visit: Visit, steered: Worker) -> None:
    page = visit(f"/worker/{steered.hostname}")
    expect(page.locator(".worker-status.lg")).to_have_text("Online")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Restart pool…").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart pool").click()
    expect(page.get_by_role("status").filter(has_text="reload started")).to_be_visible()
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Shut down…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Shut down").click()
    assert steered.process is not None
    steered.process.wait(60)
    expect(page.locator(".worker-status.lg")).to_have_text("Offline")
    page.get_by_role("button", name="More actions").click()
    expect(page.get_by_role("button", name="Shut down…")).to_be_disabled()


def test_unfinished_tasks_of_a_dead_worker(visit: Visit, product: Product, steered: Worker) -> None:
    sent = [steered.app.send_task("shop.rest", [600.0], queue="steered").id for _ in range(3)]
    wait_for("its tasks", lambda: sum((product.task(each) or {}).get("state") == "STARTED" for each in sent) == 2)
    name = steered.hostname
    page = visit(f"/worker/{name}")
    expect(page.get_by_role("region", name="Running 2")).to_contain_text("shop.rest")
    steered.signal(signal.SIGKILL)
    expect(page.locator(".worker-status.lg")).to_have_text("Silent")
    unfinished = page.get_by_role("region", name="3 unfinished tasks")
    expect(unfinished).to_contain_text("no final event")
    expect(unfinished.get_by_role("row")).to_have_count(3)
    expect(page.get_by_role("tabpanel")).to_contain_text("Last known data")
    page.get_by_role("tab", name="Pool").click()
    expect(page.get_by_role("button", name="Grow")).to_be_disabled()
    expect(page.get_by_role("tabpanel")).to_contain_text("prefork")
    assert violations(page) == []


def test_unknown_worker(open_page: Callable[..., WatchedPage], product: Product) -> None:
    watched = open_page(f"http://127.0.0.1:{product.port}", "/tasks")
    watched.expect_problems = True
    watched.page.goto("/worker/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%E2%80%AE")
    expect(watched.page.get_by_role("heading", level=1)).to_contain_text("Worker not found")
    expect(watched.page.locator(".empty .mono")).to_contain_text("<img src=x onerror=alert(1)>")
    assert violations(watched.page) == []
    watched.page.get_by_role("link", name="All workers").click()
    expect(watched.page.get_by_role("heading", name="Workers", level=1)).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessible(visit: Visit, redis_cluster: Cluster, theme: str) -> None:
    name = redis_cluster.worker.hostname
    for size in (TABLET, PHONE):
        page = visit("/workers", theme=theme, size=size)
        expect(page.get_by_role("row", name=name)).to_be_visible()
        assert violations(page) == []
    for tab in TABS:
        page.goto(f"/worker/{name}?tab={tab}")
        expect(page.get_by_text("Inspected")).to_be_visible()
        expect(page.get_by_role("tabpanel")).not_to_be_empty()
        assert violations(page) == []
        assert page.evaluate("document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth")
