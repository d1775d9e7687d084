"""The pages of failures in a real browser, against a real worker."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.helpers.browser import PHONE, TABLET, WIDE, WatchedPage, violations
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for

Visit = Callable[..., Page]
Run = Callable[..., str]

ALL = "/failures?status=all"


def group(page: Page, text: str) -> Locator:
    return page.get_by_role("listitem", name=re.compile(text))


def group_id(product: Product, uuid: str) -> str:
    return str(product.get(f"/api/v1/tasks/{uuid}")["failure"])


def status(product: Product, group: str) -> str:
    return str(product.get(f"/api/v1/failures/{group}")["failure"]["status"])


def test_resolve_undo_and_regression(visit: Visit, run: Run, product: Product) -> None:
    mark = group_id(product, run("shop.fail_as", "Bluebell", "card of a bluebell declined", state="FAILURE"))
    page = visit("/failures")
    row = group(page, "bluebell")
    expect(row.get_by_text("New", exact=True)).to_be_visible()
    row.get_by_role("button", name="Resolve").click()
    expect(row.get_by_text("Resolved", exact=True)).to_be_visible()
    wait_for("it to be resolved", lambda: status(product, mark) == "resolved")
    page.get_by_role("button", name="Undo").click()
    wait_for("it to be as it was", lambda: status(product, mark) == "new")
    expect(row.get_by_text("New", exact=True)).to_be_visible()
    row.get_by_role("button", name="Resolve").click()
    wait_for("it to be resolved", lambda: status(product, mark) == "resolved")
    expect(row).to_have_count(
        0, timeout=30_000
    )  # resolved groups leave the list when the change can no longer be undone
    run("shop.fail_as", "Bluebell", "card of a bluebell declined", state="FAILURE")
    expect(row.get_by_text("Regressed", exact=True)).to_be_visible(timeout=30_000)


def test_mute_until_and_reopen(visit: Visit, run: Run, product: Product) -> None:
    mark = group_id(product, run("shop.fail_as", "Foxglove", "card of a foxglove declined", state="FAILURE"))
    page = visit(f"/failures/{mark}")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Mute…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Duration").select_option("1 week")
    dialog.get_by_label("Comment").fill("SHOP-311")
    dialog.get_by_role("button", name="Mute").click()
    expect(page.locator(".dt-head")).to_contain_text("Muted")
    expect(page.locator(".dt-head")).to_contain_text("SHOP-311")
    note = product.get(f"/api/v1/failures/{mark}")["failure"]["note"]
    assert 6.9 * 86400 < note["expires_at"] - note["created_at"] < 7.1 * 86400
    page.get_by_role("button", name="Reopen").click()
    wait_for("it to be as it was", lambda: status(product, mark) == "new")
    expect(page.locator(".dt-head")).to_contain_text("New")


def test_a_group(visit: Visit, run: Run, product: Product) -> None:
    uuid = run("shop.fail_as", "Heather", "card of a heather declined", state="FAILURE")
    page = visit(f"/failures/{group_id(product, uuid)}")
    expect(page.get_by_role("heading", name=re.compile("Heather: card of a heather declined"))).to_be_visible()
    example = page.get_by_role("region", name="Exception")
    expect(example.locator(".fr.last")).to_contain_text("raise ERRORS[kind](message)")
    expect(example.get_by_role("button", name=re.compile("library frame"))).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_role("region", name="Task types")).to_contain_text("shop.fail_as")
    recent = page.get_by_role("region", name="Recent tasks")
    expect(recent.get_by_role("link", name=uuid[:8])).to_be_visible()
    recent.get_by_role("link", name="View tasks").click()
    expect(page).to_have_url(re.compile(r"/tasks\?q=failure%3A"))
    expect(page.locator(".gr")).to_have_count(1)


def test_rerun_all(visit: Visit, run: Run, product: Product) -> None:
    ids = [run("shop.fail_as", "Campion", "card of a campion declined", state="FAILURE") for _ in range(2)]
    mark = group_id(product, ids[0])
    page = visit(f"/failures/{mark}")
    page.get_by_role("button", name="Re-run all…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Will be re-run")
    button = dialog.get_by_role("button", name="Re-run 2")
    expect(button).to_be_disabled()
    dialog.get_by_label("Type 2 to confirm").fill("2")
    button.click()
    expect(page.get_by_role("link", name="View job")).to_be_visible()
    wait_for("all to have failed again", lambda: product.get("/api/v1/count", query=f"failure:{mark}")["count"] == 4)
    expect(page.locator(".facts")).to_contain_text("4", timeout=30_000)


def test_filters_are_in_the_url(visit: Visit, run: Run) -> None:
    run("shop.fail_as", "Gentian", "card of a gentian declined", state="FAILURE")
    run("shop.fail_as", "Speedwell", "card of a speedwell declined", state="FAILURE")
    page = visit(f"{ALL}&q={quote('exception:gentian')}")
    expect(group(page, "gentian")).to_be_visible()
    expect(group(page, "speedwell")).to_have_count(0)
    page.get_by_role("group", name="Status").get_by_role("button", name="Muted").click()
    expect(page).to_have_url(re.compile("status=muted"))
    expect(page.get_by_role("heading", name="No matching failures")).to_be_visible()
    page.get_by_role("link", name="Include resolved and muted").click()
    expect(group(page, "gentian")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="No matching failures")).to_be_visible()


def test_unknown_group(open_page: Callable[..., WatchedPage], product: Product) -> None:
    page = open_page(f"http://127.0.0.1:{product.port}", "/failures/none", expect_problems=True).page
    expect(page.get_by_role("heading", name="Failure group not found")).to_be_visible()
    page.get_by_role("link", name="All failures").click()
    expect(page.get_by_role("heading", name="Failures", level=1)).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE], ids=["wide", "tablet", "phone"])
def test_axe(visit: Visit, run: Run, product: Product, theme: str, size: tuple[int, int]) -> None:
    mark = group_id(product, run("shop.fail_as", "Declined", "declined", state="FAILURE"))
    page = visit(ALL, theme=theme, size=size)
    expect(group(page, "declined").first).to_be_visible()
    assert violations(page) == []
    page = visit(f"/failures/{mark}", theme=theme, size=size)
    expect(page.get_by_role("region", name="Exception")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.querySelector('.page').scrollWidth <= document.querySelector('.page').clientWidth")
