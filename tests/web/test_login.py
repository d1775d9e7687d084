"""The login page, sessions and protection against forged requests."""

import re

import httpx
import pytest
from starlette.testclient import TestClient

from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditFilter
from flower.web.application import create_app
from tests.helpers.web_server import WebServer


@pytest.fixture
def page() -> WebServer:
    return WebServer(example_store(), basic_auth=("Zoë:пароль", "vera:v"), roles=("Zoë:admin", "vera:viewer"))


def form_of(http: httpx.Client, address: str = "/login") -> dict[str, str]:
    shown = http.get(address)
    assert shown.status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)", shown.text)
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown.text))


def test_login_page(page: WebServer) -> None:
    with page as live:
        form = form_of(live.http, "/login?next=/tasks%3Fstate=FAILURE")
        wrong = live.http.post("/login", data={**form, "name": "Zoë", "password": "x"})
        assert wrong.status_code == 403
        assert "Wrong name or password" in wrong.text
        assert 'value="Zoë"' in wrong.text
        done = live.http.post("/login", data={**form, "name": "Zoë", "password": "пароль"})
        assert (done.status_code, done.headers["location"]) == (302, "/tasks?state=FAILURE")
        cookie = next(each for each in done.headers.get_list("set-cookie") if each.startswith("user="))
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Max-Age=2592000" in cookie
        assert "Secure" not in cookie
        assert live.http.get("/api/v1/me").json() == {
            "name": "Zoë",
            "auth_method": "session",
            "permissions": ["audit", "searches", "tasks", "tokens", "view", "workers"],
        }  # fmt: skip
        [good, bad] = live.ledger.audit.entries(AuditFilter(action="login"), limit=5)
        assert (good.user, good.outcome, bad.user, bad.outcome) == ("Zoë", "done", "Zoë", "refused")
        asked = live.http.get("/logout")
        assert (asked.status_code, "You are signed out" in asked.text) == (200, False)
        assert live.http.get("/api/v1/me").status_code == 200
        bye = live.http.post("/logout", data=form_of(live.http, "/logout"), follow_redirects=True)
        assert "You are signed out" in bye.text
        assert live.http.get("/api/v1/me").status_code == 401


def test_xsrf_token_is_required(page: WebServer) -> None:
    with page as live:
        form = form_of(live.http)
        live.http.post("/login", data={**form, "name": "Zoë", "password": "пароль"})
        address, body = "/api/v1/tokens", {"name": "t", "permissions": ["view"]}
        assert "_xsrf" in live.http.post(address, json=body).text
        for header in ("X-XSRFToken", "X-CSRFToken"):
            assert live.http.post(address, json=body, headers={header: live.http.cookies["_xsrf"]}).status_code == 200
            assert live.http.post(address, json=body, headers={header: "other"}).status_code == 403
        # An invalid Authorization header is ignored: the session remains what identifies the user.
        for scheme in ("Junk x", "Basic"):
            assert "_xsrf" in live.http.post(address, json=body, headers={"Authorization": scheme}).text
        limits = "/api/task/rate-limit/x"
        assert live.http.post(limits, data={"_xsrf": live.http.cookies["_xsrf"]}).text == "Missing argument workername"
        assert live.http.post(limits, data={"_xsrf": "x"}).status_code == 403


@pytest.mark.parametrize("change", [{"_xsrf": "x"}, {"_xsrf": ""}])
def test_cross_site_form(page: WebServer, change: dict[str, str]) -> None:
    with page as live:
        form = {**form_of(live.http), "name": "Zoë", "password": "пароль"}
        assert live.http.post("/login", data={**form, **change}).status_code == 403
        response = live.http.post("/login", data=form, headers={"Origin": "https://evil.example"})
        assert response.status_code == 403
        assert "user" not in live.http.cookies


def test_other_sites_cannot_sign_users_out(page: WebServer) -> None:
    with page as live:
        live.http.post("/login", data={**form_of(live.http), "name": "vera", "password": "v"})
        form = form_of(live.http, "/logout")
        assert live.http.get("/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
        assert live.http.post("/logout").status_code == 403
        assert live.http.post("/logout", data={"_xsrf": "x"}).status_code == 403
        assert live.http.post("/logout", data=form, headers={"Origin": "https://evil.example"}).status_code == 403
        assert live.http.get("/api/v1/me").status_code == 200
        assert not live.ledger.audit.entries(AuditFilter(action="logout"), limit=5)
        done = live.http.post("/logout", headers={"X-XSRFToken": form["_xsrf"]})
        assert (done.status_code, done.headers["location"]) == (302, "/logout")
        assert "user" not in live.http.cookies
        [entry] = live.ledger.audit.entries(AuditFilter(action="logout"), limit=5)
        assert (entry.user, entry.auth_method, entry.outcome) == ("vera", "session", "done")


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil", "evil", "/else", "/bell//../x\\", ""],
)
def test_redirect_to_local_pages_only(address: str) -> None:
    with WebServer(example_store(), basic_auth=("ann:secret",), url_prefix="bell") as live:
        form = form_of(live.http, "/bell/login")
        data = {**form, "name": "ann", "password": "secret", "next": address}
        assert live.http.post("/bell/login", data=data).headers["location"] == "/bell/"
        data["next"] = "/bell/tasks?x=//y"
        assert live.http.post("/bell/login", data=data).headers["location"] == "/bell/tasks?x=//y"


def test_session_of_a_removed_user(page: WebServer) -> None:
    with page as live:
        live.http.post("/login", data={**form_of(live.http), "name": "vera", "password": "v"})
        cookie = live.http.cookies["user"]
    with WebServer(example_store(), basic_auth=("vera:v",), cookie_secret="kept") as first:
        first.http.post("/login", data={**form_of(first.http), "name": "vera", "password": "v"})
        kept = {"Cookie": f"user={first.http.cookies['user']}"}
    with WebServer(example_store(), basic_auth=("vera:v",), cookie_secret="kept") as second:
        assert second.http.get("/api/v1/me", headers=kept).json()["name"] == "vera"
        assert second.http.get("/api/v1/me", headers={"Cookie": f"user={cookie}"}).status_code == 401
    with WebServer(example_store(), basic_auth=("ann:x",), cookie_secret="kept") as third:
        assert third.http.get("/api/v1/me", headers=kept).status_code == 401


def test_no_login_page_without_login() -> None:
    with WebServer(example_store()) as live:
        assert live.http.get("/login").status_code == live.http.post("/login").status_code == 404
        assert live.http.get("/logout").status_code == 200
        assert live.http.post("/logout").status_code == 302


def test_secure_cookies(page: WebServer) -> None:
    with page as live, TestClient(create_app(live.context), base_url="https://flower.example") as http:
        form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', http.get("/login").text))
        done = http.post("/login", data={**form, "name": "Zoë", "password": "пароль"}, follow_redirects=False)
        cookies = [*done.headers.get_list("set-cookie"), *http.get("/tasks").headers.get_list("set-cookie")]
        assert cookies
        assert all("Secure" in cookie for cookie in cookies)


def test_xsrf_cookie_is_readable() -> None:
    with WebServer(example_store()) as live:
        [cookie] = live.http.get("/tasks").headers.get_list("set-cookie")
        assert cookie.startswith("_xsrf=")
        assert "HttpOnly" not in cookie
        assert "Max-Age=2592000" in cookie
        assert "set-cookie" not in live.http.get("/tasks").headers
