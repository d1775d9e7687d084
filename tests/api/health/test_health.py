"""Health rules with given snapshots, and the health of real stores."""

import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from flower.api.failures import FailureRow, FailureStatus
from flower.api.health import health
from flower.api.health.messages import build_query_text, describe_duration, describe_rate, truncate_name
from flower.api.health.models import Health, HealthIssue, IssueKind, IssueSubject, build_health
from flower.api.health.rules import HEALTH_RULES, evaluate_health
from flower.api.health.snapshot import TREND_BUCKETS, HealthSnapshot, QueueSnapshot, RunningTask, collect_snapshot
from flower.api.queues import QueueRates
from flower.fingerprint import Fingerprint
from flower.recorder_status import RecorderStatus
from flower.records import FAILURE, STARTED, SUCCESS, Gap, Task, Worker
from flower.search.parser import parse_search
from flower.search.tree import Term
from flower.store.factory import open_ledger, open_reader, open_writer
from flower.store.ledger.failure_notes import FailureNote
from flower.store.ledger.queue_samples import QueueSample
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, StoreStatus
from flower.store.query_results import FacetValue
from tests.helpers.paths import DOCS
from tests.helpers.web_server import WebServer

NOW = 1_800_000_000.0
RECORDING: dict[str, Any] = {
    "at": NOW, "since": NOW - 900, "running": True, "trouble": None, "lag": 0.1, "capture": {"connected": True},
}  # fmt: skip


def snapshot(status: dict[str, Any] | None = None, **values: Any) -> HealthSnapshot:
    return HealthSnapshot(now=NOW, recorder=RecorderStatus.from_dict({**RECORDING, **(status or {})}), **values)


def worker(name: str, heartbeat_age: float = 0.0, *, online: bool = True) -> Worker:
    return Worker(name, heartbeat=NOW - heartbeat_age, freq=2.0, online=online)


def by_name(*workers: Worker) -> dict[str, Worker]:
    return {worker.hostname: worker for worker in workers}


def group(name: str, status: FailureStatus, *trend: int) -> FailureRow:
    return FailureRow(
        Fingerprint("cafe", f"shop.{name}", "card # declined", None), sum(trend), NOW - 50, NOW - 1, trend,
        (FacetValue("shop.charge", sum(trend)),), (), "id", status=status, first_seen_at=NOW - 50,
        last_seen_at=NOW - 1, note=None,
    )  # fmt: skip


def queue(name: str, ready: int | None, consumers: int | None = None, **rates: Any) -> QueueSnapshot:
    return QueueSnapshot(QueueSample(name, NOW - 10, ready, None, consumers), QueueRates(**rates))


def running(uuid: str, seconds: float, threshold: float | None, worker: str = "w1") -> RunningTask:
    return RunningTask(uuid, "shop.report", worker, NOW - seconds, threshold)


ONLINE = by_name(worker("w1"))
ONE_OFFLINE = by_name(worker("w1"), worker("w2", 9_999))
MANY_OFFLINE = {**ONLINE, **by_name(*(worker(f"s{n}", 30) for n in range(4)))}
FLAT = (2, 2, 2, 2, 2, 2)

#: name, snapshot, and its issues: kind, severity, subject
CASES: list[tuple[str, HealthSnapshot, list[str]]] = [
    ("no issues", snapshot(workers=ONLINE), []),
    ("stopped", snapshot({"running": False}), ["recorder_stopped critical"]),
    ("no report", snapshot({"at": NOW - 16}, workers=by_name(worker("w1", 99))), ["recorder_stopped critical"]),
    (
        "no broker connection",
        snapshot({"capture": {"connected": False, "last_error": "refused"}}),
        ["broker_unreachable critical"],
    ),
    ("disk full", snapshot({"trouble": "no room"}), ["disk_full critical"]),
    ("behind", snapshot({"lag": 11.0}), ["recorder_behind warning"]),
    ("far behind", snapshot({"lag": 61.0}), ["recorder_behind critical"]),
    ("gap", snapshot(gaps=[Gap(NOW - 99, None, "away")]), ["events_missed warning"]),
    ("gap", snapshot(gaps=[Gap(NOW - 5_000, NOW - 3_599, "away")]), ["events_missed warning"]),
    ("old gap", snapshot(gaps=[Gap(NOW - 5_000, NOW - 3_601, "away")]), []),
    ("damaged", snapshot(store=StoreStatus(1, 1, 1, 1, ("seg-000001.db",))), ["store_damaged critical seg-000001.db"]),
    ("disk low", snapshot(store=StoreStatus(1, 1, 1, 1, free_bytes=1 << 29)), ["disk_low warning"]),
    ("disk very low", snapshot(store=StoreStatus(1, 1, 1, 1, free_bytes=1 << 20)), ["disk_low critical"]),
    ("disk not low", snapshot(store=StoreStatus(1, 1, 1, 1, free_bytes=1 << 31)), []),
    ("no heartbeat", snapshot(workers=by_name(worker("w1"), worker("w2", 30))), ["worker_no_heartbeat warning w2"]),
    ("shut down", snapshot(workers=by_name(worker("w1"), worker("w2", 30, online=False))), []),
    ("offline long ago", snapshot(workers=by_name(worker("w1"), worker("w2", 3_601))), []),
    ("all offline", snapshot(workers=by_name(worker("w1", 30), worker("w2", 40))), ["no_workers_online critical"]),
    ("many offline", snapshot(workers=MANY_OFFLINE), ["worker_no_heartbeat warning"]),
    ("no consumers", snapshot(workers=ONLINE, queues=[queue("mail", 1, 0)]), ["queue_without_consumers critical mail"]),
    ("no workers", snapshot(queues=[queue("mail", 1)]), ["queue_without_consumers critical mail"]),
    ("consumers unknown", snapshot(workers=ONLINE, queues=[queue("mail", 5)]), []),
    ("empty", snapshot(queues=[queue("mail", 0, 0)]), []),
    ("growing", snapshot(queues=[queue("mail", 100, 1, growing=True, slope=0.5)]), ["queue_growing warning mail"]),
    ("growing but short", snapshot(queues=[queue("mail", 99, 1, growing=True, slope=0.5)]), []),
    ("growth unknown", snapshot(queues=[queue("mail", 999, 1)]), []),
    ("new", snapshot(failures=[group("A", "new", *FLAT, 1)], failure_counts={"new": 1}), ["failures_new warning cafe"]),
    (
        "regressed",
        snapshot(failures=[group("A", "regressed", *FLAT, 1)], failure_counts={"regressed": 1}),
        ["failures_regressed warning cafe"],
    ),
    ("many new", snapshot(failures=[group("A", "new", *FLAT, 1)] * 4, failure_counts={"new": 17}),
    ["failures_new warning"]),
    ("rising", snapshot(failures=[group("A", "open", *FLAT, 10)]), ["failures_rising warning cafe"]),
    ("rising but few", snapshot(failures=[group("A", "open", 0, 0, 0, 0, 0, 0, 9)]), []),
    ("constant", snapshot(failures=[group("A", "open", 50, 50, 50, 50, 50, 50, 149)]), []),
    ("muted", snapshot(failures=[group("A", "muted", *FLAT, 100)]), []),
    ("stuck", snapshot(workers=ONLINE, running_tasks=[running("t", 601, 60.0)]), ["tasks_stuck warning t"]),
    ("slow", snapshot(workers=ONLINE, running_tasks=[running("t", 601, 60.2)]), []),
    ("short", snapshot(workers=ONLINE, running_tasks=[running("t", 599, 0.1)]), []),
    ("run time unknown", snapshot(workers=ONLINE, running_tasks=[running("t", 9_999, None)]), []),
    ("lost", snapshot(workers=ONE_OFFLINE, running_tasks=[running("t", 61, None, "w2")]), ["tasks_lost warning t"]),
    ("just started", snapshot(workers=ONE_OFFLINE, running_tasks=[running("t", 59, None, "w2")]), []),
    ("unknown worker", snapshot(workers=ONLINE, running_tasks=[running("t", 61, None, "w9")]), []),
]  # fmt: skip


@pytest.mark.parametrize(("case", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rules(case: HealthSnapshot, expected: list[str]) -> None:
    issues = evaluate_health(case).issues
    assert [f"{each.kind} {each.severity} {each.subject.id}".strip() for each in issues] == expected
    for each in issues:
        assert each.title[-1] != "."
        assert each.detail[-1] == "." or each.kind == "broker_unreachable"
        parse_search(each.subject.query)


def test_rules_about_workers_are_suppressed_while_recording_is_interrupted() -> None:
    offline = by_name(worker("w1", 300))
    report = evaluate_health(snapshot({"at": NOW - 300}, workers=offline, running_tasks=[running("t", 9_999, 0.1)]))
    assert [each.kind for each in report.issues] == ["recorder_stopped"]
    assert report.issues[0].started_at == NOW - 300


def issue(severity: Any, title: str) -> HealthIssue:
    return HealthIssue(kind="disk_low", severity=severity, title=title, detail="x.", subject=IssueSubject("store"))


def build(*issues: HealthIssue, recorder_seen: bool = True, workers_seen: bool = True) -> Health:
    return build_health(issues, now=1.0, recorder_seen=recorder_seen, workers_seen=workers_seen)


def test_the_most_severe_issue_is_first() -> None:
    report = build(issue("warning", "A"), issue("critical", "B"), issue("warning", "C"))
    assert (report.status, report.summary) == ("critical", "B (+2 more issues)")
    assert [each.title for each in report.issues] == ["B", "A", "C"]
    assert build(issue("warning", "A"), issue("warning", "B")).summary == "A (+1 more issue)"
    assert build(issue("warning", "A"), recorder_seen=False).summary == "A"


def test_the_status_without_issues() -> None:
    assert (build().status, build().summary) == ("ok", "All systems normal")
    no_workers = build(workers_seen=False)
    assert (no_workers.status, no_workers.summary) == ("unknown", "No data yet: no workers connected")
    no_recorder = build(recorder_seen=False, workers_seen=False)
    assert (no_recorder.status, no_recorder.summary) == ("unknown", "No recorder has written to this store yet")


def test_formats_of_messages() -> None:
    assert [describe_duration(s) for s in (-1, 1, 119, 120, 7_199, 7_200, 200_000)] == [
        "0 seconds", "1 second", "119 seconds", "2 minutes", "120 minutes", "2 hours", "2 days",
    ]  # fmt: skip
    assert (describe_rate(4.25), describe_rate(0.5)) == ("4.2/s", "30.0/min")
    assert len(truncate_name("x" * 1_000_000)) == 121
    assert build_query_text(Term("worker", "equals", "x" * 1_000_000)) == ""


def test_an_empty_store_is_unknown(tmp_path: Path) -> None:
    reader = open_reader(tmp_path / "none")
    report = health(reader)
    reader.close()
    assert (report.status, report.issues) == ("unknown", ())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_health_of_a_store(kind: str, tmp_path: Path) -> None:
    now = time.time()
    shared = MemoryStore()
    writer: Any = MemoryWriter(shared) if kind == "memory" else open_writer(tmp_path / "data", text_index=False)
    reader: Any = MemoryReader(shared) if kind == "memory" else open_reader(tmp_path / "data")
    ledger = open_ledger(tmp_path / "data")
    quick = [
        Task(f"q{n}", "shop.report", SUCCESS, runtime=0.1, started=now - 3_000, timestamp=now - 2_999) for n in range(9)
    ]
    stuck = Task("s", "shop.report", STARTED, "w1", started=now - 2_000, timestamp=now - 2_000)
    yesterday = Task("y", "shop.report", STARTED, "w1", started=now - 99_999, timestamp=now - 99_999)
    failed = [Task(f"f{n}", "shop.pay", FAILURE, exception="Declined('x')", timestamp=now - 60 + n) for n in range(12)]
    old = Task("o", "shop.pay", FAILURE, exception="Declined('x')", timestamp=now - 9_999)
    online = Worker("w1", heartbeat=now, freq=60.0)
    writer.write(Batch(new=[*quick, stuck, yesterday, *failed, old], workers=[online]))
    writer.set_status({**RECORDING, "at": now, "since": now - 900})
    report = health(reader, ledger)
    kinds = [each.kind for each in report.issues if each.kind != "disk_low"]
    assert kinds == ["failures_rising", "tasks_stuck"]
    rising = next(each for each in report.issues if each.kind == "failures_rising")
    assert (rising.trend[-1], len(rising.trend), rising.started_at) == (12.0, TREND_BUCKETS, now - 9_999)
    assert reader.count(parse_search(rising.subject.query)) == 13
    tasks = next(each for each in report.issues if each.kind == "tasks_stuck")
    assert [task.uuid for task in collect_snapshot(reader, now=now).running_tasks] == ["s"]
    assert reader.count(parse_search(tasks.subject.query)) == 2
    failure = rising.subject.id
    ledger.failure_notes.put(FailureNote(failure=failure, decision="resolved", created_by="ann", created_at=now - 600))
    assert "failures_regressed" in [each.kind for each in health(reader, ledger).issues]
    ledger.failure_notes.put(FailureNote(failure=failure, decision="muted", created_by="ann", created_at=now))
    assert not [each for each in health(reader, ledger).issues if each.kind.startswith("failures")]
    for close in (writer.close, reader.close, ledger.close):
        close()


def test_over_http(tmp_path: Path, opened: None) -> None:
    store = MemoryStore()
    writer = MemoryWriter(store)
    with WebServer(MemoryReader(store)) as server:
        assert server.http.get("/api/v1/health").json()["status"] == "unknown"
    writer.set_status({**RECORDING, "at": time.time()})
    with WebServer(MemoryReader(store)) as server:
        server.ledger.queue_samples.add([QueueSample("mail", time.time(), 500, None, 0)])
        report = server.http.get("/api/v1/health").json()
        assert report["summary"] == "Queue “mail” has no consumers"
        [issue] = report["issues"]
        assert issue["detail"] == "500 messages waiting; no worker consumes this queue."
        assert issue["subject"] == {"type": "queue", "id": "mail", "query": "queue:=mail"}
        writer.set_status({"running": False, "at": 1.0})
        assert server.http.get("/api/v1/health").json() == report, "cached for a second"


def test_every_rule_has_a_case() -> None:
    kinds = {each.kind for case in CASES for rule in HEALTH_RULES for each in rule(case[1])}
    assert kinds == set(get_args(IssueKind))


def test_the_documentation_lists_every_kind() -> None:
    page = (DOCS / "health.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (?:warning|critical)", page, re.MULTILINE)
    assert sorted(listed) == sorted(get_args(IssueKind))
