"""The pages: what they show, that nothing hostile gets through them, and what they say of the recorder."""

import re
import time
from typing import Any

import pytest
from live import Live

from flower.records import Gap, Task
from flower.store.port import Batch, Reader, Writer
from flower.web.status import recorder_line
from flower.web.values import clock, duration, visible


def test_the_list(live: Live) -> None:
    page = live.http.get("/tasks")
    assert page.headers["content-type"] == "text/html; charset=UTF-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "4 on record" in page.text
    assert 'href="/task/c%2Fd"' in page.text
    assert re.search(r"shop\.</span><b>charge</b>", page.text)
    assert "1.50 s" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text


def test_the_way_in(live: Live) -> None:
    assert live.http.get("/").text == live.http.get("/workers").text


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("state=FAILURE", "mail", "charge"),
        ("search=name:charge", "charge", "mail</b>"),
        ("worker=celery%40w1", "charge", "mail</b>"),
        ("name=shop.mail", "mail</b>", "charge</b>"),
        ("search=nothing_like_it", "No task matches", "<table"),
        ("offset=100", "There are no older tasks", "<table"),
    ],
)
def test_filters(live: Live, query: str, shown: str, hidden: str) -> None:
    page = live.http.get(f"/tasks?{query}")
    assert page.status_code == 200
    assert shown in page.text
    assert hidden not in page.text


def test_a_search_that_cannot_be_read(live: Live) -> None:
    page = live.http.get("/tasks", params={"search": 'state:FAILURE "><script>('})
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert "at position" in page.text
    assert "<mark>" in page.text
    assert "<script" not in page.text


def test_older_and_newer(writer: Writer, store: Reader, opened: None) -> None:
    writer.write(Batch(new=[Task(uuid=f"n{n:03}", name="n", received=1000.0 + n) for n in range(250)]))
    with Live(store) as live:
        first = live.http.get("/tasks").text
        second = live.http.get("/tasks?offset=100").text
        third = live.http.get("/tasks?offset=200&name=n").text
    assert "/tasks?offset=100" in first
    assert "Newer" not in first
    assert "101–200" in second
    assert 'rel="prev" href="/tasks?"' in second
    assert "/tasks?offset=200" in second
    assert "Older" not in third
    assert "/tasks?name=n&amp;offset=100" in third
    seen = [re.findall(r'class="mono" href="/task/(n\d+)"', page) for page in (first, second, third)]
    assert [len(page) for page in seen] == [100, 100, 50]
    assert [*seen[0], *seen[1], *seen[2]] == [f"n{n:03}" for n in reversed(range(250))]


def test_one_task(live: Live) -> None:
    page = live.http.get("/task/b").text
    assert "ValueError(&#39;card declined&#39;)" in page
    assert "Traceback: card declined" in page
    assert "first traceback" in page
    assert 'href="/task/a"' in page
    assert 'href="/task/b"' in live.http.get("/task/a").text
    assert live.http.get("/task/c/d").status_code == 200


def test_hostile_tasks_are_text(live: Live) -> None:
    page = live.http.get("/task/%3Cscript%3Ealert(1)%3C%2Fscript%3E%2Fa%20b")
    assert page.status_code == 200
    for part in ("<script", "<img", "<b>bold", "<i>done", "\u202e", "\x00", "\x1b"):
        assert part not in page.text
    assert "&lt;i&gt;done&lt;/i&gt;" in page.text
    assert "\\x1b[31m" in page.text
    assert "evil@\\u202ehost\\x00" in page.text


def test_what_is_not_there(live: Live) -> None:
    page = live.http.get("/task/%3Cb%3E")
    assert page.status_code == 404
    assert "Unknown task &#39;&lt;b&gt;&#39;" in page.text
    assert "no such page" in live.http.get("/nowhere").text
    assert live.http.get("/tasks?offset=x").status_code == 400


def test_under_a_prefix(store: Reader, opened: None) -> None:
    with Live(store, url_prefix="/deep/flower/") as live:
        assert live.http.get("/tasks").status_code == live.http.get("/healthcheck").status_code == 404
        assert live.http.get("/deep/flower").headers["location"] == "/deep/flower/"
        assert 'href="/deep/flower/worker/celery%40w1"' in live.http.get("/deep/flower/").text
        page = live.http.get("/deep/flower/tasks").text
        style = re.search(r'href="(/deep/flower/static/flower.css\?v=\w+)"', page)
        assert style
        assert live.http.get(style[1]).headers["content-type"].startswith("text/css")
        assert 'action="/deep/flower/tasks"' in page
        assert live.http.get("/deep/flower/api/task/info/a").json()["uuid"] == "a"
        assert live.http.get("/deep/flower/api/nothing").text == ""
        assert "/deep/flower/tasks" in live.http.get("/deep/flower/task/nobody").text


NOW = 1_000_000.0
WELL = {"at": NOW, "running": True, "last_event": NOW - 3, "trouble": None, "capture": {"connected": True}}


@pytest.mark.parametrize(
    ("status", "level", "words"),
    [
        (WELL, "good", "Recording; last event 3 s ago"),
        ({**WELL, "last_event": None}, "good", "no event so far"),
        ({**WELL, "capture": {"connected": False}}, "warn", "not connected to the broker"),
        ({**WELL, "trouble": "the disk is full"}, "bad", "Nothing is being recorded: the disk is full"),
        ({**WELL, "running": False}, "bad", "recorder was last heard 0 s ago"),
        ({**WELL, "at": NOW - 600}, "bad", "recorder was last heard 10 min ago"),
        ({}, "warn", "No recorder has written to this store yet"),
    ],
)
def test_how_the_recorder_is(status: dict[str, Any], level: str, words: str) -> None:
    line = recorder_line(status, [], NOW)
    assert line.level == level
    assert words in line.text
    assert not line.gap


def test_gaps() -> None:
    old, new, open_ = (
        Gap(NOW - 1e6, NOW - 9e5, "old"),
        Gap(NOW - 90, NOW - 60, "broker away"),
        Gap(NOW - 5, None, "full"),
    )
    assert recorder_line(WELL, [old], NOW).gap == ""
    assert "broker away" in recorder_line(WELL, [old, new], NOW).gap
    assert "to now: full, and 1 more times in the last day" in recorder_line(WELL, [new, open_], NOW).gap


def test_the_page_says_that_the_disk_is_full(writer: Writer, store: Reader, opened: None) -> None:
    writer.set_status({"at": time.time(), "running": True, "trouble": "the disk is full <0 bytes>", "capture": {}})
    with Live(store) as live:
        page = live.http.get("/tasks").text
    assert "Nothing is being recorded: the disk is full &lt;0 bytes&gt;" in page
    assert 'class="recorder bad"' in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01234, "12.34 ms"), (1.234, "1.23 s"), (125.2, "2m 05s"), (3723, "1h 02m 03s"), (None, "–"), ("x", "–")],
)
def test_durations(seconds: Any, text: str) -> None:
    assert duration(seconds) == text


def test_values() -> None:
    assert visible("a\x00b\u202ec\nd\te\udcff") == "a\\x00b\\u202ec\nd\te\\udcff"
    assert visible("x" * 70_000).endswith("… and 4,464 more characters")
    assert clock(1e300) == "1e+300"
    assert clock(None) == "–"
    assert clock(0.25, precise=True).endswith(".250")
