"""The product with a real worker and broker, once per session, and pages in Chromium."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.browser import WIDE, WatchedPage, open_browser
from tests.helpers.clusters import Cluster
from tests.helpers.js_modules import run_js  # noqa: F401
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for
from tests.helpers.source_assets import source_assets  # noqa: F401

Theme: TypeAlias = Literal["light", "dark"]

#: A loaded machine can need longer than Playwright's five seconds.
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One per test file: its event loop occupies the thread, and other files need one of their own."""
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def product(redis_cluster: Cluster) -> Iterator[Product]:
    with Product(redis_cluster.app.conf.broker_url, "--log-url=https://logs.example/{uuid}?from={start}") as product:
        product.wait_until_capturing()
        yield product


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., WatchedPage]]:
    """Opens pages, each in its own context; fails the test if one logged an error."""
    contexts, pages = [], []

    def open_one(
        base: str,
        path: str = "/",
        *,
        theme: Theme = "light",
        size: tuple[int, int] = WIDE,
        expect_problems: bool = False,
        **options: Any,
    ) -> WatchedPage:
        # axe is evaluated, not injected as an inline script, so that the policy need not be bypassed
        context = browser.new_context(
            base_url=base,
            color_scheme=theme,
            viewport={"width": size[0], "height": size[1]},
            timezone_id="UTC",
            **options,
        )
        context.set_default_timeout(20_000)
        contexts.append(context)
        watched = WatchedPage(context.new_page(), expect_problems=expect_problems)
        pages.append(watched)
        watched.page.goto(path)
        return watched

    yield open_one
    complaints = [complaint for watched in pages for complaint in watched.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def visit(product: Product, open_page: Callable[..., WatchedPage]) -> Callable[..., Page]:
    """A page of the product."""

    def at(path: str, **options: Any) -> Page:
        page: Page = open_page(f"http://127.0.0.1:{product.port}", path, **options).page
        return page

    return at


@pytest.fixture
def run(product: Product, redis_cluster: Cluster) -> Callable[..., str]:
    """Sends a task and waits until it is recorded in a state; returns its id."""

    def send(name: str, *args: Any, state: str = "SUCCESS", **kwargs: Any) -> str:
        uuid: str = redis_cluster.app.send_task(name, args, kwargs).id
        wait_for(f"{name} {state}", lambda: (product.task(uuid) or {}).get("state") == state)
        return uuid

    return send
