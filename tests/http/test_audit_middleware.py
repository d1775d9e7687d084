"""Audit entries of requests: their fields, filters, export and redaction, and a full audit log."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flower.errors import StoreFull
from flower.http.audit_middleware import redact_parameter
from flower.http.v1.openapi_examples import example_store
from flower.redaction import Redactor
from flower.store.ledger.audit import AuditFilter
from tests.helpers.clusters import Cluster
from tests.helpers.servers import wait_for
from tests.helpers.users import ANN, OLGA, ROLES, USERS, VERA, bearer, no_broker, post_token
from tests.helpers.web_server import WebServer


@pytest.mark.parametrize("way", ["apply", "send-task"])
def test_sent_tasks_are_audited(redis_cluster: Cluster, way: str) -> None:
    settings: dict[str, Any] = {"basic_auth": ("olga:o", "vera:v"), "roles": ("olga:operator", "vera:viewer")}
    with WebServer(example_store(), lambda: redis_cluster.app, **settings) as live:
        body = {"args": [20, 22]}
        assert live.http.post(f"/api/task/{way}/shop.add", json=body, auth=("vera", "v")).status_code == 403
        response = live.http.post(f"/api/task/{way}/shop.add", json=body, auth=("olga", "o"))
        task_id = response.json()["task-id"]
        result = redis_cluster.app.AsyncResult(task_id)
        wait_for("the task", result.ready)
        assert result.get() == 42
        done, refused = live.ledger.audit.entries(AuditFilter(action="task"), limit=5)
        assert (done.user, done.outcome, done.targets) == ("olga", "done", ("shop.add", task_id))
        assert (refused.user, refused.outcome, refused.targets) == ("vera", "refused", ("shop.add",))
        assert [each.id for each in live.ledger.audit.entries(AuditFilter(target=task_id), limit=5)] == [done.id]


@pytest.fixture
def live() -> Iterator[WebServer]:
    with WebServer(example_store(), no_broker, basic_auth=USERS, roles=ROLES) as server:
        yield server


def test_token_without_a_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    with WebServer(example_store(), no_broker) as open_server:
        response = open_server.http.post("/api/v1/tokens", json={"name": "t", "permissions": ["view"]})
        assert response.status_code == 401
        [entry] = open_server.ledger.audit.entries(AuditFilter(), limit=5)
        assert (entry.action, entry.auth_method, entry.outcome) == ("token.create", "none", "refused")


def test_audit_entries(live: WebServer) -> None:
    text = post_token(live, OLGA, permissions=["tasks"])["secret"]
    live.http.post("/api/task/async-apply/shop.pay", json={"args": ["4111"], "kwargs": {"x": "y"}, "queue": "q"},
                   headers=bearer(text))  # fmt: skip
    live.http.post("/api/task/revoke/id-1?terminate=true&password=hush", auth=OLGA)
    live.http.post("/api/task/revoke/id-2", auth=VERA)
    live.http.post("/api/task/rate-limit/shop.pay", data={"workername": "w1", "ratelimit": ""}, auth=OLGA)
    limit, refused, revoke, apply, _ = live.http.get("/api/v1/audit", auth=ANN).json()["entries"]
    assert (limit["outcome"], limit["message"]) == ("refused", "Missing argument ratelimit")
    assert limit["targets"] == ["shop.pay", "w1"]
    assert (refused["user"], refused["outcome"], refused["targets"]) == ("vera", "refused", ["id-2"])
    assert (revoke["outcome"], revoke["message"]) == ("failed", "This test has no broker")
    assert revoke["parameters"] == {"terminate": "true", "password": "***"}
    assert (apply["user"], apply["auth_method"], apply["address"]) == ("olga", "token", "127.0.0.1")
    assert len(apply["token"]) == 12
    assert apply["parameters"] == {"args": "1 values", "kwargs": ["x"], "queue": "q"}
    assert apply["targets"] == ["shop.pay", "q"]
    whole = live.http.get("/api/v1/audit", auth=ANN).text
    assert "4111" not in whole
    assert "hush" not in whole


def test_audit_filters_pages_and_export(live: WebServer) -> None:
    for number in range(5):
        live.http.post(f"/api/task/revoke/=id-{number}", auth=VERA)

    def ids(**params: Any) -> list[str]:
        response = live.http.get("/api/v1/audit", params=params, auth=ANN)
        assert response.status_code == 200, response.text
        return [entry["targets"][0] for entry in response.json()["entries"]]

    first = live.http.get("/api/v1/audit", params={"limit": 2}, auth=ANN).json()
    assert ids(limit=2, cursor=first["next_cursor"]) == ["=id-2", "=id-1"]
    assert ids(target="=id-3") == ["=id-3"]
    assert ids(user="ann") == ids(start="now", end="-1h") == []
    assert len(ids(user="vera", action="task", outcome="refused", start="-1h", address="127.0.0.1")) == 5
    for wrong in ({"cursor": "x"}, {"outcome": "x"}, {"start": "soon"}, {"limit": 0}):
        assert live.http.get("/api/v1/audit", params=wrong, auth=ANN).status_code == 400
    lines = live.http.get("/api/v1/audit/export?user=vera", auth=ANN).text.splitlines()
    assert [json.loads(line)["targets"] for line in lines] == [[f"=id-{n}"] for n in (4, 3, 2, 1, 0)]
    sheet = live.http.get("/api/v1/audit/export?format=csv", auth=ANN)
    assert sheet.headers["content-type"] == "text/csv; charset=UTF-8"
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert len(rows) == 5
    assert all(not cell.startswith("=") for row in rows for cell in row.values())


def fill(live: WebServer, size: int) -> None:
    """Add entries of this size until the file is full."""
    for _ in range(10_000):
        try:
            live.ledger.audit.add("f", user="x" * size, auth_method="c")
        except StoreFull:
            return
    raise AssertionError("the file does not get full")


def test_action_is_rejected_if_the_audit_log_is_full(live: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of SQLite has the effect of a full disk."""
    live.http.post("/api/task/revoke/x", auth=OLGA)
    database = live.ledger.audit._database  # type: ignore[attr-defined]
    with database._locked_connection() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={pages}").fetchall()
    for size in (500, 50, 1):
        fill(live, size)
    calls = []
    monkeypatch.setattr("flower.cluster.tasks.broadcast_revoke", lambda *given: calls.append(given))
    response = live.http.post("/api/task/revoke/x", auth=OLGA)
    assert (response.status_code, response.text) == (503, "Rejected: the audit log cannot be written")
    response = live.http.post("/api/v1/tokens", json={"name": "t", "permissions": ["view"]}, auth=OLGA)
    assert response.json()["error"]["code"] == "store_full"
    assert not calls
    assert live.http.post("/api/task/revoke/x", auth=VERA).status_code == 403
    assert live.http.get("/tasks", auth=OLGA).status_code == 200


def test_redacted_parameters() -> None:
    given = {
        "api_key": "x", "nested": [{"Authorization": "x", "fine": 1}], "long": "x" * 500, "args": [1, 2],
        "kwargs": {"b": 1, "a": 2}, "cardNumber": 1,
    }  # fmt: skip
    assert redact_parameter(Redactor(), given) == {
        "api_key": "***", "nested": [{"Authorization": "***", "fine": 1}], "long": "x" * 200 + "…", "args": "2 values",
        "kwargs": ["a", "b"], "cardNumber": "***",
    }  # fmt: skip


def test_numbers_under_names_of_tokens_are_no_secrets() -> None:
    given = {
        "tokens_used": 9, "token_limits": [5, 7.5], "has_token": True, "token": "abc", "tokens": ["abc", 1],
        "pin": 1234, "nested": {"token_budget": 0, "secret": None},
    }  # fmt: skip
    expected = {**given, "token": "***", "tokens": "***", "pin": "***"}
    assert redact_parameter(Redactor(), given) == expected
    assert Redactor().mask_value({**given, "tokens": "abc", "speed": float("inf")}) == {
        **expected, "speed": float("inf")
    }  # fmt: skip
