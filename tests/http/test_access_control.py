"""Access control: every combination on a real server. A rejected request never reaches an endpoint."""

import base64
from collections.abc import Iterator

import pytest

from flower.http.access_control import API_DISABLED
from flower.store.protocols import Reader
from tests.helpers.web_server import WebServer

USERS = ("ann:secret", "Zoë:пароль")


def basic(pair: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(pair.encode()).decode()}"}


@pytest.fixture
def locked(store: Reader) -> Iterator[WebServer]:
    with WebServer(store, basic_auth=USERS) as server:
        yield server


def test_api_is_disabled_without_login(store: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    with WebServer(store) as live:
        for response in (live.http.get("/api/tasks"), live.http.post("/api/task/apply/x")):
            assert (response.status_code, response.text) == (401, API_DISABLED)
            assert "www-authenticate" not in response.headers
        assert live.http.get("/tasks").status_code == live.http.get("/healthcheck").status_code == 200
        assert "access-control-allow-origin" not in live.http.get("/tasks").headers
        for word in ("1", "yes", "On", "t"):
            monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", word)
            assert live.http.get("/api/tasks").status_code == 200
        monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "no")
        assert live.http.get("/api/tasks").status_code == 401


def test_cors_headers_of_an_open_api(live: WebServer) -> None:
    headers = live.http.get("/tasks").headers
    assert headers["access-control-allow-origin"] == "*"
    assert "authorization" in headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", ["/api/tasks", "/tasks", "/task/a", "/"])
def test_basic_auth(locked: WebServer, path: str) -> None:
    refused = [{}, basic("ann:wrong"), basic("ann:secret", "Digest"), {"Authorization": "Basic"}, basic(":")]
    refused += [{"Authorization": "Basic %%%"}, basic("ann:secretann:secret")]
    for headers in refused:
        response = locked.http.get(path, headers=headers)
        assert (response.status_code, response.text) == (401, "Access denied")
        assert response.headers["www-authenticate"] == 'Basic realm="flower"'
    for pair in USERS:
        assert locked.http.get(path, headers=basic(pair)).status_code in (200, 302)


def test_public_routes_with_login(locked: WebServer) -> None:
    assert locked.http.get("/healthcheck").status_code == 200
    assert locked.http.get("/static/flower.svg").status_code == 200
    assert locked.http.get("/nowhere").status_code == 404


def test_login_enables_the_api_without_cors(locked: WebServer, opened: None) -> None:
    response = locked.http.get("/api/tasks", headers=basic("ann:secret"))
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "path", ["apply/x", "async-apply/x", "send-task/x", "abort/x", "revoke/x", "timeout/x", "rate-limit/x"]
)
def test_read_only_is_checked_first(store: Reader, path: str) -> None:
    with WebServer(store, read_only=True, basic_auth=USERS) as live:
        response = live.http.post(f"/api/task/{path}", content=b"{broken", headers={"Sec-Fetch-Site": "cross-site"})
        assert (response.status_code, response.text) == (403, "Read only mode is enabled")
        assert live.http.get("/api/tasks", headers=basic("ann:secret")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://{host}"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://{host}.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[::1"}, False),
    ],
)
def test_cross_site_writes_are_rejected(
    live: WebServer, locked: WebServer, headers: dict[str, str], allowed: bool
) -> None:
    for server, login in ((live, {}), (locked, basic("ann:secret"))):
        filled = {name: value.format(host=f"127.0.0.1:{server.port}") for name, value in headers.items()}
        response = server.http.post("/api/task/rate-limit/x", headers={**filled, **login})
        # Not refused: it gets as far as its missing parameters.
        assert (response.status_code, response.text) == (
            (400, "Missing argument workername") if allowed else (403, "Cross-site requests are not allowed")
        )
        assert server.http.get("/api/tasks", headers={**filled, **login}).status_code == 200
