"""Headers, ETags, limits and logs of all responses."""

import logging
import select
import socket
from collections.abc import Iterator

import pytest

from flower.http.request_params import MAX_BODY_SIZE, MAX_PUBLIC_BODY_SIZE
from flower.store.protocols import Reader
from flower.web import middleware
from tests.helpers.servers import wait_for
from tests.helpers.web_server import WebServer

#: One path for each kind of answer.
PATHS = ("/healthcheck", "/tasks", "/task/a", "/api/tasks", "/api/task/info/a", "/api/task/types", "/static/flower.svg",
         "/favicon.ico", "/api/v1/openapi.json")  # fmt: skip


@pytest.mark.parametrize("path", [*PATHS, "/nowhere", "/api/nothing", "/api/task/info/nobody", "/tasks?offset=x"])
def test_headers_of_every_response(live: WebServer, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
        headers = live.http.request(method, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["access-control-allow-origin"] == "*"


DATA_PATHS = (
    "/", "/tasks", "/task/a", "/workers?json=1", "/tasks/datatable?draw=1&start=0&length=1", "/api/tasks",
    "/api/workers", "/api/task/info/a", "/api/task/info/nobody", "/api/v1/tasks", "/api/v1/tasks/a", "/api/v1/settings",
    "/api/v1/export?format=ndjson", "/api/v1/audit/export", "/api/v1/openapi.json", "/metrics", "/nowhere", "/login",
    "/logout",
)  # fmt: skip


@pytest.mark.parametrize("path", DATA_PATHS)
def test_data_is_not_stored_by_browsers(live: WebServer, path: str) -> None:
    first = live.http.get(path)
    assert first.headers["cache-control"] == "no-store"
    if "etag" in first.headers:
        again = live.http.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert again.headers["cache-control"] == "no-store"


def test_assets_remain_cacheable(live: WebServer) -> None:
    assert "cache-control" not in live.http.get("/static/flower.svg").headers
    assert "cache-control" not in live.http.get("/favicon.ico").headers


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_a_body(live: WebServer, path: str) -> None:
    got, head = live.http.get(path), live.http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    if "content-length" in head.headers:
        assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("path", [path for path in PATHS if path not in ("/tasks", "/task/a", "/api/tasks")])
def test_etag(live: WebServer, path: str) -> None:
    tag = live.http.get(path).headers["etag"]
    for params in (tag, f"W/{tag}", f'"other", {tag}', "*" if "static" not in path else tag):
        again = live.http.get(path, headers={"If-None-Match": params})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert "content-length" not in again.headers
    assert live.http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert live.http.head(path).headers["etag"] == tag


def test_no_etag_for_streams_and_errors(live: WebServer) -> None:
    assert "etag" not in live.http.get("/api/tasks").headers
    assert "etag" not in live.http.get("/nowhere").headers
    assert live.http.get("/nowhere", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("path", ["/", "/tasks", "/api/tasks", "/nowhere", "/api/nowhere", "/login", "/metrics"])
def test_options_is_the_same_for_every_path(live: WebServer, path: str) -> None:
    response = live.http.options(path)
    assert (response.status_code, response.content) == (204, b"")


@pytest.mark.parametrize("path", ["/tasks", "/api/tasks", "/healthcheck", "/api/task/info/a"])
def test_method_not_allowed(live: WebServer, path: str) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        response = live.http.request(method, path)
        assert (response.status_code, response.text) == (405, "")
    assert "GET" in live.http.put(path).headers["allow"]
    assert live.http.get("/api/task/revoke/a").status_code == 405
    assert live.http.put("/nowhere").status_code == 405


@pytest.mark.parametrize("path", ["/tasks/", "/api/tasks/", "/healthcheck/", "/nowhere/"])
def test_trailing_slash(live: WebServer, store: Reader, path: str) -> None:
    assert live.http.get(path).status_code == 404
    with WebServer(store, url_prefix="deep") as below:
        assert below.http.get(f"/deep{path}").status_code == 404


def test_url_prefix(store: Reader) -> None:
    with WebServer(store, url_prefix="/deep/") as live:
        for path in ("/", "/tasks", "/api/tasks", "/healthcheck", "/metrics", "/static/flower.svg", "/deeper"):
            assert live.http.get(path).status_code == 404
            assert "everything is served below /deep/" in live.http.get(path).text
        assert "served below" not in live.http.get("/deep/nowhere").text
        assert live.http.get("/deep", follow_redirects=False).headers["location"] == "/deep/"
        assert live.http.get("/deep/static/flower.svg").status_code == 200
        assert live.http.get("/deep/favicon.ico").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=ten", "Invalid argument 'ten' of type 'int'"),
        ("limit=", "Invalid argument '' of type 'int'"),
        ("limit=3&limit=<b>", "Invalid argument '<b>' of type 'int'"),
        ("sort_by=size", "Invalid sort_by 'size', expected one of name, received, started, state"),
    ],
)
def test_invalid_parameters(live: WebServer, query: str, message: str) -> None:
    response = live.http.get(f"/api/tasks?{query}")
    assert (response.status_code, response.text) == (400, message)
    assert response.headers["content-type"].lower() == "text/plain; charset=utf-8"


def test_form_overrides_query(live: WebServer) -> None:
    path = "/api/task/timeout/x?workername=w&soft=bad"
    for body in ({"data": {"soft": " worse "}}, {"files": {"soft": (None, " worse ")}}):
        response = live.http.post(path, **body)
        assert (response.status_code, response.text) == (400, "Invalid argument 'worse' of type 'float'")
    response = live.http.post("/api/task/revoke/x", data={"terminate": "perhaps"})
    assert (response.status_code, response.text) == (400, "Invalid argument 'perhaps' of type 'bool'")
    for given in ({}, {"workername": " "}):
        response = live.http.post("/api/task/timeout/x", data=given)
        assert (response.status_code, response.text) == (400, "Missing argument workername")


def test_body_limit(live: WebServer) -> None:
    """Files in forms are written to disk without a limit of their own."""

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n'
        for _ in range(MAX_BODY_SIZE // 2**20 + 2):
            yield b"x" * 2**20

    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = live.http.post("/api/task/timeout/x", content=endless(), headers=headers)
    assert response.status_code == 413
    assert response.headers["x-content-type-options"] == "nosniff"


def test_body_of_a_public_route_is_limited(store: Reader) -> None:
    """A client without a login cannot use up the limit of all bodies."""
    with WebServer(store, basic_auth=("ann:secret",)) as live:
        form = {"_xsrf": "a", "name": "ann", "password": "secret"}
        headers = {"cookie": "_xsrf=a"}
        file = {"f": b"x" * MAX_PUBLIC_BODY_SIZE}
        too_large = live.http.post("/login?_xsrf=a", files=file, headers=headers)
        assert too_large.status_code == 413
        assert live.http.post("/login", data=form, headers=headers).status_code == 302


def test_bodies_of_all_requests_together_are_limited(
    store: Reader, opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "MAX_TOTAL_BODIES", 10 * 2**20)
    with WebServer(store) as live:
        waiting = [socket.create_connection(("127.0.0.1", live.port), timeout=60) for _ in range(6)]
        head = b"POST /api/v1/tasks/x/rerun HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n"
        for client in waiting:
            client.sendall(head + b" " * 2_900_000)
        readable, _, _ = select.select(waiting, [], [], 20)
        response = readable[0].recv(4096)
        assert response.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 10" in response
        for client in waiting:
            client.close()
        wait_for("the end of the requests", lambda: len(live.connections) == 0)
        body = live.http.post("/api/v1/tasks/x/rerun", content=b" " * 2_900_000)
        assert body.status_code != 429


class Broken:
    """A store that raises an unexpected exception."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("the very inside")


def test_internal_error(opened: None) -> None:
    with WebServer(Broken()) as live:  # type: ignore[arg-type]
        page, api = live.http.get("/task/a"), live.http.get("/api/task/info/a")
    assert (page.status_code, api.status_code, api.text) == (500, 500, "")
    assert "very inside" not in page.text
    for response in (page, api):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["access-control-allow-origin"] == "*"


def test_internal_error_with_debug(opened: None) -> None:
    with WebServer(Broken(), debug=True) as live:  # type: ignore[arg-type]
        page = live.http.get("/task/a")
    assert page.status_code == 500
    assert "RuntimeError: the very inside" in page.text
    assert "bellflower 0" in page.text


def test_rejected_requests_are_logged(store: Reader, opened: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "flower")
    with WebServer(store, read_only=True) as live:
        live.http.get("/api/task/info/no%1Bbody?code=hush")
        live.http.post("/api/task/revoke/x")
        live.http.get("/nowhere")
        live.http.get("/tasks")
    assert caplog.messages == [
        "404 GET /api/task/info/no%1Bbody (127.0.0.1): Unknown task 'no\\x1bbody'",
        "403 POST /api/task/revoke/x (127.0.0.1): Read only mode is enabled",
    ]


def test_all_requests_are_logged_with_debug(store: Reader, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "flower")
    with WebServer(store, debug=True) as live:
        live.http.get("/login?code=hush")
        live.http.options("/tasks")
    assert [line.rpartition(" (")[0] for line in caplog.messages if line[:3].isdigit()] == [
        "404 GET /login", "404 GET /login", "204 OPTIONS /tasks",
    ]  # fmt: skip
    assert "hush" not in caplog.text
