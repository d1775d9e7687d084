"""Every route is requested without a login, as each role, with valid and invalid tokens, and from another origin. New
routes are included automatically."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from flower.access import PERMISSIONS, ROLES
from flower.access.api_tokens import create_token
from flower.errors import BackendUnavailable
from flower.http.access_control import API_DISABLED, SAFE_METHODS
from flower.http.flower.routes import FLOWER_ROUTES
from flower.http.route import HttpRoute
from flower.http.v1.dispatch import V1_HTTP_ROUTES
from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditFilter
from flower.web.login import LOGIN_ROUTES
from flower.web.pages import PAGE_ROUTES
from tests.helpers.web_server import WebServer

ALL_ROUTES = (*FLOWER_ROUTES, *V1_HTTP_ROUTES, *LOGIN_ROUTES, *PAGE_ROUTES)
PROTECTED = [route for route in ALL_ROUTES if route.access != "public"]

#: One user of each built-in role, one of a role of `own_roles`, and one without a role.
USERS = {"ann": "admin", "olga": "operator", "vera": "viewer", "abe": "auditor", "nell": "nothing"}
OWN_ROLES = {"auditor": frozenset({"view", "audit"}), "nothing": frozenset()}
PERMISSIONS_OF: Mapping[str, frozenset[str]] = {user: {**ROLES, **OWN_ROLES}[role] for user, role in USERS.items()}


def no_broker() -> Any:
    raise BackendUnavailable("This test has no broker")


def options() -> dict[str, Any]:
    return {
        "basic_auth": tuple(f"{user}:pass-{user}" for user in USERS),
        "roles": tuple(f"{user}:{role}" for user, role in USERS.items() if user != "nell"),
        "own_roles": ("auditor:view+audit",),
    }


@pytest.fixture(scope="module")
def locked() -> Iterator[WebServer]:
    with WebServer(example_store(), no_broker, **options()) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(locked: WebServer) -> dict[str, str]:
    """Secrets of tokens: one for each permission, one with all, and invalid ones."""
    secrets = {}

    def add(name: str, permissions: Any, owner: str = "ann", lifetime: float | None = None) -> str:
        token, secret = create_token(
            locked.ledger.tokens, name=name, owner=owner, auth_method="basic", permissions=permissions,
            allowed=PERMISSIONS, lifetime=lifetime,
        )  # fmt: skip
        secrets[name] = secret
        return token.id

    for permission in PERMISSIONS:
        add(permission, [permission])
    add("all", PERMISSIONS)
    add("of vera", PERMISSIONS, "vera")
    add("of a removed user", PERMISSIONS, "removed")
    add("expired", PERMISSIONS, lifetime=0.001)
    locked.ledger.tokens.revoke(add("revoked", PERMISSIONS), time.time(), "ann")
    secrets["unknown"] = f"{secrets['all'][:-3]}abc"
    time.sleep(0.01)
    return secrets


def path_of(route: HttpRoute) -> str:
    return "/".join("x" if part.startswith("{") else part for part in route.path.split("/"))


def request(
    server: WebServer, route: HttpRoute, headers: Mapping[str, str] | None = None, user: str = ""
) -> tuple[int, str]:
    """Status and text of an error; the body of a successful response is not read."""
    login = (user, f"pass-{user}") if user else None
    with server.http.stream(route.method, path_of(route), headers=headers, auth=login) as response:
        return response.status_code, response.read().decode() if response.status_code >= 400 else ""


def is_authorized(response: tuple[int, str]) -> bool:
    """Whether access control passed the request on; errors of the endpoint itself do not count."""
    status, text = response
    assert status != 500, text
    if status == 401:
        return False
    return status != 403 or not ("Permission '" in text or "Cross-site" in text or "_xsrf" in text)


def route_id(route: HttpRoute) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", PROTECTED, ids=route_id)
def test_without_login(route: HttpRoute, locked: WebServer) -> None:
    for headers in ({}, {"Authorization": "Basic %%%"}, {"Cookie": "user=made-up"}):
        status, text = request(locked, route, headers)
        assert status == 401
        assert "Access denied" in text


@pytest.mark.parametrize("route", PROTECTED, ids=route_id)
@pytest.mark.parametrize("user", USERS)
def test_each_role(route: HttpRoute, user: str, locked: WebServer) -> None:
    assert is_authorized(request(locked, route, user=user)) is (route.permission in PERMISSIONS_OF[user])


@pytest.mark.parametrize("route", PROTECTED, ids=route_id)
def test_tokens(route: HttpRoute, locked: WebServer, tokens: dict[str, str]) -> None:
    for name, secret in tokens.items():
        response = request(locked, route, {"Authorization": f"bearer {secret}"})
        if name in PERMISSIONS:
            assert is_authorized(response) is (route.permission == name)
        elif name == "all":
            assert is_authorized(response)
        elif name == "of vera":
            assert is_authorized(response) is (route.permission in PERMISSIONS_OF["vera"])
        elif name == "of a removed user":
            assert response[0] == 403
        else:
            assert response[0] == 401, name


@pytest.mark.parametrize("route", [route for route in PROTECTED if route.method not in SAFE_METHODS], ids=route_id)
def test_cross_site_writes_are_rejected(route: HttpRoute, locked: WebServer, tokens: dict[str, str]) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        for login in ({}, {"Authorization": f"Bearer {tokens['all']}"}):
            status, text = request(locked, route, {**headers, **login}, user="" if login else "ann")
            assert status == 403
            assert "Cross-site requests are not allowed" in text


@pytest.mark.parametrize("route", ALL_ROUTES, ids=route_id)
def test_no_login_configured(route: HttpRoute, monkeypatch: pytest.MonkeyPatch, unlocked: WebServer) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    unlocked.http.cookies.clear()  # the XSRF cookie of the pages
    status, text = request(unlocked, route)
    assert (status == 401 and API_DISABLED in text) is (route.access in ("api", "v1"))
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "1")
    status, text = request(unlocked, route)
    # Without a login there are no users who could own a token.
    assert is_authorized((status, text)) or "Sign-in required" in text
    if route.access in ("api", "v1") and route.method not in SAFE_METHODS:
        assert not is_authorized(request(unlocked, route, {"Sec-Fetch-Site": "cross-site"}))


@pytest.fixture(scope="module")
def unlocked() -> Iterator[WebServer]:
    with WebServer(example_store(), no_broker) as server:
        yield server


@pytest.mark.parametrize("route", [route for route in ALL_ROUTES if route.access == "public"], ids=route_id)
def test_public_routes(route: HttpRoute, locked: WebServer) -> None:
    assert request(locked, route)[0] != 401


def test_list_of_public_routes() -> None:
    """No route becomes public by accident."""
    assert {route.path for route in ALL_ROUTES if route.access == "public"} <= {
        "/healthcheck", "/metrics", "/login", "/login/", "/logout",
    }  # fmt: skip


def test_every_change_has_an_audit_action() -> None:
    for route in ALL_ROUTES:
        if route.method not in SAFE_METHODS and route.path not in ("/login", "/logout"):
            assert route.audit_action or route.path == "/tasks/datatable", route.path


@pytest.mark.parametrize("route", [route for route in PROTECTED if route.audit_action], ids=route_id)
def test_actions_are_audited_with_their_outcome(route: HttpRoute, locked: WebServer) -> None:
    audit = locked.ledger.audit
    before = audit.entries(AuditFilter(), limit=1)
    request(locked, route, user="ann")
    request(locked, route, user="nell")
    entries = audit.entries(AuditFilter(), limit=3)
    denied, done = entries[0], entries[1]
    assert [entry.id for entry in entries[2:3]] == [entry.id for entry in before]
    assert (done.user, done.action, done.auth_method, done.address) == (
        "ann", route.audit_action, "basic", "127.0.0.1",
    )  # fmt: skip
    assert done.outcome in ("done", "refused", "failed")
    assert (denied.user, denied.action, denied.outcome) == ("nell", route.audit_action, "refused")
    assert denied.message.startswith("Permission '")


WRITES = [route for route in PROTECTED if route.method not in SAFE_METHODS and route.access in ("api", "v1")]


@pytest.fixture(scope="module")
def read_only() -> Iterator[WebServer]:
    with WebServer(example_store(), no_broker, read_only=True, **options()) as server:
        yield server


@pytest.mark.parametrize("route", WRITES, ids=route_id)
def test_read_only(route: HttpRoute, read_only: WebServer) -> None:
    for user in ("", "ann"):
        status, text = request(read_only, route, user=user)
        assert status == 403
        assert "Read only mode is enabled" in text
