"""API tokens, the audit log and the trusted proxy over HTTP."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flower.access.api_tokens import TOKEN_PREFIX, create_token
from flower.access.trusted_proxy import trusted_proxy_from
from flower.errors import BackendUnavailable, InvalidRequest, StoreFull
from flower.http.audit_middleware import redact_parameter
from flower.http.v1.openapi_examples import example_store
from flower.redaction import Redactor
from flower.store.ledger.audit import AuditFilter
from tests.helpers.web_server import Live

USERS = ("ann:a", "olga:o", "vera:v")
ROLES = ("ann:admin", "olga:operator", "vera:viewer")
ANN, OLGA, VERA = ("ann", "a"), ("olga", "o"), ("vera", "v")


def no_broker() -> Any:
    raise BackendUnavailable("This test has no broker")


@pytest.fixture
def live() -> Iterator[Live]:
    with Live(example_store(), no_broker, basic_auth=USERS, roles=ROLES) as server:
        yield server


def made(live: Live, auth: tuple[str, str] = OLGA, **body: Any) -> dict[str, Any]:
    response = live.http.post("/api/v1/tokens", json={"name": "t", "permissions": ["view"], **body}, auth=auth)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_token_lifecycle(live: Live) -> None:
    result = made(live, permissions=["tasks", "view"], expires_in_days=1)
    text, token = result["secret"], result["token"]
    assert text.startswith(TOKEN_PREFIX)
    assert (token["owner"], token["permissions"], token["last_used_at"]) == ("olga", ["view", "tasks"], None)
    assert token["expires_at"] - token["created_at"] == pytest.approx(86_400)
    me = live.http.get("/api/v1/me", headers=bearer(text)).json()
    assert me == {"name": "olga", "auth_method": "token", "permissions": ["tasks", "view"]}
    listed = live.http.get("/api/v1/tokens", auth=OLGA)
    [row] = listed.json()["tokens"]
    assert text not in listed.text
    assert row["last_used_at"] >= row["created_at"]
    assert row["last_used_from"] == "127.0.0.1"
    revoked = live.http.delete(f"/api/v1/tokens/{token['id']}", auth=OLGA).json()
    assert revoked["revoked_by"] == "olga"
    assert live.http.get("/api/v1/me", headers=bearer(text)).status_code == 401
    entries = live.ledger.audit.entries(AuditFilter(action="token"), limit=5)
    assert [(entry.action, entry.targets, entry.outcome) for entry in entries] == [
        ("token.revoke", (token["id"],), "done"),
        ("token.create", (token["id"],), "done"),
    ]
    assert text not in json.dumps([entry.parameters for entry in entries])
    folder = Path(live._folder.name)
    assert all(text.encode() not in path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_token_permissions_are_limited(live: Live) -> None:
    body = {"name": "t", "permissions": ["view", "audit"]}
    response = live.http.post("/api/v1/tokens", json=body, auth=OLGA)
    assert (response.status_code, response.json()["error"]["hint"]) == (403, "missing: audit")
    text = made(live, ANN, permissions=["view"])["secret"]
    assert "cannot create tokens" in live.http.post("/api/v1/tokens", json=body, headers=bearer(text)).text


@pytest.mark.parametrize(
    "change",
    [
        {"permissions": []},
        {"permissions": ["all"]},
        {"name": ""},
        {"expires_in_days": 0},
        {"expires_in_days": -1},
        {"more": 1},
    ],
)
def test_invalid_tokens(live: Live, change: dict[str, Any]) -> None:
    response = live.http.post("/api/v1/tokens", json={"name": "t", "permissions": ["view"], **change}, auth=OLGA)
    assert response.status_code == 400


def test_tokens_of_other_users(live: Live) -> None:
    token = made(live, VERA)["token"]
    assert live.http.get("/api/v1/tokens", auth=OLGA).json() == {"tokens": []}
    assert live.http.delete(f"/api/v1/tokens/{token['id']}", auth=OLGA).status_code == 404
    assert [row["owner"] for row in live.http.get("/api/v1/tokens", auth=ANN).json()["tokens"]] == ["vera"]
    assert live.http.delete(f"/api/v1/tokens/{token['id']}", auth=ANN).json()["revoked_by"] == "ann"


def test_token_without_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    with Live(example_store(), no_broker) as live:
        _, text = create_token(
            live.ledger.tokens,
            name="t",
            owner="cron",
            auth_method="cli",
            permissions=["view"],
            allowed=["view"],
            lifetime=None,
        )
        assert live.http.get("/api/tasks", headers=bearer(text)).status_code == 200
        assert live.http.post("/api/task/revoke/x", headers=bearer(text)).status_code == 403
        assert live.http.get("/api/tasks", headers=bearer(f"{text}x")).status_code == 401


def test_audit_entries(live: Live) -> None:
    text = made(live, OLGA, permissions=["tasks"])["secret"]
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


def test_audit_filters_pages_and_export(live: Live) -> None:
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


def fill(live: Live, size: int) -> None:
    """Add entries of this size until the file is full."""
    for _ in range(10_000):
        try:
            live.ledger.audit.add("f", user="x" * size, auth_method="c")
        except StoreFull:
            return
    raise AssertionError("the file does not get full")


def test_action_is_rejected_if_the_audit_log_is_full(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_trusted_proxy() -> None:
    settings = {"proxy_header": "X-Forwarded-User", "proxy_groups_header": "X-Groups", "roles": ("group:ops:operator",)}
    reply = {"X-Forwarded-User": "Zoë".encode().decode("latin-1"), "X-Groups": "all, ops"}
    headers = {name: value.encode("latin-1") for name, value in reply.items()}
    with Live(example_store(), no_broker, trusted_proxies=("127.0.0.0/8",), **settings) as live:
        me = live.http.get("/api/v1/me", headers=headers).json()
        assert me == {"name": "Zoë", "auth_method": "proxy", "permissions": ["tasks", "view", "workers"]}
        assert live.http.get("/tasks").status_code == 401
        assert "www-authenticate" not in live.http.get("/tasks").headers
    with Live(example_store(), no_broker, trusted_proxies=("10.0.0.1", "unix"), **settings) as live:
        forged = {**headers, "X-Forwarded-For": "10.0.0.1", "X-Real-Ip": "10.0.0.1"}
        assert live.http.get("/api/v1/me", headers=forged).status_code == 401


def test_trusted_addresses() -> None:
    proxies = trusted_proxy_from("X-User", "", ("10.0.0.0/8", "::1", "unix"))
    trusted = ["10.1.2.3", "::1", "", "::ffff:10.0.0.1"]
    assert all(proxies.read_user({"x-user": "ann"}, peer) for peer in trusted)
    assert not any(
        proxies.read_user({"x-user": "ann"}, peer) for peer in ["11.0.0.1", "::2", "nonsense", "::ffff:11.0.0.1"]
    )
    assert not trusted_proxy_from("X-User", "", ("10.0.0.1",)).read_user({"x-user": "ann"}, "")
    assert not proxies.read_user({"x-user": " "}, "::1")
    for wrong in (("X-User", "", ()), ("", "", ("::1",)), ("", "X-Groups", ()), ("X-User", "", ("somewhere",))):
        with pytest.raises(InvalidRequest):
            trusted_proxy_from(*wrong)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flower", *words, "--db", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder.parent)


def test_token_commands(live: Live) -> None:
    folder = Path(live._folder.name)
    text = run(
        folder, "token", "create", "cron", "--role", "operator", "--expires", "1h", "--owner", "vera"
    ).stdout.strip()
    # never more than its owner may
    assert live.http.get("/api/v1/me", headers=bearer(text)).json()["permissions"] == ["view"]
    token = run(folder, "token", "list").stdout.split("\t")
    assert token[1:5] == ["cron", "vera", "view,tasks,workers", "active"]
    assert run(folder, "token", "revoke", token[0]).returncode == 0
    assert live.http.get("/api/v1/me", headers=bearer(text)).status_code == 401
    assert run(folder, "token", "list", "--json").stdout.count('"revoked"') == 1
    assert run(folder, "token", "revoke", "nonsense").returncode == 1
    assert run(folder, "token", "create", "x", "--permissions", "all").returncode == 2
    data = [json.loads(line) for line in run(folder, "audit", "--action", "token", "--ndjson").stdout.splitlines()]
    assert [entry["action"] for entry in data] == ["token.revoke", "token.create"]
    assert all(entry["auth_method"] == "cli" and entry["targets"] == [token[0]] for entry in data)
    assert run(folder, "audit", "--user", "no such user").returncode == 1
    assert run(folder.parent / f"no-{os.getpid()}", "audit").returncode == 3
