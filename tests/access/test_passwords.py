"""Passwords, the login throttle, the login page and sessions."""

import base64
import hashlib
import re
import subprocess
import sys

import httpx
import pytest
from starlette.testclient import TestClient

from flower.access.login_throttle import PAIR_LIMIT, LoginThrottle
from flower.access.passwords import Passwords, hash_password
from flower.access.permissions import parse_roles
from flower.config import load_config
from flower.errors import InvalidRequest
from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditFilter
from flower.web.application import create_app
from tests.helpers.web_server import Live


def scrypt(password: str) -> str:
    salt = b"sixteen bytes!!!"
    result = hashlib.scrypt(password.encode(), salt=salt, n=1 << 10, r=8, p=1, dklen=32)
    salt_text, text = (base64.b64encode(each).decode().rstrip("=") for each in (salt, result))
    return f"$scrypt$ln=10,r=8,p=1${salt_text}${text}"


def test_plain_and_hashed_passwords() -> None:
    pairs = ("ann:se:cret", f"bob:{hash_password('пароль')}", f"eve:{scrypt('горы')}", "bob:second")
    known = Passwords(load_config({"basic_auth": ",".join(pairs)}, {}).basic_auth)
    assert known.names == {"ann", "bob", "eve"}
    right = [("ann", "se:cret"), ("bob", "пароль"), ("bob", "second"), ("eve", "горы")]
    assert all(known.verify(*pair) and known.is_cached(*pair) for pair in right)
    wrong = [("ann", "secret"), ("bob", "пароль "), ("eve", ""), ("nobody", "пароль"), ("", ""), ("bob", pairs[1][4:])]
    assert not any(known.verify(*pair) or known.is_cached(*pair) for pair in wrong)


@pytest.mark.parametrize("text", ["$argon2id$nonsense", "$scrypt$ln=99,r=8,p=1$AAAA$AAAA", "$scrypt$ln=10"])
def test_invalid_hash(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid password hash of 'ann'"):
        Passwords((f"ann:{text}",))


def test_password_command() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "flower", "password", "ann"], input="pa,ss:word\n", capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    known = Passwords(load_config({}, {"FLOWER_BASIC_AUTH": f"x:y,{written.stdout.strip()}"}).basic_auth)
    assert known.verify("ann", "pa,ss:word")
    assert known.verify("x", "y")


def test_roles() -> None:
    roles = parse_roles(["ann:admin", "group:a/b:c:operator", "group:see:viewer", "*:support"], ["support:audit"])
    assert roles.permissions("ann", ["see"]) == {"view", "tasks", "workers", "audit", "tokens", "searches"}
    assert roles.permissions("bob", ["see", "a/b:c"]) == {"view", "tasks", "workers"}
    assert roles.permissions("bob", ["unknown"]) == {"audit"}
    assert parse_roles([]).permissions("bob") == roles.permissions("ann")
    assert parse_roles(["ann:viewer"]).permissions("bob") == frozenset()
    for wrong in (["ann"], ["ann:boss"], [":admin"]):
        with pytest.raises(InvalidRequest, match="--roles"):
            parse_roles(wrong)
    with pytest.raises(InvalidRequest, match="unknown permission 'everything'"):
        parse_roles([], ["boss:everything"])


def test_throttle_does_not_lock_out_known_users() -> None:
    attempts = LoginThrottle()
    attempts.record_success("ann", "home")
    for _ in range(PAIR_LIMIT.amount):
        assert attempts.retry_after("ann", "evil") == 0
        attempts.record_failure("ann", "evil")
    assert 0 < attempts.retry_after("ann", "evil") <= 301
    assert attempts.retry_after("ann", "home") == attempts.retry_after("bob", "evil") == 0
    for number in range(300):
        attempts.record_failure("ann", f"far away {number}")
        attempts.record_failure(f"user {number}", "home")
    assert attempts.retry_after("ann", "elsewhere") > 0
    assert attempts.retry_after("bob", "home") > 0
    assert attempts.retry_after("ann", "home") == 0


def test_too_many_failures_over_http() -> None:
    with Live(example_store(), basic_auth=("ann:secret", "bob:secret")) as live:
        assert live.http.get("/tasks", auth=("bob", "secret")).status_code == 200
        statuses = [
            live.http.get("/api/tasks", auth=("ann", f"guess {n}")).status_code for n in range(PAIR_LIMIT.amount)
        ]
        assert statuses == [401] * PAIR_LIMIT.amount
        response = live.http.get("/tasks", auth=("ann", "secret"))
        assert response.status_code == 429
        assert 0 < int(response.headers["retry-after"]) <= 301
        assert live.http.get("/api/v1/me", auth=("ann", "x")).json()["error"]["code"] == "too_many_requests"
        assert live.http.get("/tasks", auth=("bob", "secret")).status_code == 200


@pytest.fixture
def page() -> Live:
    return Live(example_store(), basic_auth=("Zoë:пароль", "vera:v"), roles=("Zoë:admin", "vera:viewer"))


def form_of(http: httpx.Client, address: str = "/login") -> dict[str, str]:
    shown = http.get(address)
    assert shown.status_code == 200
    assert not re.search(r"<script(?![^>]*\bsrc=)", shown.text)
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', shown.text))


def test_login_page(page: Live) -> None:
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
        bye = live.http.get("/logout")
        assert "You are signed out" in bye.text
        assert live.http.get("/api/v1/me").status_code == 401


def test_xsrf_token_is_required(page: Live) -> None:
    with page as live:
        form = form_of(live.http)
        live.http.post("/login", data={**form, "name": "Zoë", "password": "пароль"})
        address, body = "/api/v1/tokens", {"name": "t", "permissions": ["view"]}
        assert "_xsrf" in live.http.post(address, json=body).text
        for header in ("X-XSRFToken", "X-CSRFToken"):
            assert live.http.post(address, json=body, headers={header: live.http.cookies["_xsrf"]}).status_code == 200
            assert live.http.post(address, json=body, headers={header: "other"}).status_code == 403
        limits = "/api/task/rate-limit/x"
        assert live.http.post(limits, data={"_xsrf": live.http.cookies["_xsrf"]}).text == "Missing argument workername"
        assert live.http.post(limits, data={"_xsrf": "x"}).status_code == 403


@pytest.mark.parametrize("change", [{"_xsrf": "x"}, {"_xsrf": ""}])
def test_cross_site_form(page: Live, change: dict[str, str]) -> None:
    with page as live:
        form = {**form_of(live.http), "name": "Zoë", "password": "пароль"}
        assert live.http.post("/login", data={**form, **change}).status_code == 403
        response = live.http.post("/login", data=form, headers={"Origin": "https://evil.example"})
        assert response.status_code == 403
        assert "user" not in live.http.cookies


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil", "evil", "/else", "/bell//../x\\", ""],
)
def test_redirect_to_local_pages_only(address: str) -> None:
    with Live(example_store(), basic_auth=("ann:secret",), url_prefix="bell") as live:
        form = form_of(live.http, "/bell/login")
        data = {**form, "name": "ann", "password": "secret", "next": address}
        assert live.http.post("/bell/login", data=data).headers["location"] == "/bell/"
        data["next"] = "/bell/tasks?x=//y"
        assert live.http.post("/bell/login", data=data).headers["location"] == "/bell/tasks?x=//y"


def test_session_of_a_removed_user(page: Live) -> None:
    with page as live:
        live.http.post("/login", data={**form_of(live.http), "name": "vera", "password": "v"})
        cookie = live.http.cookies["user"]
    with Live(example_store(), basic_auth=("vera:v",), cookie_secret="kept") as first:
        first.http.post("/login", data={**form_of(first.http), "name": "vera", "password": "v"})
        kept = {"Cookie": f"user={first.http.cookies['user']}"}
    with Live(example_store(), basic_auth=("vera:v",), cookie_secret="kept") as second:
        assert second.http.get("/api/v1/me", headers=kept).json()["name"] == "vera"
        assert second.http.get("/api/v1/me", headers={"Cookie": f"user={cookie}"}).status_code == 401
    with Live(example_store(), basic_auth=("ann:x",), cookie_secret="kept") as third:
        assert third.http.get("/api/v1/me", headers=kept).status_code == 401


def test_no_login_page_without_login() -> None:
    with Live(example_store()) as live:
        assert live.http.get("/login").status_code == live.http.post("/login").status_code == 404
        assert live.http.get("/logout").status_code == 200


def test_secure_cookies(page: Live) -> None:
    with page as live, TestClient(create_app(live.context), base_url="https://flower.example") as http:
        form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', http.get("/login").text))
        done = http.post("/login", data={**form, "name": "Zoë", "password": "пароль"}, follow_redirects=False)
        cookies = [*done.headers.get_list("set-cookie"), *http.get("/tasks").headers.get_list("set-cookie")]
        assert cookies
        assert all("Secure" in cookie for cookie in cookies)


def test_xsrf_cookie_is_readable() -> None:
    with Live(example_store()) as live:
        [cookie] = live.http.get("/tasks").headers.get_list("set-cookie")
        assert cookie.startswith("_xsrf=")
        assert "HttpOnly" not in cookie
        assert "Max-Age=2592000" in cookie
        assert "set-cookie" not in live.http.get("/tasks").headers
