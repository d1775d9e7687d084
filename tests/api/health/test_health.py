"""Health rules with given snapshots, and the health of real stores."""

import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from flower.api.failures import FailureRow, FailureStatus
from flower.api.gaps import dismiss_gap
from flower.api.health import health
from flower.api.health.messages import build_query_text, describe_duration, describe_rate, truncate_name
from flower.api.health.models import Health, HealthIssue, IssueKind, IssueSubject, build_health
from flower.api.health.rules import HEALTH_RULES, evaluate_health
from flower.api.health.snapshot import (
    TREND_BUCKETS,
    HealthSnapshot,
    LostTasks,
    QueueSnapshot,
    RunningTask,
    collect_snapshot,
)
from flower.api.queues import QueueRates
from flower.fingerprint import Fingerprint
from flower.recorder_status import RecorderStatus
from flower.records import FAILURE, STARTED, SUCCESS, Gap, Lost, LostReason, Task, Worker
from flower.search.parser import parse_search
from flower.search.tree import Term
from flower.store.factory import open_ledger, open_reader, open_writer
from flower.store.ledger.failure_notes import FailureNote
from flower.store.ledger.queue_samples import QueueSample
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, StoreMigration, StoreStatus
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


def running(uuid: str, seconds: float, threshold: float | None, worker: str = "w1", offset: float = 0.0) -> RunningTask:
    return RunningTask(uuid, "shop.report", worker, NOW - seconds, threshold, offset)


def quiet(age: float) -> Worker:
    """A worker without heartbeats whose last event is `age` seconds old."""
    return Worker("quiet", seen_at=NOW - age, sends_heartbeats=False)


def failing_backend(age: float) -> dict[str, Any]:
    return {"reconcile": {"backend_error": "connection refused", "backend_failed_at": NOW - age}}


def without_events(cause: str, *names: str) -> dict[str, Any]:
    workers = [{"name": name, "since": NOW - 60, "cause": cause, "tasks": 7} for name in names]
    return {"capture": {"connected": True, "workers_without_events": workers}}


SHARED_NAME = Worker("w1", heartbeat=NOW, freq=2.0, pid=7, pids=((8, NOW - 1),), duplicate_at=NOW)
ONLINE = by_name(worker("w1"))
ONE_OFFLINE = by_name(worker("w1"), worker("w2", 9_999))
MANY_OFFLINE = {**ONLINE, **by_name(*(worker(f"s{n}", 30) for n in range(4)))}
FLAT = (2, 2, 2, 2, 2, 2)

#: name, snapshot, and its issues: kind, severity, subject
UNREADABLE: dict[str, Any] = {
    "capture": {
        "connected": True,
        "unreadable": {
            "count": 3_000,
            "last_at": NOW,
            "reasons": {"serializer": 3_000},
            "encodings": {"application/x-python-serialize": 3_000},
            "gap_start": NOW - 300,
            "gap_reason": "messages could not be read",
        },
    },
    "last_event": None,
}


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
    (
        "disabled events",
        snapshot(gaps=[Gap(NOW - 99, NOW - 9, "off", "worker_events_disabled", "w1")]),
        ["task_events_disabled warning w1"],
    ),
    ("no dispatcher", snapshot(without_events("no_dispatcher", "w1")), ["workers_without_events warning w1"]),
    ("no commands", snapshot(without_events("no_remote_control", "w1", "w2")), ["workers_without_events warning"]),
    ("not enabled", snapshot(without_events("not_enabled", "w1")), ["workers_without_events warning w1"]),
    (
        "no dispatcher, recorder stopped",
        snapshot({**without_events("no_dispatcher", "w1"), "running": False}),
        ["recorder_stopped critical"],
    ),
    ("start of a worker", snapshot(gaps=[Gap(NOW - 19, NOW - 10, "off", "worker_events_disabled", "w1")]), []),
    ("only unreadable messages", snapshot(UNREADABLE), ["messages_unreadable critical"]),
    ("some unreadable messages", snapshot({**UNREADABLE, "last_event": NOW}), ["messages_unreadable warning"]),
    ("blocked publishers", snapshot({"capture": {"connected": True, "blocked_since": NOW - 9}}),
     ["broker_blocks_publishers critical"]),
    ("result backend failing", snapshot(failing_backend(60)), ["result_backend_failing warning"]),
    ("result backend failed once", snapshot(failing_backend(9)), []),
    ("too many names", snapshot({"full_labels": ["task types"], "removed_workers": 5}), ["too_many_names warning"]),
    ("old gap", snapshot(gaps=[Gap(NOW - 5_000, NOW - 3_601, "away")]), []),
    ("migrating", snapshot(store=StoreStatus(1, 1, 1, 1, migration=StoreMigration(3, 9, 100.0))),
     ["store_migrating warning"]),
    (
        "failed migration",
        snapshot(store=StoreStatus(1, 1, 1, 1, migration=StoreMigration(3, 9, 100.0, "seg-000001.db: KeyError: 5"))),
        ["store_migrating critical"],
    ),
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
    ("one lost", snapshot(lost_tasks=LostTasks(1, {"worker_offline": 1}, NOW - 9, "t")), ["tasks_lost warning t"]),
    ("many lost", snapshot(lost_tasks=LostTasks(900, {"not_in_queue": 200}, NOW - 9)), ["tasks_lost warning"]),
    ("started on a silent worker", snapshot(workers=ONE_OFFLINE, running_tasks=[running("t", 61, None, "w2")]), []),
    (
        "clock of the worker an hour ahead",
        snapshot(workers=ONLINE, running_tasks=[running("t", 601 - 3_600, 60.0, offset=3_600.0)]),
        ["tasks_stuck warning t"],
    ),
    ("sends no heartbeats", snapshot(workers=by_name(quiet(60))), []),
    ("sends nothing", snapshot(workers=by_name(quiet(120))), ["worker_state_unknown warning quiet"]),
    ("sent nothing for hours", snapshot(workers=by_name(quiet(9_999))), []),
    ("busy", snapshot(workers=by_name(replace(worker("w1", 99), started_at=NOW - 99, pool="solo"))), []),
    ("solo", snapshot(workers=by_name(replace(worker("w1", 599), sends_heartbeats=True, pool="solo"))), []),
    (
        "solo that may have stopped",
        snapshot(workers=by_name(replace(worker("w1", 601), sends_heartbeats=True, pool="solo"))),
        ["worker_state_unknown warning w1"],
    ),
    ("two with one name", snapshot(workers=by_name(SHARED_NAME)), ["worker_name_shared warning w1"]),
    ("clock", snapshot(workers=by_name(replace(worker("w1"), clock_offset=-3.0))), ["worker_clock_wrong warning w1"]),
    ("right clock", snapshot(workers=by_name(replace(worker("w1"), clock_offset=1.9))), []),
]  # fmt: skip


@pytest.mark.parametrize(("case", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rules(case: HealthSnapshot, expected: list[str]) -> None:
    issues = evaluate_health(case).issues
    assert [f"{each.kind} {each.severity} {each.subject.id}".strip() for each in issues] == expected
    for each in issues:
        assert each.title[-1] != "."
        assert each.detail[-1] == "." or each.kind == "broker_unreachable"
        parse_search(each.subject.query)


def test_workers_without_events_are_explained_as_in_doctor() -> None:
    (issue,) = evaluate_health(snapshot(without_events("no_remote_control", "w1", "w2"))).issues
    assert (issue.title, issue.value, issue.started_at) == ("No task events of 2 workers", 2.0, NOW - 60)
    assert issue.detail == (
        "w1, w2 cannot be controlled: no reply to commands, as with worker_enable_remote_control = False. No command "
        "enables task events there. Tasks started since, without a record: 14. Start workers with -E, or set "
        "worker_send_task_events = True."
    )


def test_rules_about_workers_are_suppressed_while_recording_is_interrupted() -> None:
    offline = by_name(worker("w1", 300))
    report = evaluate_health(snapshot({"at": NOW - 300}, workers=offline, running_tasks=[running("t", 9_999, 0.1)]))
    assert [each.kind for each in report.issues] == ["recorder_stopped"]
    assert report.issues[0].started_at == NOW - 300


def issue(severity: Any, title: str) -> HealthIssue:
    return HealthIssue(kind="disk_low", severity=severity, title=title, detail="x.", subject=IssueSubject("store"))


def build(
    *issues: HealthIssue, recorder_seen: bool = True, workers_seen: bool = True, events_seen: bool = True
) -> Health:
    return build_health(
        issues, now=1.0, recorder_seen=recorder_seen, workers_seen=workers_seen, events_seen=events_seen
    )


@pytest.mark.parametrize(
    "status", [{"trouble": "disk full"}, {"capture": {"connected": False}}, {"running": False}, {"at": NOW - 99}]
)
def test_no_worker_is_reported_as_dead_while_nothing_can_be_recorded(status: dict[str, Any]) -> None:
    alive = by_name(worker("w1", 61), SHARED_NAME)
    case = snapshot({"current_at": NOW - 60, **status}, workers=alive, queues=[queue("mail", 5)])
    assert [each.subject.type for each in evaluate_health(case).issues] in (["recorder"], ["store"])
    assert {state.name for state in case.worker_states.values()} == {"unknown"}


def test_lost_tasks_are_those_with_the_mark(tmp_path: Path) -> None:
    writer = open_writer(tmp_path / "data", text_index=False)
    reader = open_reader(tmp_path / "data")
    now = time.time()
    reasons: tuple[LostReason, ...] = ("not_in_queue", "not_in_queue", "not_received")
    marks = [Lost(now - n, reason, "Lost.") for n, reason in enumerate(reasons)]
    lost = [Task(f"l{n}", "shop.pay", timestamp=now - 9, lost=mark) for n, mark in enumerate(marks)]
    running = Task("r", "shop.pay", STARTED, "w1", started=now - 90, timestamp=now - 90)
    old = Task("o", "shop.pay", STARTED, timestamp=now - 99_999, lost=marks[0])
    writer.write(Batch(new=[*lost, running, old], workers=[Worker("w1", heartbeat=now - 60)]))
    writer.set_status({**RECORDING, "at": now})
    issue = next(each for each in health(reader).issues if each.kind == "tasks_lost")
    assert (issue.value, issue.title) == (3.0, "3 tasks lost within a day")
    assert "2: the message is no longer in the queue; 1: no source has the task." in issue.detail
    assert reader.count(parse_search(issue.subject.query)) == 3
    assert issue.started_at == now - 2
    for close in (writer.close, reader.close):
        close()


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
    assert no_workers.next_step.startswith("Start a worker: ")
    no_events = build(events_seen=False)
    assert (no_events.status, no_events.summary) == ("unknown", "No data yet: no events received")
    assert no_events.next_step.startswith("Start workers with -E")
    no_recorder = build(recorder_seen=False, workers_seen=False)
    assert (no_recorder.status, no_recorder.summary) == ("unknown", "No recorder has written to this store yet")


def test_formats_of_messages() -> None:
    assert [describe_duration(s) for s in (-1, 1, 119, 120, 7_199, 7_200, 200_000)] == [
        "0 seconds", "1 second", "119 seconds", "2 minutes", "120 minutes", "2 hours", "2 days",
    ]  # fmt: skip
    assert (describe_rate(4.25), describe_rate(0.5)) == ("4.2/s", "30.0/min")
    assert len(truncate_name("x" * 1_000_000)) == 121
    assert build_query_text(Term("worker", "equals", "x" * 1_000_000)) == ""


def test_failures_are_counted_in_the_time_that_the_records_cover() -> None:
    """Nine minutes after the start of a store they are not "in 70 minutes"."""
    now, shared = time.time(), MemoryStore()
    tasks = [
        Task(f"f{n}", "shop.pay", FAILURE, exception="Declined('x')", received=now - 540, timestamp=now - 60 + n)
        for n in range(12)
    ]
    MemoryWriter(shared).write(Batch(new=tasks))
    MemoryWriter(shared).set_status({**RECORDING, "at": now, "since": now - 600})
    details = [each.detail for each in health(MemoryReader(shared)).issues if each.kind.startswith("failures")]
    assert details == ["x (12 tasks in the last 9 minutes: shop.pay)."]


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


def test_unreadable_messages_are_reported_with_the_setting_to_change() -> None:
    (issue,) = evaluate_health(snapshot(UNREADABLE)).issues
    assert "3,000 messages" in issue.detail
    assert "pickle is not accepted" in issue.detail
    assert "-A proj" in issue.detail
    assert "accept_content" in issue.detail


def test_dismissed_gap_is_no_issue(tmp_path: Path) -> None:
    store = MemoryStore()
    gap = Gap(time.time() - 60, time.time() - 30, "away", "broker_unreachable")
    MemoryWriter(store).write(Batch(gaps=[gap]))
    ledger = open_ledger(tmp_path / "store")
    kinds = [issue.kind for issue in evaluate_health(collect_snapshot(MemoryReader(store), ledger)).issues]
    assert "events_missed" in kinds
    dismiss_gap(MemoryReader(store), ledger, gap.id, by="ann")
    kinds = [issue.kind for issue in evaluate_health(collect_snapshot(MemoryReader(store), ledger)).issues]
    assert "events_missed" not in kinds
    ledger.close()
