"""Failure groups: the rules of their status, the filter, and triage."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flower.api.failures import NEW_GROUP_SECONDS, evaluate_status, load_failure_statuses, record_first_seen
from flower.fingerprint import compute_fingerprint
from flower.records import FAILURE, Task
from flower.store.factory import open_ledger, open_reader, open_writer
from flower.store.ledger.audit import AuditFilter
from flower.store.ledger.failure_notes import FailureNote
from flower.store.protocols import Batch, Reader, TaskChange, Writer
from tests.helpers.api_v1 import error, get
from tests.helpers.web_server import WebServer

HOUR = 3_600.0


def failed(uuid: str, exception: str, at: float) -> Task:
    return Task(uuid, name="shop.charge", state=FAILURE, exception=exception, timestamp=at, received=at, failed=at)


def ident(exception: str) -> str:
    result = compute_fingerprint(exception, None)
    assert result is not None
    return result.id


OLD, YOUNG = "OldError('x')", "YoungError('y')"


def note(decision: str, at: float, until: float | None = None) -> FailureNote:
    return FailureNote(failure="f", decision=decision, created_by="ann", created_at=at, expires_at=until)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "first", "last", "status"),
    [
        (None, 10_000 - NEW_GROUP_SECONDS + 1, 9_999, "new"),
        (None, 10_000 - NEW_GROUP_SECONDS, 9_999, "open"),
        (None, None, None, "open"),
        (note("resolved", 9_000), 9_500, 8_999, "resolved"),
        (note("resolved", 9_000), 1.0, 9_001, "regressed"),
        (note("resolved", 9_000), None, None, "resolved"),
        (note("muted", 9_000), 1.0, 9_999, "muted"),
        (note("muted", 9_000, 10_001), 1.0, 9_999, "muted"),
        (note("muted", 9_000, 10_000), 1.0, 9_999, "open"),
        (note("muted", 9_000, 10_000), 9_999, 9_999, "new"),
    ],
)
def test_status_rules(said: FailureNote | None, first: float | None, last: float | None, status: str) -> None:
    assert evaluate_status(said, first, last, 10_000.0) == status


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    now = time.time()
    opened = open_writer(tmp_path / "data", text_index=False)
    tasks = [failed(f"old-{number}", OLD, now - 5 * HOUR + number) for number in range(3)]
    opened.write(Batch(new=[*tasks, failed("young", YOUNG, now - 60)]))
    yield opened
    opened.close()


@pytest.fixture
def reader(writer: Writer, tmp_path: Path) -> Iterator[Reader]:
    opened = open_reader(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def server(reader: Reader, opened: None) -> Iterator[WebServer]:
    with WebServer(reader) as running:
        yield running


def by_status(http: httpx.Client, params: str = "") -> dict[str, str]:
    return {row["fingerprint"]["id"]: row["status"] for row in get(http, f"failures?{params}")["failures"]}


def post(server: WebServer, failure: str, deed: str, **body: object) -> httpx.Response:
    return server.http.post(f"/api/v1/failures/{failure}/{deed}", json=body)


def test_seen_times_include_all_tasks(server: WebServer) -> None:
    [young] = get(server.http, "failures", start="-1h")["failures"]
    assert (young["status"], young["note"]) == ("new", None)
    [old] = get(server.http, "failures", query="uuid:old-2")["failures"]
    assert (old["status"], old["count"]) == ("open", 1)
    assert old["first_seen_at"] == old["first_failure_at"] - 2 == old["last_seen_at"] - 2
    assert get(server.http, f"failures/{ident(OLD)}")["failure"]["first_seen_at"] == old["first_seen_at"]


def test_resolved_group_regresses(server: WebServer, writer: Writer) -> None:
    response = post(server, ident(OLD), "resolve", comment="mended")
    assert response.json()["status"] == "resolved"
    row = get(server.http, f"failures/{ident(OLD)}")["failure"]
    assert (row["status"], row["note"]["comment"], row["note"]["expires_at"]) == ("resolved", "mended", None)
    writer.write(Batch(new=[failed("again", OLD, time.time() + 1)]))
    assert by_status(server.http) == {ident(OLD): "regressed", ident(YOUNG): "new"}
    assert post(server, ident(OLD), "reopen").json()["note"] is None
    assert by_status(server.http)[ident(OLD)] == "open"


def test_mute_expires(server: WebServer, reader: Reader) -> None:
    until = time.time() + HOUR
    assert post(server, ident(YOUNG), "mute", expires_at=until, comment="known").json()["status"] == "muted"
    assert by_status(server.http)[ident(YOUNG)] == "muted"
    later = load_failure_statuses(reader, server.ledger, until + 1)
    assert (later.get_status(ident(YOUNG)), later.get_note(ident(YOUNG))) == ("open", None)
    assert post(server, ident(YOUNG), "mute").json()["note"]["expires_at"] is None
    assert load_failure_statuses(reader, server.ledger, until + 10 * HOUR).get_status(ident(YOUNG)) == "muted"
    for wrong in (time.time() - 1, "yesterday", "soon"):
        assert post(server, ident(YOUNG), "mute", expires_at=wrong).status_code == 400


def test_status_filter(server: WebServer) -> None:
    post(server, ident(OLD), "resolve")
    assert by_status(server.http, "status=resolved") == {ident(OLD): "resolved"}
    assert by_status(server.http, "status=new,open") == {ident(YOUNG): "new"}
    assert by_status(server.http, "status=regressed,muted") == {}
    assert len(by_status(server.http, "status=new,open,regressed,resolved,muted")) == 2
    result = get(server.http, "failures?status=resolved&limit=1")
    assert (result["count"], result["more"]) == (3, 0)
    assert "status" in error(server.http, "failures?status=gone")["message"]


def test_unknown_group(server: WebServer) -> None:
    for deed in ("resolve", "mute", "reopen"):
        response = post(server, "0123456789abcdef", deed)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert server.ledger.failure_notes.notes() == {}
    entry = server.ledger.audit.entries(AuditFilter(action="failure"), limit=1)[0]
    assert (entry.action, entry.outcome, entry.targets) == ("failure.reopen", "refused", ("0123456789abcdef",))


def test_first_seen_outlives_the_tasks(reader: Reader, writer: Writer, tmp_path: Path) -> None:
    """The ledger stores it, so that it remains when retention deletes the tasks."""
    ledger = open_ledger(tmp_path / "data")
    record_first_seen(reader, ledger)
    first = ledger.failure_notes.first_seen()[ident(YOUNG)]
    [stored] = writer.load(["young"]).values()
    assert stored.key is not None
    later = failed("young", YOUNG, first + 10 * HOUR)
    writer.write(Batch(changed=[TaskChange(stored.key, stored.task, later)]))
    known = load_failure_statuses(reader, ledger, first + 10 * HOUR)
    assert (known.get_first_seen(ident(YOUNG)), known.get_last_seen(ident(YOUNG))) == (first, first + 10 * HOUR)
    assert known.get_status(ident(YOUNG)) == "open"
    record_first_seen(reader, ledger)
    assert ledger.failure_notes.first_seen()[ident(YOUNG)] == first
    ledger.close()
