"""Saved searches over HTTP: who sees, saves, changes and removes them, and what is kept at all."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flower.http.v1.openapi_examples import example_store
from flower.http.v1.searches import MAX_SAVED_SEARCHES
from flower.store.ledger.audit import AuditFilter
from tests.helpers.web_server import Live

USERS = {"ann": "admin", "olga": "operator", "otto": "operator", "vera": "viewer"}
SEARCHES = "/api/v1/searches"


@pytest.fixture
def server() -> Iterator[Live]:
    users = tuple(f"{user}:pw" for user in USERS)
    roles = tuple(f"{user}:{role}" for user, role in USERS.items())
    with Live(example_store(), basic_auth=users, roles=roles) as running:
        yield running


def post(server: Live, path: str, user: str, body: Any = None) -> httpx.Response:
    return server.http.post(path, json=body, auth=(user, "pw"))


def save(server: Live, user: str, **fields: Any) -> dict[str, Any]:
    answer = post(server, SEARCHES, user, {"name": "Failed", "query": "state:FAILURE", **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(server: Live, user: str) -> list[str]:
    answer = server.http.get(SEARCHES, auth=(user, "pw"))
    assert answer.status_code == 200
    return [row["name"] for row in answer.json()["searches"]]


def test_everybody_reads_what_is_shared(server: Live) -> None:
    made = save(server, "olga", name=" Slow ", start="-1h", columns=["name", "kwargs.amount"], sort=["-runtime"])
    assert (made["name"], made["owner"], made["shared"], made["yours"]) == ("Slow", "olga", False, True)
    assert (made["start"], made["columns"], made["sort"]) == ("-1h", ["name", "kwargs.amount"], ["-runtime"])
    save(server, "olga", name="Everybody's", shared=True)
    assert names(server, "olga") == ["Everybody's", "Slow"]
    assert names(server, "vera") == ["Everybody's"]
    [row] = server.http.get(SEARCHES, auth=("vera", "pw")).json()["searches"]
    assert row["yours"] is False


def test_only_the_owner_and_an_admin_change_it(server: Live) -> None:
    shared, own = save(server, "olga", shared=True)["id"], save(server, "olga")["id"]
    change = {"name": "Other", "query": "state:RETRY"}
    assert post(server, f"{SEARCHES}/{shared}", "vera", change).status_code == 403
    refused = post(server, f"{SEARCHES}/{shared}", "otto", change)
    assert (refused.status_code, refused.json()["error"]["message"]) == (403, "This search belongs to olga")
    assert post(server, f"{SEARCHES}/{own}/remove", "otto").status_code == 404
    assert post(server, f"{SEARCHES}/{own}", "olga", change).json()["name"] == "Other"
    changed = post(server, f"{SEARCHES}/{shared}", "ann", {**change, "shared": True}).json()
    assert (changed["owner"], changed["query"], changed["yours"]) == ("olga", "state:RETRY", True)
    assert post(server, f"{SEARCHES}/{shared}/remove", "ann").status_code == 200
    assert post(server, f"{SEARCHES}/{shared}/remove", "ann").status_code == 404
    assert names(server, "olga") == ["Other"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"name": "x", "query": "state:"}, "requires a value at position 0"),
        ({"name": "x", "start": "soon"}, "'soon' is not a time for start"),
        ({"name": "x", "sort": ["size"]}, "Tasks cannot be sorted by 'size'"),
        ({"name": "x", "columns": ["sise"]}, "There is no column 'sise'"),
        ({"name": " "}, "body"),
        ({"query": "x"}, "body"),
        ({"name": "x", "colour": "red"}, "body"),
    ],
)
def test_what_makes_no_sense_is_not_kept(server: Live, body: dict[str, Any], message: str) -> None:
    answer = post(server, SEARCHES, "olga", body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
    assert names(server, "olga") == []


def test_nobody_fills_the_ledger(server: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flower.http.v1.searches.MOST", 2)
    assert MAX_SAVED_SEARCHES > 2
    save(server, "olga")
    save(server, "olga")
    answer = post(server, SEARCHES, "olga", {"name": "third"})
    assert answer.status_code == 400
    assert "You have 2 saved searches already" in answer.text


def test_all_of_it_is_in_the_audit_log(server: Live) -> None:
    made = save(server, "olga")["id"]
    post(server, f"{SEARCHES}/{made}", "olga", {"name": "Other"})
    post(server, f"{SEARCHES}/{made}/remove", "ann")
    entries = server.ledger.audit.entries(AuditFilter(action="search"), limit=9)
    assert [(entry.user, entry.action, entry.outcome) for entry in entries] == [
        ("ann", "search.remove", "done"), ("olga", "search.change", "done"), ("olga", "search.save", "done"),
    ]  # fmt: skip
    assert all(made in entry.targets for entry in entries)
