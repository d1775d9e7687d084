"""The budget of the pages, with a million tasks on disk: first rows, frames while tasks arrive, memory.

The limits are what a user would notice, and a figure is the best of a few tries, because other load on the machine must
not fail a test. `make bench` compares versions."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from playwright.sync_api import Page

from bench.dataset import Dataset
from bench.fill import fill
from tests.helpers.browser import WatchedPage
from tests.helpers.clusters import Cluster
from tests.helpers.product_process import Product
from tests.helpers.servers import wait_for

pytestmark = pytest.mark.alone

TASKS = 1_000_000
#: Milliseconds to the first row, and p95 of the duration of a frame. Both detect work that grows with the number of
#: tasks also on a loaded machine; the targets are in `make bench`.
MAX_FIRST_ROW, MAX_FRAME = 3_000.0, 100.0
MB = 2**20

#: Milliseconds from navigation to the first row.
FIRST_ROW = """() => new Promise((resolve) => {
  const check = () => { if (document.querySelector('.gr')) resolve(performance.now()); else setTimeout(check, 5); };
  check();
})"""

#: Scrolls past `rows` rows in eight seconds, or later if their pages are not loaded in time; returns the duration of
#: each frame in ms.
SCROLL = """(rows) => new Promise((resolve) => {
  const box = document.querySelector('.gr').closest('[role=grid]');
  const frames = [];
  const start = performance.now();
  let before = start;
  const step = (now) => {
    frames.push(now - before);
    before = now;
    box.scrollTop = Math.min((now - start) / 8000, 1) * rows * 34;
    const isEnd = box.scrollTop >= rows * 34 || now - start > 60_000;
    if (now - start > 8000 && isEnd) resolve({ frames, top: box.scrollTop });
    else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory, redis_cluster: Cluster) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("million") / "store"
    fill(str(folder), Dataset(TASKS, time.time()), 0, TASKS)
    with Product(redis_cluster.app.conf.broker_url, db=Path(folder)) as product:
        product.wait_until_capturing()
        wait_for("the server", lambda: product.get("/api/v1/count")["count"] >= TASKS)
        yield product


@pytest.fixture
def trial(million: Product, open_page: Callable[..., WatchedPage]) -> Callable[[str], Page]:
    return lambda path: open_page(f"http://127.0.0.1:{million.port}", path).page


@contextmanager
def updates(cluster: Cluster, tasks_per_second: float) -> Iterator[list[int]]:
    """Tasks executed by real workers; each sends three events."""
    stopping, sent = Event(), [0]

    def send() -> None:
        while not stopping.wait(1 / tasks_per_second):
            cluster.app.send_task("shop.add", (1, 2), ignore_result=True)
            sent[0] += 1

    thread = Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        stopping.set()
        thread.join()


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


@pytest.mark.parametrize("path", ["/tasks", "/tasks?q=state%3AFAILURE"])
def test_first_rows(trial: Callable[[str], Page], path: str) -> None:
    times = []
    for _ in range(5):
        times.append(trial(path).evaluate(FIRST_ROW))
        if times[-1] < MAX_FIRST_ROW:
            break
    print(path, [round(each) for each in times], "ms")
    assert min(times) < MAX_FIRST_ROW


def test_frames_while_tasks_arrive(trial: Callable[[str], Page], redis_cluster: Cluster) -> None:
    found: list[float] = []
    with updates(redis_cluster, 20 / 3):
        for _ in range(3):
            page = trial("/tasks")
            page.evaluate(FIRST_ROW)
            page.wait_for_timeout(1_000)
            scrolled: dict[str, Any] = page.evaluate(SCROLL, 10_000)
            assert scrolled["top"] >= 10_000 * 34, scrolled["top"]
            found.append(p95(scrolled["frames"]))
            print("p95 frame", round(found[-1], 1), "ms of", len(scrolled["frames"]), "frames")
            page.context.close()
            if found[-1] < MAX_FRAME:
                break
    assert min(found) < MAX_FRAME


def test_memory_of_a_page_that_is_left_open(trial: Callable[[str], Page], redis_cluster: Cluster) -> None:
    for path in ("/", "/tasks"):
        page = trial(path)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")

        def measured(session: Any = session) -> dict[str, float]:
            session.send("HeapProfiler.collectGarbage")
            return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}

        with updates(redis_cluster, 40) as sent:
            page.wait_for_timeout(4_000)
            before, already = measured(), sent[0]
            page.wait_for_timeout(10_000)
            after, arrived = measured(), sent[0] - already
        grown = after["JSHeapUsedSize"] - before["JSHeapUsedSize"]
        held, more = after["JSHeapUsedSize"] / MB, grown / MB
        print(f"{path}: {held:.1f} MB, {more:.2f} MB more with {arrived} tasks")
        assert after["JSHeapUsedSize"] < 60 * MB
        # the tasks page keeps new rows, up to 20,000; nothing else may remain in memory
        assert grown < 2 * MB + (4_000 * arrived if path == "/tasks" else 0)
        assert after["JSEventListeners"] < before["JSEventListeners"] + 100
        page.context.close()
