"""4 authentication: none, basic, the redirects of OAuth, same origin, read only."""

from collections.abc import Iterator

import pytest

from tests.helpers.compat_site import Kind, Site
from tests.helpers.servers import Redis


@pytest.fixture
def closed(kind: Kind, redis_server: Redis) -> Iterator[Site]:
    with Site(kind, redis_server.url, open_api=False) as site:
        yield site


@pytest.fixture
def basic(kind: Kind, redis_server: Redis) -> Iterator[Site]:
    with Site(kind, redis_server.url, "--basic-auth=ann:secret,bob:other", open_api=False) as site:
        yield site


@pytest.fixture
def oauth(kind: Kind, redis_server: Redis) -> Iterator[Site]:
    options = ("--auth=.*@example.com", "--auth-provider=flower.views.auth.GoogleAuth2LoginHandler",
               "--oauth2-key=key", "--oauth2-secret=shh", "--oauth2-redirect-uri=http://localhost/login")  # fmt: skip
    with Site(kind, redis_server.url, *options, open_api=False) as site:
        yield site


def test_without_a_login_the_api_is_closed_and_the_pages_are_not(closed: Site) -> None:
    answer = closed.http.get("/api/tasks")
    assert answer.status_code == 401
    assert answer.text == (
        "FLOWER_UNAUTHENTICATED_API environment variable is required to enable API without authentication"
    )
    assert "www-authenticate" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    for path in ("/tasks", "/healthcheck"):
        assert closed.http.get(path).status_code == 200
    assert closed.http.get("/login").status_code == 404


def test_basic(basic: Site) -> None:
    for path in ("/tasks", "/api/tasks"):
        for auth in (None, ("ann", "wrong"), ("nobody", "secret")):
            answer = basic.http.get(path, auth=auth)
            assert answer.status_code == 401
            if path == "/tasks":
                assert answer.text == "Access denied"
            if path == "/tasks" or not basic.is_flower:
                assert answer.headers["www-authenticate"] == 'Basic realm="flower"'
        for auth in (("ann", "secret"), ("bob", "other")):
            assert basic.http.get(path, auth=auth).status_code == 200
    for path in ("/healthcheck", "/metrics", "/logout"):
        assert basic.http.get(path).status_code == 200
    assert basic.http.get("/nothing").status_code == 404
    assert basic.http.get("/tasks", headers={"authorization": "Basic ???"}).status_code == 401


def test_posts_from_another_site(basic: Site) -> None:
    def post(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return basic.http.post("/api/task/revoke/x", auth=("ann", "secret"), headers=named).status_code

    assert post() == 200
    assert post(sec_fetch_site="same-origin") == 200
    assert post(sec_fetch_site="cross-site") == 403
    assert post(origin="http://evil.example") == 403
    assert post(origin=f"http://127.0.0.1:{basic.port}") == 200


def test_oauth_asks_to_log_in(oauth: Site) -> None:
    answer = oauth.http.get("/tasks")
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/login?next=%2Ftasks")
    assert oauth.http.post("/api/task/revoke/x").status_code == 403
    answer = oauth.http.get("/login")
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("https://accounts.google.com/")
    for part in ("client_id=key", "response_type=code", "state="):
        assert part in answer.headers["location"]
    assert "oauth_state" in answer.headers["set-cookie"]
    assert oauth.http.get("/login", params={"code": "x", "state": "y"}).status_code == 403


def test_read_only(kind: Kind, redis_server: Redis) -> None:
    with Site(kind, redis_server.url, "--read-only") as site:
        for path in ("task/revoke/x", "task/apply/shop.add", "task/timeout/x", "task/abort/x", "task/send-task/x",
                     "worker/shutdown/x", "worker/pool/grow/x"):  # fmt: skip
            answer = site.post(f"/api/{path}")
            assert (answer.status_code, answer.text) == (403, "Read only mode is enabled")
        assert site.http.get("/api/tasks").status_code == 200
        table = {"draw": 1, "start": 0, "length": 1, "order[0][column]": 0}
        assert site.http.post("/tasks/datatable", data=table).status_code == 200
