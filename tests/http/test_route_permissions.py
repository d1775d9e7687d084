"""Every route of the program, tried without login, with each role, with tokens of each scope, with tokens that are no
good any more, and from another origin. A route that is added is tried by itself."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from flower.access import PERMISSIONS, ROLES
from flower.access.api_tokens import create_token
from flower.errors import BackendUnavailable
from flower.http.access_control import API_DISABLED, SAFE_METHODS
from flower.http.flower.routes import FLOWER_ROUTES, HttpRoute
from flower.http.v1.dispatch import V1_ROUTES
from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditFilter
from flower.web.login import LOGIN_ROUTES
from flower.web.pages import SHELL_PAGE_ROUTES
from tests.helpers.web_server import Live

EVERY = (*FLOWER_ROUTES, *V1_ROUTES, *LOGIN_ROUTES, *SHELL_PAGE_ROUTES)
GUARDED = [route for route in EVERY if route.access != "open"]

#: One user of each role, one of an own role, one of none.
USERS = {"ann": "admin", "olga": "operator", "vera": "viewer", "abe": "auditor", "nell": "nothing"}
OWN = {"auditor": frozenset({"view", "audit"}), "nothing": frozenset()}
MAY: Mapping[str, frozenset[str]] = {user: {**ROLES, **OWN}[role] for user, role in USERS.items()}  # type: ignore[dict-item]


def no_broker() -> Any:
    raise BackendUnavailable("There is no broker in this test")


def options() -> dict[str, Any]:
    return {
        "basic_auth": tuple(f"{user}:pass-{user}" for user in USERS),
        "roles": tuple(f"{user}:{role}" for user, role in USERS.items() if user != "nell"),
        "own_roles": ("auditor:view+audit",),
    }


@pytest.fixture(scope="module")
def locked() -> Iterator[Live]:
    with Live(example_store(), no_broker, **options()) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(locked: Live) -> dict[str, str]:
    """The texts of tokens: one of each permission, one of all, and three that are no good."""
    made = {}

    def token(name: str, permissions: Any, owner: str = "ann", lasts: float | None = None) -> str:
        known, text = create_token(
            locked.ledger.tokens, name=name, owner=owner, auth_method="basic", permissions=permissions,
            allowed=PERMISSIONS,
            lifetime=lasts,
        )  # fmt: skip
        made[name] = text
        return known.id

    for permission in PERMISSIONS:
        token(permission, [permission])
    token("all", PERMISSIONS)
    token("of vera", PERMISSIONS, "vera")
    token("of somebody who is gone", PERMISSIONS, "gone")
    token("expired", PERMISSIONS, lasts=0.001)
    locked.ledger.tokens.revoke(token("revoked", PERMISSIONS), time.time(), "ann")
    made["made up"] = f"{made['all'][:-3]}abc"
    time.sleep(0.01)
    return made


def path_of(route: HttpRoute) -> str:
    return "/".join("x" if part.startswith("{") else part for part in route.path.split("/"))


def ask(server: Live, route: HttpRoute, headers: Mapping[str, str] | None = None, user: str = "") -> tuple[int, str]:
    """Status and text of an error; what is answered with success is not read."""
    login = (user, f"pass-{user}") if user else None
    with server.http.stream(route.method, path_of(route), headers=headers, auth=login) as answer:
        return answer.status_code, answer.read().decode() if answer.status_code >= 400 else ""


def is_let_in(asked: tuple[int, str]) -> bool:
    """Whether the guard let it through: what the route itself says of nonsense does not matter here."""
    status, text = asked
    assert status != 500, text
    if status == 401:
        return False
    return status != 403 or not ("You may not do this" in text or "from another site" in text or "_xsrf" in text)


def named(route: HttpRoute) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_without_login(route: HttpRoute, locked: Live) -> None:
    for headers in ({}, {"Authorization": "Basic %%%"}, {"Cookie": "user=made-up"}):
        status, text = ask(locked, route, headers)
        assert status == 401
        assert "Access denied" in text


@pytest.mark.parametrize("route", GUARDED, ids=named)
@pytest.mark.parametrize("user", USERS)
def test_each_role(route: HttpRoute, user: str, locked: Live) -> None:
    assert is_let_in(ask(locked, route, user=user)) is (route.permission in MAY[user])


@pytest.mark.parametrize("route", GUARDED, ids=named)
def test_tokens(route: HttpRoute, locked: Live, tokens: dict[str, str]) -> None:
    for name, text in tokens.items():
        asked = ask(locked, route, {"Authorization": f"bearer {text}"})
        if name in PERMISSIONS:
            assert is_let_in(asked) is (route.permission == name)
        elif name == "all":
            assert is_let_in(asked)
        elif name == "of vera":
            assert is_let_in(asked) is (route.permission in MAY["vera"])
        elif name == "of somebody who is gone":
            assert asked[0] == 403
        else:
            assert asked[0] == 401, name


@pytest.mark.parametrize("route", [route for route in GUARDED if route.method not in SAFE_METHODS], ids=named)
def test_another_origin_writes_nothing(route: HttpRoute, locked: Live, tokens: dict[str, str]) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        for login in ({}, {"Authorization": f"Bearer {tokens['all']}"}):
            status, text = ask(locked, route, {**headers, **login}, user="" if login else "ann")
            assert status == 403
            assert "from another site" in text


@pytest.mark.parametrize("route", EVERY, ids=named)
def test_where_nobody_must_log_in(route: HttpRoute, monkeypatch: pytest.MonkeyPatch, unlocked: Live) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    unlocked.http.cookies.clear()  # what pages of ours bring
    status, text = ask(unlocked, route)
    assert (status == 401 and API_DISABLED in text) is (route.access in ("api", "own"))
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "1")
    assert is_let_in(ask(unlocked, route))
    if route.access in ("api", "own") and route.method not in SAFE_METHODS:
        assert not is_let_in(ask(unlocked, route, {"Sec-Fetch-Site": "cross-site"}))


@pytest.fixture(scope="module")
def unlocked() -> Iterator[Live]:
    with Live(example_store(), no_broker) as server:
        yield server


@pytest.mark.parametrize("route", [route for route in EVERY if route.access == "open"], ids=named)
def test_what_is_open(route: HttpRoute, locked: Live) -> None:
    assert ask(locked, route)[0] != 401


def test_what_is_open_is_known() -> None:
    """Nothing becomes open by accident."""
    assert {route.path for route in EVERY if route.access == "open"} <= {
        "/healthcheck", "/metrics", "/login", "/login/", "/logout",
    }  # fmt: skip


def test_what_changes_something_is_an_action() -> None:
    for route in EVERY:
        if route.method not in SAFE_METHODS and route.path != "/login":
            assert route.audit_action or route.path in ("/tasks/datatable",) or route.path.startswith("/api/v1/"), (
                route.path
            )


@pytest.mark.parametrize("route", [route for route in GUARDED if route.audit_action], ids=named)
def test_an_action_is_noted_with_its_outcome(route: HttpRoute, locked: Live) -> None:
    audit = locked.ledger.audit
    before = audit.entries(AuditFilter(), limit=1)
    ask(locked, route, user="ann")
    ask(locked, route, user="nell")
    found = audit.entries(AuditFilter(), limit=3)
    refused, done = found[0], found[1]
    assert [entry.id for entry in found[2:3]] == [entry.id for entry in before]
    assert (done.user, done.action, done.auth_method, done.address) == ("ann", route.audit_action, "basic", "127.0.0.1")
    assert done.outcome in ("done", "refused", "failed")
    assert (refused.user, refused.action, refused.outcome) == ("nell", route.audit_action, "refused")
    assert refused.message.startswith("You may not do this")


WRITES = [route for route in GUARDED if route.method not in SAFE_METHODS and route.access in ("api", "own")]


@pytest.fixture(scope="module")
def read_only() -> Iterator[Live]:
    with Live(example_store(), no_broker, read_only=True, **options()) as server:
        yield server


@pytest.mark.parametrize("route", WRITES, ids=named)
def test_read_only(route: HttpRoute, read_only: Live) -> None:
    for user in ("", "ann"):
        status, text = ask(read_only, route, user=user)
        assert status == 403
        assert "Read only mode is enabled" in text
