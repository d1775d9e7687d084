"""Saved searches: visibility, permissions, validation and audit entries."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from flower.http.v1.openapi_examples import example_store
from flower.http.v1.searches import MAX_SAVED_SEARCHES
from flower.store.ledger.audit import AuditFilter
from tests.helpers.web_server import WebServer

USERS = {"ann": "admin", "olga": "operator", "otto": "operator", "vera": "viewer"}
SEARCHES = "/api/v1/searches"


@pytest.fixture
def server() -> Iterator[WebServer]:
    users = tuple(f"{user}:pw" for user in USERS)
    roles = tuple(f"{user}:{role}" for user, role in USERS.items())
    with WebServer(example_store(), basic_auth=users, roles=roles) as running:
        yield running


def post(server: WebServer, path: str, user: str, body: Any = None) -> httpx.Response:
    return server.http.post(path, json=body, auth=(user, "pw"))


def replace(server: WebServer, search_id: str, user: str, body: Any) -> httpx.Response:
    return server.http.put(f"{SEARCHES}/{search_id}", json=body, auth=(user, "pw"))


def delete(server: WebServer, search_id: str, user: str) -> httpx.Response:
    return server.http.delete(f"{SEARCHES}/{search_id}", auth=(user, "pw"))


def save(server: WebServer, user: str, **fields: Any) -> dict[str, Any]:
    response = post(server, SEARCHES, user, {"name": "Failed", "query": "state:FAILURE", **fields})
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


def names(server: WebServer, user: str) -> list[str]:
    response = server.http.get(SEARCHES, auth=(user, "pw"))
    assert response.status_code == 200
    return [row["name"] for row in response.json()["searches"]]


def test_shared_searches_are_visible_to_all_users(server: WebServer) -> None:
    made = save(server, "olga", name=" Slow ", start="-1h", columns=["name", "kwargs.amount"], sort=["-runtime"])
    assert (made["name"], made["owner"], made["shared"], made["can_edit"]) == ("Slow", "olga", False, True)
    assert (made["start"], made["columns"], made["sort"]) == ("-1h", ["name", "kwargs.amount"], ["-runtime"])
    save(server, "olga", name="Everybody's", shared=True)
    assert names(server, "olga") == ["Everybody's", "Slow"]
    assert names(server, "vera") == ["Everybody's"]
    [row] = server.http.get(SEARCHES, auth=("vera", "pw")).json()["searches"]
    assert row["can_edit"] is False


def test_only_the_owner_and_an_admin_can_edit(server: WebServer) -> None:
    shared, own = save(server, "olga", shared=True)["id"], save(server, "olga")["id"]
    change = {"name": "Other", "query": "state:RETRY"}
    assert replace(server, shared, "vera", change).status_code == 403
    refused = replace(server, shared, "otto", change)
    assert (refused.status_code, refused.json()["error"]["message"]) == (403, "This search belongs to olga")
    assert delete(server, own, "otto").status_code == 404
    assert replace(server, own, "olga", change).json()["name"] == "Other"
    changed = replace(server, shared, "ann", {**change, "shared": True}).json()
    assert (changed["owner"], changed["query"], changed["can_edit"]) == ("olga", "state:RETRY", True)
    assert delete(server, shared, "ann").status_code == 200
    assert delete(server, shared, "ann").status_code == 404
    assert names(server, "olga") == ["Other"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "x", "query": "state:"}, "requires a value at position 0"),
        ({"name": "x", "start": "soon"}, "Invalid start time: 'soon'"),
        ({"name": "x", "sort": ["size"]}, "Invalid sort 'size'"),
        ({"name": "x", "columns": ["sise"]}, "Unknown column 'sise'"),
        ({"name": " "}, "body"),
        ({"query": "x"}, "body"),
        ({"name": "x", "colour": "red"}, "body"),
    ],
)
def test_invalid_searches_are_rejected(server: WebServer, body: dict[str, Any], message: str) -> None:
    response = post(server, SEARCHES, "olga", body)
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]
    assert names(server, "olga") == []


def test_maximum_number_of_searches(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flower.http.v1.searches.MAX_SAVED_SEARCHES", 2)
    assert MAX_SAVED_SEARCHES > 2
    save(server, "olga")
    save(server, "olga")
    response = post(server, SEARCHES, "olga", {"name": "third"})
    assert response.status_code == 400
    assert "Too many saved searches" in response.text


def test_audit_entries(server: WebServer) -> None:
    made = save(server, "olga")["id"]
    replace(server, made, "olga", {"name": "Other"})
    delete(server, made, "ann")
    entries = server.ledger.audit.entries(AuditFilter(action="search"), limit=9)
    assert [(entry.user, entry.action, entry.outcome) for entry in entries] == [
        ("ann", "search.delete", "done"), ("olga", "search.replace", "done"), ("olga", "search.create", "done"),
    ]  # fmt: skip
    assert all(made in entry.targets for entry in entries)


def test_former_column_names_are_converted(server: WebServer) -> None:
    """Searches that were saved before the columns of times ended in `_at`."""
    search_id = save(server, "olga")["id"]
    ledger = server.ledger.saved_searches
    search = ledger.search(search_id)
    assert search is not None
    ledger.update(msgspec.structs.replace(search, columns=("received", "timestamp", "runtime")))
    [row] = server.http.get(SEARCHES, auth=("olga", "pw")).json()["searches"]
    assert row["columns"] == ["received_at", "last_event_at", "runtime"]


def test_permission_to_edit_searches_of_other_users() -> None:
    roles = ("olga:operator", "otto:curator")
    with WebServer(
        example_store(), basic_auth=("olga:pw", "otto:pw"), roles=roles, own_roles=("curator:view+tasks+searches",)
    ) as server:
        search_id = save(server, "olga", shared=True)["id"]
        changed = replace(server, search_id, "otto", {"name": "Other", "shared": True})
        assert (changed.status_code, changed.json()["owner"]) == (200, "olga")
