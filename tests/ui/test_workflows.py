"""Workflows in a real browser, against a real worker."""

import re
from collections.abc import Callable

import pytest
from celery import chain, group
from playwright.sync_api import Page, expect

from tests.helpers.browser import PHONE, TABLET, WIDE, WatchedPage, violations
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for

Visit = Callable[..., Page]


@pytest.fixture
def root(product: Product, redis_cluster: Cluster) -> str:
    """A task followed by two, one of which fails; the id of the first."""
    task = redis_cluster.app.signature
    end = chain(
        task("shop.add", (1, 2)), group(task("shop.add", (3,)), task("shop.fail", ("petal",), immutable=True))
    ).apply_async()
    first = end.parent.id

    def finished() -> bool:
        response = product.http.get(f"/api/v1/tasks/{first}/workflow")
        return response.status_code == 200 and response.json()["states"] == {"SUCCESS": 2, "FAILURE": 1}

    wait_for("the workflow", finished)
    return str(first)


def test_list_and_one(visit: Visit, root: str) -> None:
    page = visit("/workflows")
    row = page.get_by_role("row").filter(has=page.locator(f"a[href$='{root}']"))
    expect(row).to_contain_text("3/3")
    expect(row).to_contain_text("Failed")
    row.get_by_role("link", name="shop.add").click()
    expect(page).to_have_url(re.compile(f"/workflows/{root}$"))
    graph = page.get_by_role("group", name="Workflow of 3 tasks")
    expect(graph.get_by_role("link")).to_have_count(3)
    expect(page.get_by_role("group", name="Waterfall").get_by_role("link")).to_have_count(3)
    expect(page.locator(".facts")).to_contain_text("3/3")
    graph.get_by_role("link", name=re.compile("shop.fail, Failure")).click()
    expect(page.get_by_role("heading", name="shop.fail")).to_be_visible()
    page.get_by_role("region", name="Workflow").get_by_role("link", name="View").click()
    expect(page).to_have_url(re.compile(f"/workflows/{root}$"))


def test_live_updates(visit: Visit, product: Product, redis_cluster: Cluster) -> None:
    task = redis_cluster.app.signature
    end = chain(task("shop.rest", (2,)), task("shop.echo")).apply_async()
    first = end.parent.id
    wait_for("it to begin", lambda: product.task(first) is not None)
    page = visit(f"/workflows/{first}")
    expect(page.locator(".facts")).to_contain_text("2/2", timeout=30_000)
    expect(page.locator(".dt-head")).to_contain_text("Succeeded")


def test_no_matching_workflows(visit: Visit, root: str) -> None:
    page = visit("/workflows?q=name:nobody.calls.it.so")
    expect(page.get_by_role("heading", name="No matching workflows")).to_be_visible()
    page.get_by_role("link", name="All workflows").click()
    expect(page.locator(f"a[href$='{root}']")).to_be_visible()


def test_unknown_workflow(product: Product, open_page: Callable[..., WatchedPage]) -> None:
    watched = open_page(f"http://127.0.0.1:{product.port}", "/workflows/none", expect_problems=True)
    expect(watched.page.get_by_role("heading", name="Workflow not found")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE], ids=["wide", "tablet", "phone"])
def test_axe(visit: Visit, root: str, theme: str, size: tuple[int, int]) -> None:
    page = visit("/workflows", theme=theme, size=size)
    expect(page.locator(f"a[href$='{root}']")).to_be_visible()
    assert violations(page) == []
    page = visit(f"/workflows/{root}", theme=theme, size=size)
    expect(page.get_by_role("group", name="Workflow of 3 tasks")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.querySelector('.page').scrollWidth <= document.querySelector('.page').clientWidth")
