"""The overview page in a real browser: health, key figures, charts, and an empty store."""

import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from celery import Celery
from playwright.sync_api import Page, expect

from flower.records import Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from tests.helpers.browser import PHONE, TABLET, WIDE, WatchedPage, violations
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.web_server import WebServer

Visit = Callable[..., Page]
Run = Callable[..., str]

ENDS = {"SUCCESS": "succeeded", "FAILURE": "failed"}


def test_health(visit: Visit, run: Run, product: Product) -> None:
    for _ in range(8):  # only the most frequent groups are named
        run("shop.fail_as", "Shown", "overview is shown", state="FAILURE")
    page = visit("/")
    expect(page).to_have_title("Overview · Bellflower")
    banner = page.get_by_role("region", name="Health")
    expect(banner).to_contain_text(re.compile("[Nn]ew failure"), timeout=30_000)
    health = product.get("/api/v1/health")
    expect(banner).to_contain_text(health["summary"])
    attention = page.get_by_role("region", name="Needs attention")
    expect(attention).to_contain_text("overview is shown", timeout=30_000)
    attention.get_by_role("listitem").filter(has_text="overview is shown").get_by_role("link").click()
    expect(page).to_have_url(re.compile("/failures/[0-9a-f]+$"))


def test_a_failure_is_listed_once_in_needs_attention(visit: Visit, run: Run, product: Product) -> None:
    uuid = run("shop.fail_as", "Listed", "listed once", state="FAILURE")
    group = product.get(f"/api/v1/tasks/{uuid}")["failure"]
    page = visit("/")
    attention = page.get_by_role("region", name="Needs attention")
    expect(attention.locator("li").first).to_be_visible()
    # after the health has been requested as well
    expect(page.get_by_role("region", name="Health")).to_contain_text(re.compile("[Nn]ew failure"), timeout=30_000)
    links = attention.locator(f"a[href$='failures/{group}']")
    expect(links.first).to_be_visible(timeout=30_000)
    targets = [link.get_attribute("href") for link in attention.locator("li a[href*='/failures/']").all()]
    assert len(targets) == len(set(targets))


def test_key_figures(visit: Visit, run: Run, redis_cluster: Cluster) -> None:
    run("shop.add", 1, 2)
    page = visit("/?t=-1h")
    for figure in ("Throughput", "Failure rate", "Runtime p95", "Queue time p95", "Backlog", "Busy processes"):
        expect(page.get_by_role("heading", name=figure, level=3)).to_be_visible()
    expect(page.get_by_role("img", name="Succeeded tasks per second over time")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Runtime percentiles"))).to_be_visible()
    types = page.get_by_role("region", name="Task types")
    expect(types.get_by_role("link", name="shop.add")).to_be_visible()
    expect(page.get_by_role("region", name="Queues").get_by_role("link", name="celery")).to_be_visible()
    worker = redis_cluster.worker.hostname
    expect(page.get_by_role("region", name="Workers")).to_contain_text(worker.removeprefix("celery@"))


#: Number and run time (s) of the tasks of each type. The busiest type is not the slowest; one has no run time.
TYPES = {
    "shop.add": (5, 0.1),
    "shop.mail": (3, 4.0),
    "shop.report": (2, 60.0),
    "shop.fail": (4, 1.0),
    "shop.wait": (6, 0),
}


@pytest.fixture
def types_of_known_run_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A server with tasks that do not change, so that all requests have the same answer."""
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    now, tasks = time.time(), []
    for name, (count, seconds) in TYPES.items():
        for n in range(count):
            at, state = now - 300 - n, "FAILURE" if name == "shop.fail" else "SUCCESS"
            fields: dict[str, Any] = {
                "started": at,
                ENDS[state]: at + seconds,
                "timestamp": at + seconds,
                "runtime": seconds,
            }
            if not seconds:
                state, fields = "RECEIVED", {"timestamp": at}
            tasks.append(Task(uuid=f"{name}-{n}", name=name, state=state, hostname="celery@a", received=at, **fields))
    # an older task, so that the page does not begin its window at the first one
    tasks.append(Task(uuid="old", name="shop.old", state="PENDING", sent=now - 7200, timestamp=now - 7200))
    writer = open_writer(tmp_path / "store")
    writer.write(Batch(new=tasks))
    reader = open_reader(tmp_path / "store")
    with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
        yield live
    reader.close()
    writer.close()


def test_task_types_are_ordered_by_count_or_by_p95_as_in_the_api(
    types_of_known_run_times: WebServer, open_page: Callable[..., WatchedPage]
) -> None:
    server = types_of_known_run_times
    # the broker in memory has no queue statistics
    page = open_page(f"http://127.0.0.1:{server.port}", "/?t=-1h", expect_problems=True).page
    types = page.get_by_role("region", name="Task types")
    names = types.locator("tbody td.type-c a")
    busiest = ["shop.wait", "shop.add", "shop.fail", "shop.mail", "shop.report"]
    slowest = ["shop.report", "shop.mail", "shop.fail", "shop.add"]
    expect(names).to_have_text(busiest)
    types.get_by_role("button", name="Slowest").click()
    expect(names).to_have_text(slowest)
    groups = server.http.get("/api/v1/stats", params={"group_by": "name", "start": "-1h"}).json()["groups"]
    assert [each["group"] for each in groups] == busiest
    timed = [each for each in groups if each["runtime"]["p95"] is not None]
    timed.sort(key=lambda each: each["runtime"]["p95"], reverse=True)
    assert [each["group"] for each in timed] == slowest


def test_badges_of_the_sidebar(visit: Visit, run: Run) -> None:
    run("shop.fail", "side bar", state="FAILURE")
    main = visit("/settings").get_by_role("navigation", name="Main")
    for name, figure in (("Failures", "[1-9].*unresolved"), ("Workers", "[1-9].*online"), ("Queues", "[1-9]")):
        expect(main.get_by_role("link", name=re.compile(f"^{name} {figure}"))).to_be_visible()


def test_charts_as_tables(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/")
    panel = page.get_by_role("region", name="Throughput")
    panel.get_by_role("button", name="Table").click()
    expect(panel.get_by_role("columnheader", name="Succeeded")).to_be_visible()
    panel.get_by_role("button", name="Chart").click()
    expect(panel.get_by_role("img", name=re.compile("Failed and retried"))).to_be_visible()


def test_the_time_range_is_in_the_url(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/")
    page.get_by_role("group", name="Time range").get_by_role("button", name="6 h").click()
    expect(page).to_have_url(re.compile(r"\?t=-6h$"))
    page.reload()
    expect(page.get_by_role("button", name="6 h")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(page.get_by_role("button", name="6 h")).to_have_attribute("aria-pressed", "false")


def test_live_updates(visit: Visit, run: Run) -> None:
    run("shop.add", 1, 2)
    page = visit("/")
    rows = page.get_by_role("region", name="Task types").locator("tbody tr")
    expect(rows.first).to_be_visible()
    run("shop.limited")
    expect(page.get_by_role("region", name="Task types").get_by_role("link", name="shop.limited")).to_be_visible(
        timeout=30_000
    )


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A server with an empty store."""
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    open_writer(tmp_path / "store").close()
    reader = open_reader(tmp_path / "store")
    with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
        yield live
    reader.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_empty_store_shows_the_settings_check(
    empty: WebServer, open_page: Callable[..., WatchedPage], theme: str
) -> None:
    # the broker in memory has no queue statistics
    page = open_page(f"http://127.0.0.1:{empty.port}", "/", theme=theme, expect_problems=True).page
    expect(page.get_by_role("heading", name="Waiting for events")).to_be_visible()
    settings = page.get_by_role("region", name="Celery settings")
    for setting in ("worker_send_task_events", "task_send_sent_event", "task_track_started", "result_extended"):
        expect(settings.get_by_role("heading", name=setting)).to_be_visible()
    expect(settings).to_contain_text("app.conf.task_send_sent_event = True")
    assert violations(page) == []


def test_a_new_store_is_shown_as_it_fills(tmp_path: Path, open_page: Callable[..., WatchedPage]) -> None:
    writer = open_writer(tmp_path / "store")
    reader = open_reader(tmp_path / "store")
    try:
        with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
            page = open_page(f"http://127.0.0.1:{live.port}", "/", expect_problems=True).page
            expect(page.get_by_role("heading", name="Waiting for events")).to_be_visible()
            now = time.time()
            writer.write(Batch(new=[Task(uuid="t", name="shop.add", received=now, started=now, succeeded=now + 0.1)]))
            expect(page.get_by_role("region", name="Task types").get_by_role("link", name="shop.add")).to_be_visible()
            # older stores show an hour
            expect(page.get_by_role("button", name="15 min")).to_have_attribute("aria-pressed", "true")
    finally:
        reader.close()
        writer.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE], ids=["wide", "tablet", "phone"])
def test_axe(visit: Visit, run: Run, redis_cluster: Cluster, theme: str, size: tuple[int, int]) -> None:
    run("shop.fail_as", "Declined", "declined", state="FAILURE")
    page = visit("/", theme=theme, size=size)
    expect(page.get_by_role("region", name="Task types").locator("tbody tr").first).to_be_visible()
    expect(page.get_by_role("region", name="Needs attention")).to_contain_text("declined")
    assert violations(page) == []
    assert page.evaluate("document.querySelector('.page').scrollWidth <= document.querySelector('.page').clientWidth")


def test_statistics_are_loaded_again_while_tasks_change(visit: Visit, redis_cluster: Cluster) -> None:
    page = visit("/?t=-1h")
    requests: list[float] = []
    page.on(
        "request", lambda request: requests.append(time.monotonic()) if "/stats?group_by=time" in request.url else None
    )
    for _ in range(40):
        redis_cluster.app.send_task("shop.add", (1, 2), ignore_result=True)
        page.wait_for_timeout(200)
    gaps = [later - sooner for sooner, later in pairwise(requests)]
    assert len(gaps) >= 2
    # 1.2 s on an idle machine
    assert 1.0 < median(gaps) < 2.5
