"""Gaps in the recording, on the charts, lists and tasks that they affect."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery
from playwright.sync_api import Page, expect

from flower.records import Gap, Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from tests.helpers.browser import PHONE, WIDE, WatchedPage, violations
from tests.helpers.web_server import WebServer

Open = Callable[..., WatchedPage]

#: Seconds before now in which events are missing.
GAP = (400.0, 200.0)
REASON = "broker unreachable"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Ten minutes of tasks, one every ten seconds, with a gap in the middle."""
    folder = tmp_path_factory.mktemp("store")
    now = time.time()
    tasks = [
        Task(
            uuid=f"task-{seconds}", name="shop.add", state="SUCCESS", hostname="celery@a", queue="celery",
            sent=now - seconds, received=now - seconds, started=now - seconds, succeeded=now - seconds + 1,
            timestamp=now - seconds + 1, runtime=1.0,
        )
        for seconds in range(10, 600, 10)
        if not GAP[1] < seconds < GAP[0]
    ]  # fmt: skip
    unfinished = Task(
        uuid="open", name="shop.slow", state="STARTED", hostname="celery@a", sent=now - 410, received=now - 410,
        started=now - 409, timestamp=now - 409,
    )  # fmt: skip
    writer = open_writer(folder)
    writer.write(Batch(new=[*tasks, unfinished], gaps=[Gap(now - GAP[0], now - GAP[1], REASON)]))
    reader = open_reader(folder)
    with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
        yield live
    reader.close()
    writer.close()


@pytest.fixture
def at(server: WebServer, open_page: Open) -> Callable[..., Page]:
    def visit(path: str, **options: object) -> Page:
        # the broker in memory has no queue statistics
        return open_page(f"http://127.0.0.1:{server.port}", path, expect_problems=True, **options).page

    return visit


def test_a_gap_is_drawn_on_the_charts_it_affects(at: Callable[..., Page]) -> None:
    page = at("/?t=-15m")
    for chart in ("Succeeded tasks per second", "Failed and retried tasks", "Runtime percentiles"):
        image = page.get_by_role("img", name=re.compile(f"^{chart}.*Events may be missing.*{REASON}"))
        expect(image).to_be_visible()
        expect(image.locator(".gap-marks i")).to_have_count(1)
    page.get_by_role("button", name=re.compile("^Events may be missing")).first.click()
    expect(page.get_by_role("group", name="Gaps in the recording").first).to_contain_text(REASON)


def test_throughput_in_a_gap_is_unknown_and_not_zero(at: Callable[..., Page]) -> None:
    page = at("/?t=-15m")
    panel = page.get_by_role("region", name="Throughput")
    panel.get_by_role("button", name="Table").click()
    in_gap = panel.locator("tbody tr", has_text=re.compile("–"))
    # buckets of about five seconds
    expect(in_gap.first).to_be_visible()
    assert in_gap.count() >= 20


def test_a_gap_separates_the_tasks_before_and_after_it(at: Callable[..., Page]) -> None:
    page = at("/tasks?t=-1h")
    mark = page.get_by_role("gridcell", name=re.compile("^Events may be missing"))
    expect(mark).to_have_count(1)
    expect(mark).to_contain_text(REASON)
    # the newest task from before the gap
    expect(page.locator(".gr", has=page.locator(".gap-mark"))).to_have_attribute("data-id", "task-400")
    expect(page.get_by_role("img", name=re.compile("Tasks over time.*Events may be missing"))).to_be_visible()
    page.get_by_role("columnheader", name="Task").get_by_role("button").click()
    expect(page).to_have_url(re.compile("sort=name"))
    expect(mark).to_have_count(0)


def test_a_gap_is_shown_on_affected_tasks_only(at: Callable[..., Page]) -> None:
    page = at("/task/open")
    expect(page.get_by_role("button", name=re.compile("^Events may be missing"))).to_be_visible()
    expect(page.get_by_role("group", name="Timeline of 1 attempt").locator("u.hatch")).to_have_count(1)
    page = at("/task/task-100")
    expect(page.get_by_role("heading", name="shop.add")).to_be_visible()
    expect(page.get_by_role("group", name="Timeline of 1 attempt")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("1 gap"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Events may be missing"))).to_have_count(0)


@pytest.mark.parametrize("path", ["/workers", "/queues", "/jobs", "/failures", "/workflows"])
def test_pages_without_affected_data_have_no_gap_banner(at: Callable[..., Page], path: str) -> None:
    page = at(path)
    expect(page.locator("main")).to_be_visible()
    # the gaps are known to the page, beside the state of the recorder
    expect(page.get_by_role("complementary").get_by_role("button", name=re.compile("1 gap"))).to_be_visible()
    expect(page.locator("main").get_by_text("Events may be missing")).to_have_count(0)


def test_gaps_are_listed_with_their_cause(at: Callable[..., Page]) -> None:
    page = at("/task/task-100")
    page.get_by_role("button", name=re.compile("1 gap")).press("Enter")
    page.get_by_role("link", name="All gaps").press("Enter")
    expect(page).to_have_url(re.compile(r"/settings\?show=gaps$"))
    panel = page.get_by_role("region", name="Gaps in the recording")
    expect(panel.locator("tbody tr")).to_have_count(1)
    expect(panel).to_contain_text(REASON)
    expect(panel.locator("tbody tr")).to_contain_text("3 min")


def test_a_dismissed_gap_is_hidden_until_it_is_restored(
    tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    now = time.time()
    writer = open_writer(tmp_path / "store")
    task = Task(uuid="t", name="shop.add", state="STARTED", received=now - 60, started=now - 60, timestamp=now - 60)
    writer.write(Batch(new=[task], gaps=[Gap(now - 50, now - 40, REASON, "broker_unreachable")]))
    reader = open_reader(tmp_path / "store")
    try:
        with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
            page = open_page(f"http://127.0.0.1:{live.port}", "/task/t", expect_problems=True).page
            page.get_by_role("button", name=re.compile("^Events may be missing")).press("Enter")
            page.get_by_role("button", name="Dismiss", exact=True).press("Enter")
            expect(page.get_by_text("Gap dismissed")).to_be_visible()
            expect(page.get_by_role("button", name=re.compile("^Events may be missing"))).to_have_count(0)
            expect(page.get_by_role("button", name=re.compile("1 gap"))).to_have_count(0)
            page.goto("/settings?show=gaps")
            panel = page.get_by_role("region", name="Gaps in the recording")
            expect(panel).to_contain_text("No gaps recorded")
            panel.get_by_role("button", name="Show dismissed").press("Enter")
            panel.get_by_role("button", name="Show again").press("Enter")
            expect(panel.get_by_role("button", name="Dismiss", exact=True)).to_be_visible()
            page.goto("/task/t")
            expect(page.get_by_role("button", name=re.compile("^Events may be missing"))).to_be_visible()
    finally:
        reader.close()
        writer.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe(at: Callable[..., Page], theme: str, size: tuple[int, int]) -> None:
    page = at("/tasks?t=-1h", theme=theme, size=size)
    expect(page.locator(".gap-mark")).to_have_count(1)
    assert violations(page) == []
    page = at("/?t=-15m", theme=theme, size=size)
    expect(page.locator(".gap-note").first).to_be_visible()
    assert violations(page) == []
    page = at("/task/open", theme=theme, size=size)
    expect(page.locator(".gap-note").first).to_be_visible()
    assert violations(page) == []
