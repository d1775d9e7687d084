"""API tokens over HTTP and on the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flower.access.api_tokens import TOKEN_PREFIX, create_token
from flower.http.v1.openapi_examples import example_store
from flower.store.ledger.audit import AuditFilter
from tests.helpers.users import ANN, OLGA, ROLES, USERS, VERA, bearer, no_broker, post_token
from tests.helpers.web_server import WebServer


@pytest.fixture
def live() -> Iterator[WebServer]:
    with WebServer(example_store(), no_broker, basic_auth=USERS, roles=ROLES) as server:
        yield server


def test_token_lifecycle(live: WebServer) -> None:
    result = post_token(live, permissions=["tasks", "view"], expires_in_days=1)
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


def test_token_permissions_are_limited(live: WebServer) -> None:
    body = {"name": "t", "permissions": ["view", "audit"]}
    response = live.http.post("/api/v1/tokens", json=body, auth=OLGA)
    assert (response.status_code, response.json()["error"]["hint"]) == (403, "missing: audit")
    text = post_token(live, ANN, permissions=["view"])["secret"]
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
def test_invalid_tokens(live: WebServer, change: dict[str, Any]) -> None:
    response = live.http.post("/api/v1/tokens", json={"name": "t", "permissions": ["view"], **change}, auth=OLGA)
    assert response.status_code == 400


def test_tokens_of_other_users(live: WebServer) -> None:
    token = post_token(live, VERA)["token"]
    assert live.http.get("/api/v1/tokens", auth=OLGA).json() == {"tokens": []}
    assert live.http.delete(f"/api/v1/tokens/{token['id']}", auth=OLGA).status_code == 404
    assert [row["owner"] for row in live.http.get("/api/v1/tokens", auth=ANN).json()["tokens"]] == ["vera"]
    assert live.http.delete(f"/api/v1/tokens/{token['id']}", auth=ANN).json()["revoked_by"] == "ann"


def test_token_without_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    with WebServer(example_store(), no_broker) as live:
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


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flower", *words, "--db", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder.parent)


def test_token_commands(live: WebServer) -> None:
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
    assert run(folder, "token", "create", "").returncode == 2
    refused = json.loads(run(folder, "audit", "--json", "--limit", "1").stdout)[0]
    assert (refused["action"], refused["outcome"]) == ("token.create", "refused")
    assert run(folder.parent / f"no-{os.getpid()}", "audit").returncode == 3
