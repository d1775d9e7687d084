"""Routes of gaps: list, dismissal, and the gaps of a task."""

from collections.abc import Iterator

import pytest

from flower.records import STARTED, Gap, Task
from flower.store.ledger.audit import AuditFilter
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch
from tests.helpers.api_v1 import error, get
from tests.helpers.web_server import WebServer

NOW = 1_800_000_000.0
GAP = Gap(NOW + 100.0, NOW + 160.0, "not connected to Redis", "broker_unreachable")
OF_WORKER = Gap(NOW + 300.0, None, "task events were disabled", "worker_events_disabled", "w1@shop")


@pytest.fixture
def server(opened: None) -> Iterator[WebServer]:
    store = MemoryStore()
    task = Task(
        "t",
        name="shop.charge",
        state=STARTED,
        received=NOW + 120.0,
        started=NOW + 121.0,
        timestamp=NOW + 121.0,
        hostname="w2@shop",
    )
    MemoryWriter(store).write(Batch(new=[task], gaps=[GAP, OF_WORKER]))
    with WebServer(MemoryReader(store)) as running:
        yield running


def test_gaps_are_listed_with_cause_and_worker(server: WebServer) -> None:
    newest, oldest = get(server.http, "gaps")["gaps"]
    assert newest == {
        "id": OF_WORKER.id, "started_at": NOW + 300.0, "ended_at": None, "cause": "worker_events_disabled",
        "reason": "task events were disabled", "worker": "w1@shop", "dismissed_at": None, "dismissed_by": "",
    }  # fmt: skip
    assert (oldest["started_at"], oldest["ended_at"], oldest["cause"]) == (
        NOW + 100.0,
        NOW + 160.0,
        "broker_unreachable",
    )
    assert [row["id"] for row in get(server.http, f"gaps?end={NOW + 200}")["gaps"]] == [GAP.id]
    page = get(server.http, "gaps?limit=1")
    assert get(server.http, f"gaps?limit=1&cursor={page['next_cursor']}")["gaps"] == [oldest]


def test_dismissed_gap_is_not_reported_in_the_status_until_it_is_restored(server: WebServer) -> None:
    assert [row["id"] for row in get(server.http, "status")["gaps"]] == [GAP.id, OF_WORKER.id]
    dismissed = server.http.post(f"/api/v1/gaps/{GAP.id}/dismiss").json()
    assert dismissed["dismissed_at"] > 0
    assert [row["id"] for row in get(server.http, "status")["gaps"]] == [OF_WORKER.id]
    assert [row["id"] for row in get(server.http, "gaps?dismissed=yes")["gaps"]] == [GAP.id]
    assert [row["id"] for row in get(server.http, "gaps?dismissed=no")["gaps"]] == [OF_WORKER.id]
    assert server.http.post(f"/api/v1/gaps/{GAP.id}/restore").json()["dismissed_at"] is None
    assert len(get(server.http, "status")["gaps"]) == 2
    actions = [entry.action for entry in server.ledger.audit.entries(AuditFilter(), limit=5)]
    assert actions == ["gap.restore", "gap.dismiss"]


def test_dismissing_an_unknown_gap_is_an_error(server: WebServer) -> None:
    response = server.http.post("/api/v1/gaps/0000/dismiss")
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "Unknown gap '0000'"
    assert error(server.http, "gaps?cursor=x")["message"] == "Invalid cursor 'x'"


def test_task_has_the_gaps_that_overlap_its_life(server: WebServer) -> None:
    assert [row["id"] for row in get(server.http, "tasks/t")["gaps"]] == [GAP.id]
    assert "gaps" not in get(server.http, "tasks?columns=all")["tasks"][0]
