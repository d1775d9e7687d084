"""Whether anything is wrong: each rule by itself, and all of it from real stores."""

import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from flower.api.cache import SingleFlightCache
from flower.api.failures import FailureRow, FailureStatus
from flower.api.health import health
from flower.api.health.messages import build_query_text, describe_duration, describe_rate, truncate_name
from flower.api.health.models import HealthIssue, IssueKind, IssueSubject, build_health
from flower.api.health.rules import HEALTH_RULES, evaluate_health
from flower.api.health.snapshot import TREND_BUCKETS, HealthSnapshot, QueueSnapshot, RunningTask, collect_snapshot
from flower.api.queue_rates import QueueRates
from flower.fingerprint import Fingerprint
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
from tests.helpers.web_server import Live

NOW = 1_800_000_000.0
AT_WORK: dict[str, Any] = {
    "at": NOW, "since": NOW - 900, "running": True, "trouble": None, "lag": 0.1, "capture": {"connected": True},
}  # fmt: skip


def signs(status: dict[str, Any] | None = None, **known: Any) -> HealthSnapshot:
    return HealthSnapshot(now=NOW, recorder_status={**AT_WORK, **(status or {})}, **known)


def worker(name: str, silent_for: float = 0.0, *, online: bool = True) -> Worker:
    return Worker(name, heartbeat=NOW - silent_for, freq=2.0, online=online)


def workers(*some: Worker) -> dict[str, Worker]:
    return {each.hostname: each for each in some}


def group(name: str, status: FailureStatus, *trend: int) -> FailureRow:
    return FailureRow(
        Fingerprint("cafe", f"shop.{name}", "card # declined", None), sum(trend), NOW - 50, NOW - 1, trend,
        (FacetValue("shop.charge", sum(trend)),), (), "id", status=status, first_seen_at=NOW - 50,
        last_seen_at=NOW - 1, note=None,
    )  # fmt: skip


def queue(name: str, ready: int | None, consumers: int | None = None, **rates: Any) -> QueueSnapshot:
    return QueueSnapshot(QueueSample(name, NOW - 10, ready, None, consumers), QueueRates(**rates))


def running(uuid: str, seconds: float, slow: float | None, on: str = "w1") -> RunningTask:
    return RunningTask(uuid, "shop.report", on, NOW - seconds, slow)


ALIVE = workers(worker("w1"))
DEAD = workers(worker("w1"), worker("w2", 9_999))
MANY = {**ALIVE, **workers(*(worker(f"s{n}", 30) for n in range(4)))}
FLAT = (2, 2, 2, 2, 2, 2)

#: what is known, and what is said of it: kind, severity, subject
WRONG: list[tuple[str, HealthSnapshot, list[str]]] = [
    ("nothing", signs(workers=ALIVE), []),
    ("stopped", signs({"running": False}), ["recorder_stopped critical"]),
    ("hangs", signs({"at": NOW - 16}, workers=workers(worker("w1", 99))), ["recorder_stopped critical"]),
    ("no broker", signs({"capture": {"connected": False, "last_error": "refused"}}), ["broker_lost critical"]),
    ("full", signs({"trouble": "no room"}), ["disk_full critical"]),
    ("behind", signs({"lag": 11.0}), ["recorder_behind warning"]),
    ("far behind", signs({"lag": 61.0}), ["recorder_behind critical"]),
    ("gap", signs(gaps=[Gap(NOW - 99, None, "away")]), ["events_missed warning"]),
    ("gap", signs(gaps=[Gap(NOW - 5_000, NOW - 3_599, "away")]), ["events_missed warning"]),
    ("old gap", signs(gaps=[Gap(NOW - 5_000, NOW - 3_601, "away")]), []),
    ("damage", signs(store=StoreStatus(1, 1, 1, 1, ("seg-000001.db",))), ["store_damaged critical seg-000001.db"]),
    ("low", signs(store=StoreStatus(1, 1, 1, 1, free_bytes=1 << 29)), ["disk_low warning"]),
    ("very low", signs(store=StoreStatus(1, 1, 1, 1, free_bytes=1 << 20)), ["disk_low critical"]),
    ("roomy", signs(store=StoreStatus(1, 1, 1, 1, free_bytes=1 << 31)), []),
    ("silent", signs(workers=workers(worker("w1"), worker("w2", 30))), ["worker_silent warning w2"]),
    ("went by itself", signs(workers=workers(worker("w1"), worker("w2", 30, online=False))), []),
    ("went long ago", signs(workers=workers(worker("w1"), worker("w2", 3_601))), []),
    ("all went", signs(workers=workers(worker("w1", 30), worker("w2", 40))), ["workers_gone critical"]),
    ("many", signs(workers=MANY), ["worker_silent warning"]),
    ("nobody eats", signs(workers=ALIVE, queues=[queue("mail", 1, 0)]), ["queue_unconsumed critical mail"]),
    ("nobody lives", signs(queues=[queue("mail", 1)]), ["queue_unconsumed critical mail"]),
    ("who eats is unknown", signs(workers=ALIVE, queues=[queue("mail", 5)]), []),
    ("empty", signs(queues=[queue("mail", 0, 0)]), []),
    ("grows", signs(queues=[queue("mail", 100, 1, growing=True, slope=0.5)]), ["queue_growing warning mail"]),
    ("grows a little", signs(queues=[queue("mail", 99, 1, growing=True, slope=0.5)]), []),
    ("unknown growth", signs(queues=[queue("mail", 999, 1)]), []),
    ("new", signs(failures=[group("A", "new", *FLAT, 1)], failure_counts={"new": 1}), ["failures_new warning cafe"]),
    (
        "back",
        signs(failures=[group("A", "returning", *FLAT, 1)], failure_counts={"returning": 1}),
        ["failures_returning warning cafe"],
    ),
    ("many new", signs(failures=[group("A", "new", *FLAT, 1)] * 4, failure_counts={"new": 17}),
    ["failures_new warning"]),
    ("rises", signs(failures=[group("A", "open", *FLAT, 10)]), ["failures_rising warning cafe"]),
    ("few", signs(failures=[group("A", "open", 0, 0, 0, 0, 0, 0, 9)]), []),
    ("as ever", signs(failures=[group("A", "open", 50, 50, 50, 50, 50, 50, 149)]), []),
    ("muted", signs(failures=[group("A", "muted", *FLAT, 100)]), []),
    ("stuck", signs(workers=ALIVE, running=[running("t", 601, 60.0)]), ["stuck_tasks warning t"]),
    ("slow", signs(workers=ALIVE, running=[running("t", 601, 60.2)]), []),
    ("short", signs(workers=ALIVE, running=[running("t", 599, 0.1)]), []),
    ("who knows", signs(workers=ALIVE, running=[running("t", 9_999, None)]), []),
    ("lost", signs(workers=DEAD, running=[running("t", 61, None, "w2")]), ["stuck_tasks warning t"]),
    ("just begun", signs(workers=DEAD, running=[running("t", 59, None, "w2")]), []),
    ("unknown worker", signs(workers=ALIVE, running=[running("t", 61, None, "w9")]), []),
]  # fmt: skip


@pytest.mark.parametrize(("known", "expected"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_the_rules(known: HealthSnapshot, expected: list[str]) -> None:
    found = evaluate_health(known).issues
    assert [f"{each.kind} {each.severity} {each.subject.id}".strip() for each in found] == expected
    for each in found:
        assert each.title[-1] != "."
        assert each.detail[-1] == "." or each.kind == "broker_lost"
        parse_search(each.subject.query)


def test_while_nothing_is_recorded_nothing_is_said_of_what_it_tells() -> None:
    gone = workers(worker("w1", 300))
    found = evaluate_health(signs({"at": NOW - 300}, workers=gone, running=[running("t", 9_999, 0.1)]))
    assert [each.kind for each in found.issues] == ["recorder_stopped"]
    assert found.issues[0].started_at == NOW - 300


def concern(severity: Any, title: str) -> HealthIssue:
    return HealthIssue(kind="disk_low", severity=severity, title=title, detail="x.", subject=IssueSubject("store"))


def test_the_worst_comes_first() -> None:
    found = build_health(
        [concern("warning", "A"), concern("critical", "B"), concern("warning", "C")], now=1.0, recorder_seen=True
    )
    assert (found.status, found.summary) == ("critical", "B, and 2 more things")
    assert [each.title for each in found.issues] == ["B", "A", "C"]
    assert build_health([concern("warning", "A")], now=1.0, recorder_seen=False).summary == "A"
    assert build_health([], now=1.0, recorder_seen=True).summary == "Nothing is wrong"
    assert build_health([], now=1.0, recorder_seen=False).status == "unknown"


def test_words() -> None:
    assert [describe_duration(s) for s in (-1, 1, 119, 120, 7_199, 7_200, 200_000)] == [
        "0 seconds", "1 second", "119 seconds", "2 minutes", "120 minutes", "2 hours", "2 days",
    ]  # fmt: skip
    assert (describe_rate(4.25), describe_rate(0.5)) == ("4.2 a second", "30.0 a minute")
    assert len(truncate_name("x" * 1_000_000)) == 121
    assert build_query_text(Term("worker", "equals", "x" * 1_000_000)) == ""


def test_an_answer_is_found_out_once_for_many() -> None:
    asked: list[int] = []

    def find_out() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise OSError("the disk")
        return len(asked)

    kept: SingleFlightCache[int] = SingleFlightCache(60.0)
    with pytest.raises(OSError, match="the disk"):
        kept.get(find_out)
    assert [kept.get(find_out) for _ in range(3)] == [2, 2, 2]


def test_an_empty_store_is_unknown(tmp_path: Path) -> None:
    reader = open_reader(tmp_path / "none")
    found = health(reader)
    reader.close()
    assert (found.status, found.issues) == ("unknown", ())


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_a_store_tells(kind: str, tmp_path: Path) -> None:
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
    alive = Worker("w1", heartbeat=now, freq=60.0)
    writer.write(Batch(new=[*quick, stuck, yesterday, *failed, old], workers=[alive]))
    writer.set_status({**AT_WORK, "at": now, "since": now - 900})
    found = health(reader, ledger)
    assert [each.kind for each in found.issues if each.kind != "disk_low"] == ["failures_rising", "stuck_tasks"]
    rising = next(each for each in found.issues if each.kind == "failures_rising")
    assert (rising.trend[-1], len(rising.trend), rising.started_at) == (12.0, TREND_BUCKETS, now - 9_999)
    assert reader.count(parse_search(rising.subject.query)) == 13
    tasks = next(each for each in found.issues if each.kind == "stuck_tasks")
    assert [task.uuid for task in collect_snapshot(reader, now=now).running_tasks] == ["s"]
    assert reader.count(parse_search(tasks.subject.query)) == 2
    failure = rising.subject.id
    ledger.failure_notes.put(FailureNote(failure=failure, decision="resolved", created_by="ann", created_at=now - 600))
    found = health(reader, ledger)
    assert "failures_returning" in [each.kind for each in found.issues]
    ledger.failure_notes.put(FailureNote(failure=failure, decision="muted", created_by="ann", created_at=now))
    assert not [each for each in health(reader, ledger).issues if each.kind.startswith("failures")]
    for close in (writer.close, reader.close, ledger.close):
        close()


def test_over_http(tmp_path: Path, opened: None) -> None:
    store = MemoryStore()
    writer = MemoryWriter(store)
    with Live(MemoryReader(store)) as server:
        assert server.http.get("/api/v1/health").json()["verdict"] == "unknown"
    writer.set_status({**AT_WORK, "at": time.time()})
    with Live(MemoryReader(store)) as server:
        server.ledger.queue_samples.add([QueueSample("mail", time.time(), 500, None, 0)])
        found = server.http.get("/api/v1/health").json()
        assert found["sentence"] == "mail is eaten by nobody"
        [said] = found["concerns"]
        assert said["subject"] == {"type": "queue", "id": "mail", "query": "queue:=mail"}
        writer.set_status({"running": False, "at": 1.0})
        assert server.http.get("/api/v1/health").json() == found, "kept for a second"


def test_every_rule_has_a_case() -> None:
    told = {each.kind for case in WRONG for rule in HEALTH_RULES for each in rule(case[1])}
    assert len(told) == 15


def test_the_page_has_every_kind() -> None:
    page = (DOCS / "health.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (?:warning|critical)", page, re.MULTILINE)
    assert sorted(listed) == sorted(get_args(IssueKind))
