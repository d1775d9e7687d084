"""Pages while the broker is unreachable, and before any data arrived, in a real browser."""

import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.helpers.browser import PHONE, WatchedPage, violations
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker
from tests.helpers.product_process import Product
from tests.helpers.servers import Redis, free_port, wait_for

OpenPage = Callable[..., WatchedPage]


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A broker that the test stops."""
    with Redis() as server:
        yield server


def test_without_data_the_verdict_and_the_live_pill_are_neutral(open_page: OpenPage, redis: Redis) -> None:
    with Product(redis.url) as product:
        product.wait_until_capturing()
        page = open_page(f"http://127.0.0.1:{product.port}", "/").page
        expect(page.get_by_role("heading", name="No data yet: no workers connected")).to_be_visible()
        expect(page.locator(".health-banner")).to_contain_text("Start a worker: celery -A proj worker -E")
        expect(page.locator(".health-banner")).to_have_class("health-banner unknown")
        pill = page.get_by_role("button", name="No data yet")
        expect(pill).to_have_class("live none")
        assert violations(page) == []


def test_figures_are_grey_and_dated_while_the_broker_is_unreachable(open_page: OpenPage, redis: Redis) -> None:
    app = make(redis.url, None)
    app.conf.task_default_queue = f"stale{free_port()}"
    with Product(redis.url) as product, Worker(app, "stale", 2) as worker:
        base, name = f"http://127.0.0.1:{product.port}", worker.hostname
        wait_for("the worker", lambda: product.get("/api/workers", status="1").get(name) is True)
        sent = app.send_task("shop.add", [1, 2]).id
        wait_for("a task", lambda: product.task(sent) is not None)
        wait_for("a sample", lambda: product.get(f"/api/v1/queues/{app.conf.task_default_queue}/history")["buckets"])
        page = open_page(base, "/workers", expect_problems=True).page
        expect(page.get_by_role("row", name=name)).to_contain_text("Online")
        redis.signal(signal.SIGKILL)
        notice = page.get_by_role("status").filter(has_text="Broker unreachable since")
        expect(notice).to_contain_text("Worker and queue figures are from then.")
        row = page.get_by_role("row", name=name)
        expect(row).to_contain_text("Unknown")
        expect(page.get_by_role("button", name="Broker unreachable")).to_have_class("live bad")
        assert violations(page) == []
        page.goto("/queues")
        expect(page.get_by_role("row", name=app.conf.task_default_queue)).to_be_visible()
        expect(page.locator(".broker")).to_contain_text("as of")
        expect(page.get_by_role("row", name=app.conf.task_default_queue)).to_contain_text("stale@")
        assert violations(page) == []
        page.goto("/")
        expect(page.locator(".health-banner")).to_contain_text("Broker unreachable since")
        expect(page.locator(".kpi.stale")).to_have_count(2)
        expect(page.get_by_role("region", name="Workers", exact=True)).to_contain_text("as of")
        phone = open_page(base, f"/worker/{name}", theme="dark", size=PHONE, expect_problems=True).page
        expect(phone.get_by_role("status").filter(has_text="Broker unreachable since")).to_be_visible()
        expect(phone.locator(".worker-status.lg")).to_have_text("Unknown")
        assert violations(phone) == []
