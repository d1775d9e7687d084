"""Records of untrusted content (markup, invisible characters, very long texts), a large workflow, and printing."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from urllib.parse import quote

import pytest
from celery import Celery
from playwright.sync_api import expect

from flower.records import Task, Worker
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch
from tests.helpers.browser import PHONE, WIDE, WatchedPage, violations
from tests.helpers.web_server import WebServer

NOW = 1_795_342_500.0

SCRIPT = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
TURNED = "safe\u202egnp.exe\u2066\x00"
LONG = "9" * 1_000_000
HOSTILE = SCRIPT + TURNED
ENCODED = quote(HOSTILE, safe="")

PATHS = [
    "/",
    "/tasks",
    f"/tasks?q={ENCODED}",
    "/task/hostile",
    f"/task/{ENCODED}",
    "/failures?status=all",
    f"/failures/{ENCODED}",
    "/workflows",
    "/workflows/hostile",
    "/workers",
    f"/worker/{ENCODED}",
    "/queues",
    f"/queues/{ENCODED}",
    "/audit",
    "/jobs",
    "/settings",
]


def chord() -> tuple[Task, ...]:
    """A task and a hundred tasks that it sent."""
    first = Task("first", "shop.open_day", "SUCCESS", "w@1", timestamp=NOW + 1, received=NOW, started=NOW, runtime=1.0)
    rest = (
        Task(
            f"part-{n}", "shop.resize_image", "FAILURE" if n % 9 == 0 else "SUCCESS", "w@1", timestamp=NOW + n + 2,
            received=NOW + n, started=NOW + n + 1, runtime=1.0, root_id="first", parent_id="first",
        )
        for n in range(100)
    )  # fmt: skip
    return first, *rest


def hostile() -> Task:
    trace = f'File "{HOSTILE}", line 1, in {SCRIPT}\n    {HOSTILE}{LONG}\nBroken: {HOSTILE}'
    return Task(
        "hostile", HOSTILE, "FAILURE", HOSTILE, timestamp=NOW + 500, received=NOW, started=NOW + 1, failed=NOW + 2,
        args=f"({SCRIPT!r}, {TURNED!r}, '{LONG}')", kwargs=f"{{{SCRIPT!r}: {LONG}}}", queue=HOSTILE,
        exception=f"Broken({HOSTILE!r})", traceback=f"Traceback (most recent call last):\n  {trace}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("wide") / "store"
    patch = pytest.MonkeyPatch()
    patch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    writer = open_writer(folder)
    writer.write(Batch(new=(*chord(), hostile()), workers=(Worker(HOSTILE, heartbeat=NOW),)))
    writer.close()
    reader = open_reader(folder)
    with WebServer(reader, lambda: Celery(broker="memory://", set_as_current=False)) as live:
        yield live
    reader.close()
    patch.undo()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_workflow_of_a_hundred_tasks(
    live: WebServer, open_page: Callable[..., WatchedPage], size: tuple[int, int]
) -> None:
    watched = open_page(f"http://127.0.0.1:{live.port}", "/workflows/first", size=size, expect_problems=True)
    graph = watched.page.get_by_role("group", name="Workflow of 101 tasks")
    expect(graph.get_by_role("link")).to_have_count(101)
    boxes = graph.evaluate(
        "e => [...e.querySelectorAll('rect')].map((r) => `${r.getAttribute('x')} ${r.getAttribute('y')}`)"
    )
    assert len(set(boxes)) == len(boxes)  # none overlaps another
    expect(watched.page.get_by_role("group", name="Waterfall").get_by_role("link")).to_have_count(101)
    assert violations(watched.page) == []


def test_printed_pages_are_light_and_contain_the_rows(live: WebServer, open_page: Callable[..., WatchedPage]) -> None:
    watched = open_page(f"http://127.0.0.1:{live.port}", "/tasks", theme="dark", expect_problems=True)
    page = watched.page
    expect(page.locator(".gr").first).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator("html[data-theme=light]")).to_have_count(1)
    boxes = [each.bounding_box() for each in page.locator("[role=row].gr").all()]
    rows = [box for box in boxes if box]
    assert len(rows) == len(boxes) > 20
    assert all(below["y"] >= above["y"] + above["height"] for above, below in pairwise(rows))
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    page.emulate_media(media="screen")
    expect(page.locator("html[data-theme=dark]")).to_have_count(1)


@pytest.mark.parametrize("path", PATHS)
def test_untrusted_text_is_escaped(live: WebServer, open_page: Callable[..., WatchedPage], path: str) -> None:
    watched = open_page(f"http://127.0.0.1:{live.port}", path, expect_problems=True)
    page = watched.page
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    page.wait_for_timeout(700)  # the network is never idle, because of the stream
    assert page.title() != "taken"
    assert page.locator("main img[src=x], #app script").count() == 0
    page.locator(".sb-hl").evaluate_all(
        "all => all.forEach((e) => e.remove())"
    )  # the search box contains the query as typed
    shown = page.locator("body").inner_text()
    assert not re.search("[\u202e\u2066\x00]", shown)
    if path == "/task/hostile":
        expect(page.locator("body")).to_contain_text("onerror=")
        expect(page.locator("body")).to_contain_text("\\u202e")
    if not path.startswith(("/tasks?q", "/task/", "/failures/")):
        assert violations(page) == []
