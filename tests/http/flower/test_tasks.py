"""Flower's task routes on a real store: formats, sort orders, filters and error messages."""

import json
import threading
from typing import Any

import httpx
import pytest

from flower.records import Task
from flower.store.factory import open_reader
from flower.store.protocols import Batch, Writer
from tests.helpers.web_server import WebServer

SORTS = "expected one of name, received, started, state"
ALL = ["<script>alert(1)</script>/a b", "c/d", "b", "a"]


def ids(live: WebServer, **parameters: Any) -> list[str]:
    response = live.http.get("/api/tasks", params=parameters)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    return list(response.json())


def test_task_object(live: WebServer) -> None:
    result = live.http.get("/api/task/info/a").json()
    assert result == live.http.get("/api/tasks").json()["a"]
    assert result["worker"] == "celery@w1"
    assert result["args"] == "(1, 'EUR')"
    assert result["children"] == ["b"]
    assert result["exception"] is None
    assert {"uuid", "root", "parent", "clock", "client", "exchange", "routing_key", "rejected", "eta"} <= result.keys()


def test_default_order(live: WebServer) -> None:
    assert ids(live) == ALL


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"limit": 2}, ALL[:2]),
        ({"limit": 2, "offset": 1}, ALL[1:3]),
        ({"limit": 0}, []),
        ({"limit": -5}, []),
        ({"limit": "9" * 40}, ALL),
        ({"offset": -5}, ALL),
        ({"offset": "9" * 40}, []),
        ({"sort_by": "received"}, ["c/d", "<script>alert(1)</script>/a b", "a", "b"]),
        ({"sort_by": "received", "limit": 2, "offset": 1}, ["<script>alert(1)</script>/a b", "a"]),
        ({"sort_by": "received", "limit": 2, "offset": 0}, ["c/d", "<script>alert(1)</script>/a b"]),
        ({"sort_by": "-received", "limit": 1}, ["b"]),
        ({"sort_by": "--received", "limit": 1}, ["b"]),
        ({"sort_by": "name", "limit": 2}, ["<script>alert(1)</script>/a b", "a"]),
        ({"sort_by": "state", "limit": 1}, ["b"]),
        ({"sort_by": ""}, ALL),
        ({"state": "failure"}, ["b"]),
        ({"state": "All", "workername": "All", "taskname": "All"}, ALL),
        ({"workername": "CELERY@W1"}, ["a"]),
        ({"taskname": "shop.mail"}, ["c/d", "b"]),
        ({"taskname": "shop"}, []),
        ({"search": "declined"}, ["b"]),
        ({"search": "state:SUCCESS kwargs:order_id=17"}, ["a"]),
        ({"search": "<b>bold</b>"}, ["<script>alert(1)</script>/a b"]),
        ({"received_start": "1970-01-01T00:03:00Z"}, ["b"]),
        ({"received_end": "1970-01-01T00:01:40Z"}, ["<script>alert(1)</script>/a b", "a"]),
        ({"nonsense": "1"}, ALL),
    ],
)
def test_filters(live: WebServer, parameters: dict[str, Any], expected: list[str]) -> None:
    assert ids(live, **parameters) == expected


def test_repeated_and_blank_parameters(live: WebServer) -> None:
    assert list(live.http.get("/api/tasks?limit=3&limit=%201%20").json()) == ALL[:1]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/tasks?limit=x", 400, "Invalid argument 'x' of type 'int'"),
        ("/api/tasks?limit=", 400, "Invalid argument '' of type 'int'"),
        ("/api/tasks?offset=1.5", 400, "Invalid argument '1.5' of type 'int'"),
        ("/api/tasks?sort_by=x", 400, "Invalid sort_by 'x', " + SORTS),
        (
            "/api/tasks?sort_by=runtime",
            400,
            "Invalid sort_by 'runtime', expected one of name, received, started, state",
        ),
        (
            "/api/tasks?received_start=x",
            400,
            "Invalid received_start or received_end, expected format 'YYYY-MM-DD HH:MM'",
        ),
        ("/api/task/info/unknown", 404, "Unknown task 'unknown'"),
        ("/api/task/info/a%20b%2Fc", 404, "Unknown task 'a b/c'"),
        ("/api/task/info/%3Cb%3E", 404, "Unknown task '<b>'"),
        ("/api/task/info/", 404, "Unknown task ''"),
        ("/api/nothing", 404, ""),
        ("/api/tasks/", 404, ""),
    ],
)
def test_errors_are_plain_text(live: WebServer, path: str, status: int, text: str) -> None:
    response = live.http.get(path)
    assert (response.status_code, response.text) == (status, text)
    assert response.headers["content-type"].lower() == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_search_errors_are_json(live: WebServer) -> None:
    response = live.http.get("/api/tasks", params={"search": "(shop"})
    assert response.status_code == 400
    assert "at position 0." in response.json()["error"]


def test_ids_with_slashes(live: WebServer) -> None:
    assert live.http.get("/api/task/info/c/d").json()["uuid"] == "c/d"
    assert live.http.get("/api/task/info/c%2Fd").json()["uuid"] == "c/d"
    assert live.http.get("/api/task/info/%3Cscript%3Ealert(1)%3C%2Fscript%3E/a%20b").json()["state"] == "PROGRESS"


def test_task_types(live: WebServer) -> None:
    assert live.http.get("/api/task/types").json() == {
        "task-types": ["<img src=x onerror=alert(1)>", "shop.charge", "shop.mail"]
    }


def test_healthcheck(live: WebServer) -> None:
    response = live.http.get("/healthcheck")
    assert (response.text, response.headers["content-type"].split(";")[0]) == ("OK", "text/html")


@pytest.mark.parametrize("path", ["/api/tasks", "/api/task/info/a", "/api/task/types", "/healthcheck", "/tasks"])
def test_head_is_get_without_a_body(live: WebServer, path: str) -> None:
    head, got = live.http.head(path), live.http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_options_and_wrong_methods(live: WebServer) -> None:
    for path in ("/api/tasks", "/api/task/apply/x", "/tasks", "/nowhere"):
        response = live.http.options(path)
        assert (response.status_code, response.content) == (204, b"")
    for method, path in (("PUT", "/api/tasks"), ("GET", "/api/task/apply/x"), ("DELETE", "/healthcheck")):
        response = live.http.request(method, path)
        assert (response.status_code, response.content) == (405, b"")


def test_list_is_streamed(writer: Writer, tmp_path: Any, opened: None) -> None:
    many = 20_000
    writer.write(
        Batch(new=[Task(uuid=f"t{n}", name="shop.add", timestamp=float(n), received=1.0) for n in range(many)])
    )
    with WebServer(open_reader(tmp_path / "store")) as live:
        with live.http.stream("GET", "/api/tasks") as response:
            assert "content-length" not in response.headers
            body = b"".join(response.iter_raw())
        assert list(json.loads(body)) == [f"t{n}" for n in reversed(range(many))]
        # A client that leaves in the middle takes nothing with it.
        for _ in range(20):
            with live.http.stream("GET", "/api/tasks") as response:
                next(response.iter_raw())
        assert live.http.get("/api/tasks?limit=1").status_code == 200


def test_healthcheck_does_not_block(live: WebServer) -> None:
    """The health check responds while all worker threads of the server are blocked."""
    release = threading.Event()
    started_at = threading.Semaphore(0)
    names = type(live.context.store).names

    def stuck(self: Any) -> Any:
        started_at.release()
        release.wait(30)
        return names(self)

    type(live.context.store).names = stuck  # type: ignore[method-assign]
    try:
        waiting = [
            threading.Thread(
                target=httpx.get, args=(f"http://127.0.0.1:{live.port}/api/task/types",), kwargs={"timeout": 60}
            )
            for _ in range(12)
        ]
        for thread in waiting:
            thread.start()
        for _ in range(8):
            assert started_at.acquire(timeout=20)
        assert live.http.get("/healthcheck", timeout=10).text == "OK"
    finally:
        release.set()
        type(live.context.store).names = names  # type: ignore[method-assign]
        for thread in waiting:
            thread.join(30)
