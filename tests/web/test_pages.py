"""Pages as the server sends them: status, title, bootstrap data and files."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest

from flower.api.thread_pool import MAX_THREADS
from flower.config import DEFAULT_CONFIG
from flower.store.protocols import Reader
from flower.web.rendering import escape_invisible
from tests.helpers.servers import wait_for
from tests.helpers.web_server import WebServer

#: A mark that every page of the shell contains.
SHELL = '<div id="app">'


def settings(page: str) -> dict[str, Any]:
    result = re.search(r'<meta name="bellflower" content="([^"]*)">', page)
    assert result
    return dict(json.loads(unescape(result[1])))


def title(page: str) -> str:
    result = re.search(r"<title>(.*?)</title>", page)
    assert result
    return unescape(result[1])


def files(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]*/static/ui/[^"]+)"', page)


def test_page(live: WebServer) -> None:
    page = live.http.get("/tasks")
    assert page.headers["content-type"] == "text/html; charset=UTF-8"
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert title(page.text) == "Tasks · Bellflower"
    assert SHELL in page.text
    assert '<base href="/">' in page.text
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page.text)
    assert "style=" not in page.text
    assert "<style" not in page.text


def test_assets_are_cached_and_compressed(live: WebServer) -> None:
    page = live.http.get("/tasks").text
    result = files(page)
    assert any(name.endswith("js/pages/tasks.js") for name in result)
    assert len(result) > 20
    for name in result:
        response = live.http.get(name)
        assert response.status_code == 200, name
        assert "immutable" in response.headers["cache-control"]
        if not name.endswith(".woff2"):
            assert response.headers["content-encoding"] == "gzip"
            assert live.http.get(name, headers={"accept-encoding": "identity"}).content == response.content
    module = next(name for name in result if name.endswith("js/main.js"))
    assert live.http.get(module).headers["content-type"].startswith("text/javascript")
    old = re.sub(r"/ui/\w+/", "/ui/0123456789ab/", module)
    assert live.http.get(old).headers["cache-control"] == "no-store"
    assert live.http.get(module.replace("main.js", "nothing.js")).status_code == 404
    assert live.http.get(module.replace("js/main.js", "..%2f..%2ftemplates%2fshell.html")).status_code == 404


def test_module_preload(live: WebServer) -> None:
    """A remote browser loads all modules in one round trip."""
    page = live.http.get("/task/a").text
    preloaded = set(re.findall(r'rel="modulepreload" href="([^"]+)"', page))
    for name in preloaded:
        folder = name.rsplit("/", 1)[0]
        script = live.http.get(name).text
        for target in re.findall(r"""^(?:import|export)\b[^;'"()]*?['"](\.[^'"]+)['"]""", script, re.M):
            parts = f"{folder}/{target}".split("/")
            path: list[str] = []
            for part in parts:
                if part == "..":
                    path.pop()
                elif part != ".":
                    path.append(part)
            assert "/".join(path) in preloaded


def test_pages_load_while_queries_occupy_all_threads(live: WebServer) -> None:
    page = live.http.get("/").text
    may_continue = threading.Event()
    with ThreadPoolExecutor(MAX_THREADS + 1) as pool:
        try:
            pool.submit(live.context.health_cache.get, lambda: may_continue.wait(60))  # type: ignore[arg-type,return-value]
            requests = [pool.submit(live.http.get, "/api/v1/health") for _ in range(MAX_THREADS)]
            wait_for("the requests", lambda: len(live.connections) >= MAX_THREADS)
            assert live.http.get("/", timeout=10).text == page
            assert [live.http.get(file, timeout=10).status_code for file in files(page)[:3]] == [200] * 3
            assert not any(each.done() for each in requests)
        finally:
            may_continue.set()


def test_one_task(live: WebServer) -> None:
    page = live.http.get("/task/b")
    assert page.status_code == 200
    assert title(page.text) == "shop.mail b · Bellflower"
    assert settings(page.text)["found"] is True
    assert live.http.get("/task/c%2Fd").status_code == 200


def test_untrusted_content_is_escaped(live: WebServer) -> None:
    page = live.http.get("/task/%3Cscript%3Ealert(1)%3C%2Fscript%3E%2Fa%20b")
    assert page.status_code == 200
    for part in ("<script>alert", "<img", "\u202e", "\x00", "\x1b"):
        assert part not in page.text
    assert "<img src=x onerror=alert(1)>" in title(page.text)


def test_not_found(live: WebServer) -> None:
    page = live.http.get("/task/%3Cb%3E")
    assert page.status_code == 404
    assert "Unknown task &#39;&lt;b&gt;&#39;" in page.text
    assert SHELL in page.text
    assert settings(page.text)["found"] is False
    assert "Page not found" in live.http.get("/nowhere").text


def test_bootstrap_data(store: Reader, opened: None) -> None:
    with WebServer(
        store, tasks_columns="uuid, name, exception, nonsense", natural_time=True, log_url="https://l/{uuid}"
    ) as live:
        data = settings(live.http.get("/tasks").text)
    assert data["columns"] == ["uuid", "name", "exception"]
    assert data["natural_time"] is True
    assert data["log_url"] == "https://l/{uuid}"
    assert data["can_act"] is True
    with WebServer(store, tasks_columns=DEFAULT_CONFIG.tasks_columns, read_only=True) as live:
        data = settings(live.http.get("/tasks").text)
    assert data["columns"] == []
    assert data["read_only"] is True
    assert data["can_act"] is False


def test_pages_can_read_the_disabled_api(store: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    with WebServer(store) as live:
        assert live.http.get("/api/v1/count").status_code == 401
        assert settings(live.http.get("/tasks").text)["can_act"] is False
        assert live.http.get("/api/v1/count").json()["count"] == 4
        elsewhere = live.http.get("/api/v1/count", headers={"sec-fetch-site": "cross-site"})
        assert elsewhere.status_code == 401
        # Flower's own addresses stay closed, and nothing is changed without a login.
        assert live.http.get("/api/tasks").status_code == 401
        token = live.http.cookies["_xsrf"]
        assert live.http.post("/api/v1/tasks/a/revoke", headers={"x-xsrftoken": token}).status_code == 401


def test_under_a_prefix(store: Reader, opened: None) -> None:
    with WebServer(store, url_prefix="/deep/flower/") as live:
        assert live.http.get("/tasks").status_code == live.http.get("/healthcheck").status_code == 404
        assert live.http.get("/deep/flower").headers["location"] == "/deep/flower/"
        page = live.http.get("/deep/flower/tasks").text
        assert '<base href="/deep/flower/">' in page
        assert settings(page)["root"] == "/deep/flower"
        for name in files(page):
            assert name.startswith("/deep/flower/static/ui/")
            assert live.http.get(name).status_code == 200
        assert live.http.get("/deep/flower/api/task/info/a").json()["uuid"] == "a"
        assert live.http.get("/deep/flower/api/nothing").text == ""
        assert live.http.get("/deep/flower/task/nobody").status_code == 404


def test_escape_invisible() -> None:
    assert escape_invisible("a\x00b\u202ec\nd\te\udcff") == "a\\x00b\\u202ec\nd\te\\udcff"
    assert escape_invisible("x" * 70_000).endswith("… and 4,464 more characters")
