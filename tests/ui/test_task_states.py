"""What the pages show of states that are not known, of attempts at the same time, and of clocks that differ."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from playwright.sync_api import Page, expect

from flower.records import Attempt, Lost, Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from tests.helpers.browser import PHONE, WIDE, WatchedPage, violations
from tests.helpers.web_server import WebServer

Visit = Callable[..., Page]

DETAIL = "celery@b stopped while it had the task. No other worker has it, and the result backend has no result."


def tasks(now: float) -> list[Task]:
    return [
        Task(
            uuid="lost", name="shop.charge", state="STARTED", hostname="celery@b", sent=now - 90, received=now - 90,
            started=now - 89, timestamp=now - 89,
            lost=Lost(now - 40, "worker_offline", DETAIL, ("workers", "result backend", "queue")),
        ),
        Task(
            uuid="backend", name="shop.add", state="SUCCESS", hostname="celery@b", source="result_backend",
            received=now - 85, started=now - 84, timestamp=now - 84,
        ),
        Task(
            uuid="twice", name="shop.add", state="STARTED", hostname="celery@b", sent=now - 80, received=now - 40,
            started=now - 39, timestamp=now - 39,
            earlier=(Attempt(0, hostname="celery@a", received=now - 80, started=now - 79),),
        ),
        Task(
            uuid="redelivered", name="shop.add", state="SUCCESS", hostname="celery@b", sent=now - 75,
            received=now - 40, started=now - 39, succeeded=now - 38, timestamp=now - 38, runtime=1.0,
            earlier=(
                Attempt(
                    0, hostname="celery@a", received=now - 75, started=now - 74, ended=now - 60, lost="worker_offline"
                ),
            ),
        ),
        Task(
            uuid="again", name="shop.add", state="SUCCESS", hostname="celery@a", run=1, sent=now - 30,
            received=now - 30, started=now - 29, succeeded=now - 28, timestamp=now - 28, runtime=1.0,
            earlier=(
                Attempt(
                    0, hostname="celery@a", received=now - 70, started=now - 69, ended=now - 68, state="FAILURE",
                    exception="ValueError('the first run')",
                ),
            ),
        ),
        Task(
            uuid="ahead", name="shop.add", state="SUCCESS", hostname="celery@ahead", sent=now - 20,
            received=now - 20 + 3600, started=now - 18 + 3600, succeeded=now - 17 + 3600, timestamp=now - 17 + 3600,
            runtime=1.0, clock_offset=3600.0, queue_wait=2.0,
        ),
        Task(
            uuid="skewed", name="shop.add", state="SUCCESS", hostname="celery@a", sent=now - 9.998, received=now - 10,
            started=now - 9.5, succeeded=now - 9, timestamp=now - 9, runtime=0.5,
        ),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("store")
    writer = open_writer(folder)
    writer.write(Batch(new=tasks(time.time())))
    reader = open_reader(folder)
    with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
        yield live
    reader.close()
    writer.close()


@pytest.fixture
def at(server: WebServer, open_page: Callable[..., WatchedPage]) -> Visit:
    def visit(path: str, **options: object) -> Page:
        # the broker in memory has no queue statistics
        return open_page(f"http://127.0.0.1:{server.port}", path, expect_problems=True, **options).page

    return visit


def test_lists_mark_tasks_whose_state_is_not_known(at: Visit) -> None:
    page = at("/tasks")
    mark = page.locator("#row-lost .lost")
    expect(mark).to_have_attribute("title", re.compile(DETAIL))
    expect(page.locator("#row-lost").get_by_role("gridcell").nth(1)).to_have_text(
        re.compile(f"Started.*lost: {DETAIL}", re.DOTALL)
    )
    expect(page.locator("#row-backend .lost")).to_have_count(0)
    expect(page.locator("#row-twice .st")).to_contain_text("twice")


def test_the_filter_for_lost_tasks_is_in_the_sidebar(at: Visit) -> None:
    page = at("/tasks?q=name%3Ashop.*")
    facet = page.get_by_role("checkbox", name=re.compile("^lost"))
    facet.press("Space")
    expect(page).to_have_url(re.compile(r"is%3Alost|is:lost"))
    expect(page.locator(".gr")).to_have_count(1)
    expect(page.locator("#row-lost")).to_be_visible()
    expect(facet).to_be_checked()
    facet.press("Space")
    expect(page.locator(".gr")).to_have_count(7)


def test_the_page_of_a_lost_task_shows_why_since_when_and_what_was_queried(at: Visit) -> None:
    page = at("/task/lost")
    panel = page.get_by_role("region", name=re.compile("^State not known since 20"))
    expect(panel).to_contain_text(DETAIL)
    expect(panel).to_contain_text("workers, result backend, queue")
    expect(panel).to_contain_text("Re-run it if it can safely run twice")
    expect(panel.get_by_role("button", name="Re-run…")).to_be_visible()
    # the task is not shown as running
    expect(page.get_by_text("Running for")).to_have_count(0)
    expect(page.get_by_role("group", name="Timeline of 1 attempt")).to_contain_text("outcome not known")


def test_the_page_of_a_task_names_the_source_of_its_state(at: Visit) -> None:
    expect(at("/task/backend").get_by_text("State from the result backend")).to_be_visible()


def test_a_double_run_is_shown_as_two_attempts_at_the_same_time(at: Visit) -> None:
    page = at("/task/twice")
    notice = page.get_by_role("status").filter(has_text="Runs twice at the same time")
    expect(notice).to_contain_text(re.compile("Attempt 1 on.*celery@a.*Attempt 2 on.*celery@b", re.DOTALL))
    timeline = page.get_by_role("group", name="Timeline of 2 attempts")
    expect(timeline.get_by_text("in progress")).to_have_count(2)
    expect(timeline.locator("i.run.open")).to_have_count(2)


def test_a_redelivered_task_shows_that_its_first_attempt_has_no_outcome(at: Visit) -> None:
    page = at("/task/redelivered")
    timeline = page.get_by_role("group", name="Timeline of 2 attempts")
    lanes = timeline.locator(".lane")
    expect(lanes).to_have_count(2)
    first, second = lanes.all()
    expect(first).to_contain_text("outcome not known")
    expect(second).to_contain_text("Delivered again")
    expect(second).to_contain_text("succeeded")
    expect(page.get_by_text("twice at the same time")).to_have_count(0)


def test_earlier_runs_of_a_reused_id_are_kept_in_a_list_of_their_own(at: Visit) -> None:
    page = at("/task/again")
    expect(page.get_by_role("group", name="Timeline of 1 attempt")).to_contain_text("succeeded")
    page.get_by_text("1 earlier run").click()
    expect(page.get_by_role("region", name="Run 1")).to_contain_text("failed")
    # the exception of an earlier run is not that of the current one
    expect(page.get_by_role("region", name="Exception")).to_have_count(0)


def test_times_of_a_worker_whose_clock_is_ahead_are_corrected(at: Visit) -> None:
    page = at("/task/ahead")
    notice = page.get_by_role("status").filter(has_text="The clock of celery@ahead is 1")
    expect(notice).to_contain_text("ahead. Times are corrected.")
    facts = page.locator("dl.facts")
    expect(facts).to_contain_text(re.compile(r"Queue time\s*2\.00"))
    expect(facts).to_contain_text(re.compile(r"Total time\s*3\.00"))
    rows = page.get_by_role("region", name="Events").locator("tbody tr")
    corrected = rows.nth(1).inner_text()
    notice.get_by_role("button", name="Show times of the events").press("Enter")
    expect(rows.nth(1)).not_to_have_text(corrected)
    expect(notice.get_by_role("button", name="Correct the times")).to_be_focused()


def test_events_are_listed_in_causal_order(at: Visit) -> None:
    rows = at("/task/skewed").get_by_role("region", name="Events").locator("tbody tr")
    expect(rows).to_have_count(4)
    for row, event in zip(rows.all(), ("sent", "received", "started", "succeeded"), strict=True):
        expect(row.get_by_role("cell").nth(1)).to_have_text(event)
    expect(rows.nth(1)).to_contain_text(re.compile(r"clocks differ by 2.00\s*ms|clocks differ by 2\s*ms"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe(at: Visit, theme: str, size: tuple[int, int]) -> None:
    for path, shown in (("/tasks", ".lost"), ("/task/lost", ".lost-panel"), ("/task/twice", ".notice")):
        page = at(path, theme=theme, size=size)
        expect(page.locator(shown).first).to_be_attached()
        expect(page.locator(".skel")).to_have_count(0)
        assert violations(page) == []
