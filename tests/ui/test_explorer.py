"""The tasks page in a real browser, against a real worker."""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from celery import Celery
from playwright.sync_api import Page, expect

from flower.records import Task
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.browser import PHONE, WatchedPage, violations
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for
from tests.helpers.web_server import WebServer

Visit = Callable[..., Page]
Run = Callable[..., str]


def query(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def row(page: Page, uuid: str) -> Any:
    return page.locator(f'[id="row-{uuid}"]')


def test_a_task_appears_and_changes_live(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/tasks")
    expect(page.locator(".gr").first).to_be_visible()
    expect(page.locator(".live")).to_have_text("Live")
    uuid = run("shop.rest", 1.5, state="STARTED")
    expect(row(page, uuid)).to_contain_text("Started")
    expect(row(page, uuid)).to_contain_text("Success")


def test_rows_never_move_under_the_pointer(visit: Visit, run: Run) -> None:
    for number in range(3):
        run("shop.add", number, 2)
    page = visit("/tasks")
    first = page.locator(".gr").first
    expect(first).to_be_visible()
    expect(page.locator(".live")).to_have_text("Live")
    first_id = first.get_attribute("data-id")
    first.hover()
    run("shop.add", 8, 8)
    fresh = page.get_by_role("button", name=re.compile(r"^\d+ new$"))
    expect(fresh).to_be_visible()
    assert page.locator(".gr").first.get_attribute("data-id") == first_id
    page.mouse.move(5, 5)
    expect(fresh).to_have_count(0)
    expect(page.locator(".gr").first).not_to_have_attribute("data-id", first_id or "")


def test_pause(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/tasks")
    expect(page.locator(".live")).to_have_text("Live")
    page.keyboard.press("l")
    expect(page.locator(".live")).to_contain_text("Paused")
    late = run("shop.add", 3, 4)
    expect(row(page, late)).to_have_count(0)
    page.keyboard.press("l")
    expect(row(page, late)).to_be_visible()


def test_search_with_completion(visit: Visit, run: Run) -> None:
    failed, added = run("shop.fail", "declined", state="FAILURE"), run("shop.add", 1, 2)
    page = visit("/tasks")
    expect(row(page, added)).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("state:FAIL")
    expect(page.get_by_role("option", name=re.compile("^FAILURE"))).to_be_visible()
    page.keyboard.press("Tab")
    expect(row(page, failed)).to_be_visible()
    expect(row(page, added)).to_have_count(0)
    assert query(page)["q"] == "state:FAILURE"
    page.go_back()
    expect(row(page, added)).to_be_visible()


def test_an_invalid_query_shows_its_error_and_keeps_the_rows(
    product: Product, open_page: Callable[..., WatchedPage], run: Run
) -> None:
    added = run("shop.add", 1, 2)
    watched = open_page(f"http://127.0.0.1:{product.port}", "/tasks")
    watched.expect_problems = True
    page = watched.page
    expect(row(page, added)).to_be_visible()
    page.get_by_role("combobox").fill("state:SUCCESS retreis:>3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did you mean retries:")
    expect(page.locator(".sb-hl .err")).to_contain_text("retreis:>")
    expect(row(page, added)).to_be_visible()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("status:FAILURE", "unknown field 'status': searched as text; did you mean state:?"),
        ("state:FAILUER", "unknown state 'FAILUER': did you mean FAILURE?"),
        ("runtime>2", "'runtime>2' is searched as text; did you mean runtime:>2?"),
    ],
)
def test_a_mistake_in_a_query_is_reported_below_the_box(visit: Visit, text: str, message: str) -> None:
    page = visit("/tasks")
    warning = page.locator(".sb-warning")
    expect(page.get_by_role("combobox")).to_be_visible()
    expect(warning).to_have_count(0)
    page.get_by_role("combobox").fill(text)
    page.keyboard.press("Enter")
    expect(warning).to_have_text(message)
    expect(page.get_by_text("No matching tasks")).to_be_visible()
    page.reload()  # the URL contains the query, and the warning is shown again
    expect(warning).to_have_text(message)
    page.get_by_role("combobox").fill("state:FAILURE")
    page.keyboard.press("Enter")
    expect(warning).to_have_count(0)


def test_facets_write_the_query(visit: Visit, run: Run) -> None:
    run("shop.fail", state="FAILURE")
    added = run("shop.add", 1, 2)
    page = visit("/tasks")
    facets = page.get_by_role("complementary", name="Filters")
    facets.get_by_label("shop.add").check()
    expect(row(page, added)).to_be_visible()
    assert query(page)["q"] == "name:=shop.add"
    facets.get_by_label("shop.fail").check()
    expect(page).to_have_url(re.compile("shop.add%2Cshop.fail"))
    facets.get_by_label("shop.add").uncheck()
    facets.get_by_label("shop.fail").uncheck()
    expect(page).to_have_url(re.compile("/tasks$"))


def test_brush(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/tasks")
    over = page.locator(".hist .plot-over")
    box = over.bounding_box()
    assert box
    y = box["y"] + 40
    page.mouse.move(box["x"] + box["width"] * 0.1, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"[?&]b=\d+\.\.\d+"))
    expect(page.locator(".cap-t")).to_contain_text("from")
    page.get_by_role("button", name="Clear the selected range").click()
    expect(page).to_have_url(re.compile("/tasks$"))


def test_the_first_rows_are_requested_once_and_before_the_scripts(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/tasks")
    expect(page.locator(".gr[data-id]").first).to_be_visible()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    expect(page.locator(".gr[data-id]").first).to_be_visible()
    rows = [at for at, url in enumerate(requests) if "/api/v1/tasks?" in url]
    scripts = [at for at, url in enumerate(requests) if url.endswith(".js")]
    assert len(rows) == 1
    assert rows[0] < scripts[0]


def test_the_url_holds_the_state_of_the_page(visit: Visit, run: Run) -> None:
    slow, quick = run("shop.rest", 0.3), run("shop.echo", order_id=17)
    address = "/tasks?q=name%3A%3Dshop.rest%2Cshop.echo&sort=-runtime&cols=state,name,runtime,kwargs.order_id&t=-1h.."
    page = visit(address)
    expect(row(page, slow)).to_be_visible()
    expect(page.get_by_role("columnheader", name="order_id")).to_be_visible()
    expect(row(page, quick)).to_contain_text("17")
    expect(page.get_by_role("columnheader", name="Runtime")).to_have_attribute("aria-sort", "descending")
    order = [each.get_attribute("data-id") for each in page.locator(".gr").all()]
    assert order.index(slow) < order.index(quick)
    expect(page.get_by_role("combobox")).to_have_value("name:=shop.rest,shop.echo")


def test_links_of_flower_become_queries(visit: Visit, run: Run) -> None:
    failed = run("shop.fail", state="FAILURE")
    page = visit("/tasks?state=FAILURE&name=shop.fail")
    expect(row(page, failed)).to_be_visible()
    expect(page).to_have_url(re.compile(r"q=state%3AFAILURE\+name%3A%3Dshop.fail$"))


def test_bulk_rerun_with_the_keyboard_only(visit: Visit, run: Run, product: Product) -> None:
    origins = {run("shop.echo", f"bulk-{number}") for number in range(2)}
    page = visit("/tasks?q=args:bulk-")
    for uuid in origins:
        expect(row(page, uuid)).to_be_visible()
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    expect(page.get_by_role("toolbar")).to_contain_text("2 tasks selected")
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Re-run 2")).to_be_enabled()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 tasks: job started")).to_be_visible()
    wait_for("re-runs", lambda: product.get("/api/v1/count", query="args:bulk- state:SUCCESS")["count"] == 4)
    again = [product.get(f"/api/v1/tasks/{uuid}/reruns")["reruns"] for uuid in origins]
    assert [len(each) for each in again] == [1, 1]


def test_an_action_on_all_matching_tasks_asks_for_their_number(visit: Visit, run: Run) -> None:
    for number in range(3):
        run("shop.echo", f"every-{number}")
    page = visit("/tasks?q=args:every-")
    expect(page.locator(".gr")).to_have_count(3)
    page.locator(".gr .ck").first.click()
    page.get_by_role("button", name="all 3 matching").click()
    page.get_by_role("button", name="Re-run…").click()
    go = page.get_by_role("dialog").get_by_role("button", name="Re-run 3")
    expect(go).to_be_disabled()
    page.get_by_label("Type 3 to confirm").fill("3")
    expect(go).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_exports_contain_the_matching_tasks(visit: Visit, run: Run, product: Product) -> None:
    uuid = run("shop.echo", "exported")
    page = visit("/tasks?q=args:exported")
    expect(row(page, uuid)).to_be_visible()
    page.get_by_role("button", name="Export").click()
    address = page.get_by_role("link", name="CSV").first.get_attribute("href")
    assert address
    lines = product.http.get(address).text.splitlines()
    assert lines[0].startswith("uuid,state,lost,name")
    assert len(lines) == 2
    assert uuid in lines[1]


def test_saved_search(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/tasks?q=state:SUCCESS")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Name", exact=True).fill("What went <b>well</b>")
    page.keyboard.press("Enter")
    link = page.get_by_role("navigation", name="Saved searches").get_by_role("link", name="What went <b>well</b>")
    expect(link).to_be_visible()
    page.goto("/tasks")
    link.click()
    expect(page.get_by_role("combobox")).to_have_value("state:SUCCESS")
    page.get_by_role("button", name="Remove “What went <b>well</b>”").focus()
    page.keyboard.press("Enter")
    expect(link).to_have_count(0)


def test_no_matching_tasks(visit: Visit) -> None:
    page = visit("/tasks?q=name:nothing_is_called_so&t=-1h..")
    expect(page.get_by_role("heading", name="No matching tasks")).to_be_visible()
    expect(page.locator(".empty")).to_contain_text("in the last hour")
    page.get_by_role("button", name="Search all time").click()
    expect(page.locator(".empty")).not_to_contain_text("in the last hour")


def test_command_palette(visit: Visit, run: Run) -> None:
    uuid = run("shop.add", 1, 2)
    page = visit("/tasks")
    page.keyboard.press("Control+k")
    page.keyboard.type(uuid)
    expect(page.get_by_role("option", name=re.compile(f"^{uuid}"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/task/{uuid}$"))
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page).to_have_url(re.compile("/tasks$"))
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()


def test_the_stream_resumes_after_a_restart_of_the_server(
    redis_cluster: Cluster, open_page: Callable[..., WatchedPage]
) -> None:
    with Product(redis_cluster.app.conf.broker_url) as server:
        server.wait_until_capturing()
        watched = open_page(f"http://127.0.0.1:{server.port}", "/tasks")
        watched.expect_problems = True
        expect(watched.page.locator(".live")).to_have_text("Live")
        server.stop()
        expect(watched.page.locator(".live")).to_have_text("Reconnecting")
        server.start()
        server.wait_until_capturing()
        uuid = redis_cluster.app.send_task("shop.add", (1, 2)).id
        expect(watched.page.locator(".live")).to_have_text("Live", timeout=60_000)
        expect(row(watched.page, uuid)).to_be_visible()


SCROLL = """([step, frames]) => new Promise((resolve) => {
  const grid = document.querySelector('[role=grid]');
  const on = (left) => { grid.scrollTop += step; if (left) requestAnimationFrame(() => on(left - 1)); else resolve(); };
  on(frames);
})"""


def test_a_scrolled_table_is_complete_and_in_order(open_page: Callable[..., WatchedPage]) -> None:
    now, store = time.time(), MemoryStore()
    tasks = [Task(uuid=f"t{n}", name=f"shop.n{n}", hostname="w", received=now - n, runtime=n / 9) for n in range(1500)]
    MemoryWriter(store).write(Batch(new=tasks))
    with WebServer(MemoryReader(store), lambda: Celery(broker="memory://", set_as_current=False)) as live:
        page = open_page(f"http://127.0.0.1:{live.port}", "/tasks", expect_problems=True).page
        expect(page.locator(".gr").first).to_be_visible()
        page.locator(".gr .ck").nth(3).click()
        page.evaluate("() => { for (const each of document.querySelectorAll('.gr')) each.reused = true; }")
        for step, frames in ((120, 30), (700, 30), (-500, 10)):
            page.evaluate(SCROLL, [step, frames])
        page.wait_for_timeout(500)
        expect(page.locator(".gr .skel, .gr .c-runtime:empty")).to_have_count(0)
        seen = page.locator(".gr").evaluate_all(
            "rows => rows.map(each => [+each.ariaRowIndex, each.dataset.id, parseInt(each.style.top)])"
        )
        first = seen[0][0] - 2
        assert first > 300
        assert seen == [[n + 2, f"t{n}", n * 34] for n in range(first, first + len(seen))]
        assert page.evaluate("[...document.querySelectorAll('.gr')].filter(each => each.reused).length") > len(seen) / 2
        # keys are handled by the table, not by the checkbox of a row that was there before
        assert page.evaluate("document.activeElement.role") == "grid"
        expect(page.locator(".gr[aria-selected=true], .gr .check:checked")).to_have_count(0)
        page.evaluate("document.querySelector('[role=grid]').scrollTop = 0")
        expect(page.locator("#row-t3 .check")).to_be_checked()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), PHONE], ids=["wide", "phone"])
def test_axe(visit: Visit, run: Run, theme: str, size: tuple[int, int]) -> None:
    run("shop.fail", "declined", state="FAILURE")
    page = visit("/tasks", theme=theme, size=size)
    expect(page.locator(".gr").first).to_be_visible()
    expect(page.locator(".hist .plot svg")).to_be_visible()
    assert violations(page) == []
    page.locator(".gr .ck").first.click()
    expect(page.get_by_role("toolbar")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("sta")
    expect(page.get_by_role("option").first).to_be_visible()
    assert violations(page) == []


def test_a_phone_reaches_every_page(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/tasks", size=PHONE)
    expect(page.locator(".gr").first).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Tasks")).to_be_visible()
    page.locator(".side").get_by_role("button", name="Close").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_role("complementary", name="Filters").get_by_label("shop.add")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
