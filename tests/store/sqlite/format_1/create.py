"""Creates the sample store of format 1. The store was made when the format was frozen, and is not made again: the test
opens what an earlier version wrote.

`python -m tests.store.sqlite.format_1.create FOLDER` makes all files in another folder. If the meaning of a query
changes, `python -m tests.store.sqlite.format_1.create` writes the answers again, from the same store.
"""

import lzma
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from flower.counters import DurationHistogram, TaskCounters
from flower.records import Attempt, Gap, Lost, Task, Worker
from flower.store.factory import open_ledger, open_writer
from flower.store.ledger import Ledger
from flower.store.ledger.api_tokens import ApiToken
from flower.store.ledger.failure_notes import FailureNote
from flower.store.ledger.gap_dismissals import GapDismissal
from flower.store.ledger.jobs import ItemResult, Job, JobAction, Lease
from flower.store.ledger.queue_samples import QueueSample
from flower.store.ledger.reruns import Rerun
from flower.store.ledger.saved_searches import SavedSearch
from flower.store.protocols import Batch, TaskChange, Writer
from tests.helpers.store_contents import describe_store
from tests.helpers.task_factory import uuid_of

HERE = Path(__file__).parent
#: 2026-01-01T00:00:00Z
START = 1_767_225_600.0
SEGMENT_TASKS = 40
TRACEBACK = """Traceback (most recent call last):
  File "/app/shop/billing.py", line 40, in charge
    raise CardDeclined(order_id)
shop.billing.CardDeclined: order {number} declined"""


def sample_task(number: int, **fields: Any) -> Task:
    received = START + 60.0 * number
    values: dict[str, Any] = {
        "name": ("billing.charge", "shop.order", "mail.send")[number % 3],
        "state": "SUCCESS",
        "hostname": f"celery@w{number % 4}",
        "pid": 100 + number % 4,
        "timestamp": received + 2.0,
        "clock": 10 * number,
        "sent": received - 0.5,
        "received": received,
        "started": received + 0.25,
        "succeeded": received + 2.0,
        "runtime": (number * 37 % 101) / 10,
        "retries": 0,
        "queue": ("celery", "mail")[number % 5 == 0],
        "exchange": "celery",
        "routing_key": "celery",
        "priority": number % 10,
        "client": "gen1@web",
        "args": f"({number}, 'ORD-{number:05d}')",
        "kwargs": f"{{'order_id': {number}}}",
        "result": "'ok'",
        **fields,
    }
    return Task(uuid=uuid_of(number), **values)


def sample_tasks() -> list[Task]:
    """Tasks of all states, with attempts, workflows, custom events, marks and texts of all kinds."""
    tasks = [sample_task(number) for number in range(150)]

    def change(number: int, **fields: Any) -> None:
        tasks[number] = msgspec.structs.replace(tasks[number], **fields)

    for number in range(0, 150, 7):
        change(
            number, state="FAILURE", succeeded=None, failed=START + 60.0 * number + 3, runtime=None, result=None,
            exception=f"CardDeclined('order {number} declined')", traceback=TRACEBACK.format(number=number),
        )  # fmt: skip
    unfinished: dict[str, Any] = {"succeeded": None, "runtime": None, "result": None}
    change(
        1,
        state="PENDING",
        received=None,
        started=None,
        hostname=None,
        pid=None,
        eta="2026-02-01T00:00:00",
        **unfinished,
    )
    change(2, state="RECEIVED", started=None, expires="2026-03-01T00:00:00", **unfinished)
    change(3, state="STARTED", **unfinished)
    change(4, state="REVOKED", revoked=START + 250.0, started=None, **unfinished)
    change(5, state="REJECTED", rejected=START + 310.0, started=None, **unfinished)
    change(6, state="RETRY", retried=START + 370.0, retries=2, exception="Busy()", **unfinished)
    change(8, state="PROGRESS", data={"task-progress": {"percent": 40, "step": "straße"}}, **unfinished)
    change(9, earlier=(
        Attempt(0, "celery@w9", pid=7, received=START + 500, started=START + 501, ended=START + 505, state="RETRY",
                runtime=4.0, exception="Busy()", traceback=TRACEBACK.format(number=9)),
        Attempt(1, "celery@w1", state="RETRY", lost="worker_offline", retries=1),
    ), retries=2)  # fmt: skip
    change(10, state="STARTED", lost=Lost(START + 900, "worker_offline", "The worker stopped.", ("workers", "queue")),
           **unfinished)  # fmt: skip
    change(11, state="RECEIVED", started=None, source="broker",
           lost=Lost(START + 910, "message_unacknowledged", "Held by the broker."), **unfinished)  # fmt: skip
    change(12, source="result_backend", run=1, clock_offset=2.5, client_offset=-3.0, queue_wait=1.5)
    change(13, event_times={"task-started": (START + 1.0, START + 2.0)}, source="worker")
    for number in range(20, 26):
        change(number, root_id=uuid_of(20), parent_id=uuid_of(20 + (number - 20) // 2) if number > 20 else None)
    change(30, args="('straße', 'back\\\\slash', \"it's\")", kwargs="{'größe': '😀', 'x': '10%_'}", result="'a\\tb'")
    change(31, name="ünïcode.task", args="x" * 5_000, result=None)
    change(32, name=None, args=None, kwargs=None, result=None, queue=None, client=None)
    tasks += [
        msgspec.structs.replace(sample_task(150), uuid="order-150"),
        msgspec.structs.replace(
            sample_task(151), uuid=uuid_of(151).upper(), root_id="order-150", parent_id="order-150"
        ),
    ]
    return tasks


def sample_workers() -> list[Worker]:
    return [
        Worker("celery@w0", pid=100, timestamp=START + 9_000, heartbeat=START + 9_000, freq=2.0, active=1, processed=40,
               loadavg=(1.0, 2.5, 3.0), sw_ident="py-celery", sw_ver="5.5.3", sw_sys="Linux", clock=7, since=START,
               sends_heartbeats=True, pool="prefork", clock_offset=0.25, answered_at=START + 8_000,
               events_enabled_at=START, known_since=START, seen_at=START + 9_000, pids=((99, START + 5.0),)),
        Worker("celery@w1", online=False, heartbeat=START + 100),
        Worker("celery@w3", heartbeat=START + 9_000),
    ]  # fmt: skip


def sample_counters() -> list[TaskCounters]:
    histogram = DurationHistogram({0.5: 3, 10.0: 40, float("inf"): 1}, 212.5, START)
    return [
        TaskCounters(
            "celery@w0", "shop.order", {"task-received": (50, START), "task-succeeded": (43, START)}, histogram
        ),
        TaskCounters("gen1@web", "shop.order", {"task-sent": (50, START)}),
        TaskCounters(None, "shop.order", {}, None, histogram, histogram),
    ]


def fill(writer: Writer) -> None:
    tasks = sample_tasks()
    for start in range(0, len(tasks), 30):
        writer.write(Batch(new=tasks[start : start + 30]))
    stored = writer.load([uuid_of(50)])[uuid_of(50)]
    assert stored.key is not None
    late = msgspec.structs.replace(stored.task, result="'late'", clock=999_999)
    gaps = [
        Gap(START + 10, START + 20, "The broker was unreachable", "broker_unreachable"),
        Gap(START + 30, None, "A worker had no events", "worker_events_disabled", "celery@w1"),
        Gap(START + 40, START + 50, "Unknown"),
    ]
    writer.write(
        Batch(
            changed=[TaskChange(stored.key, stored.task, late)], workers=sample_workers(), gaps=gaps,
            parked=[Task("parked", state="STARTED", earlier=(Attempt(0, state="RETRY"),), data={"task-x": {"y": 1}})],
            counters=sample_counters(), capture_progress=b'{"complete_until":1767234600.0}',
        )
    )  # fmt: skip
    writer.set_status({"pid": 4711, "at": START + 9_000, "running": False, "events": 600})


def fill_ledger(ledger: Ledger) -> None:
    ledger.secrets.get_or_create("sample")
    for number, expires in enumerate((None, START + 100)):
        token = ApiToken(id=f"t{number}", name=f"CI {number}", owner="anna", auth_method="cli",
                         permissions=("view", "control"), created_at=START, expires_at=expires)  # fmt: skip
        ledger.tokens.add(token, bytes([number]) * 32)
    ledger.tokens.record_use("t0", START + 5, "192.0.2.7")
    ledger.tokens.revoke("t1", START + 6, "bert")
    entry = ledger.audit.add("task.revoke", user="anna", auth_method="basic", outcome="in_progress",
                             address="192.0.2.7", targets=[uuid_of(3)], parameters={"signal": "TERM"})  # fmt: skip
    ledger.audit.finish(entry, "done", "1 worker")
    ledger.audit.add("worker.shutdown", user="bert", auth_method="token", token="t0", outcome="refused",
                     targets=["celery@w0"], message="read only")  # fmt: skip
    for number, (owner, shared) in enumerate((("anna", False), ("bert", True), ("", False))):
        search = SavedSearch(id=f"s{number}", name=f"Search {number}", query="state:FAILURE straße", start="-1h",
                             time="received", columns=("uuid", "kwargs.order_id"), sort=("-runtime",), owner=owner,
                             shared=shared, updated_at=START + number)  # fmt: skip
        ledger.saved_searches.add(search, limit=10)
    actions: tuple[JobAction, ...] = ("rerun", "revoke")
    for number, action in enumerate(actions):
        job = Job(id=f"j{number}", action=action, state="running", created_by="anna", created_at=START + number,
                  query="state:FAILURE", rate=10.0, total=0)  # fmt: skip
        ledger.jobs.create(job, [(uuid_of(each), f"new-{each}" if number == 0 else None) for each in range(5)], limit=9)
    lease = Lease("j0", "host:1", START + 60)
    ledger.jobs.claim("host:1", now=START + 2, until=START + 60, job_id="j0")
    ledger.jobs.advance(lease, (), batch_size=3, now=START + 3)
    ledger.jobs.advance(
        lease, [ItemResult(0, "done"), ItemResult(1, "failed", "no route"), ItemResult(2, "skipped", "finished")],
        batch_size=1, now=START + 4,
    )  # fmt: skip
    ledger.queue_samples.add(
        [QueueSample("celery", START, 12, 3, 2, 4.5), QueueSample("mail", START, None, None, 0),
         QueueSample("celery", START + 15, 14, 3, 2, 5.0)]
    )  # fmt: skip
    for origin in ("order-5", "order-10"):
        ledger.reruns.add(Rerun(origin=origin, task=f"{origin}-again", created_at=START, created_by="anna", edited=True,
                                job="j0", priority=3))  # fmt: skip
    ledger.reruns.mark_sent("order-5-again")
    ledger.failure_notes.put(FailureNote(failure="f1", decision="resolved", created_by="anna", created_at=START,
                                         comment="fixed in 2.1"))  # fmt: skip
    ledger.failure_notes.put(FailureNote(failure="f2", decision="muted", created_by="bert", created_at=START,
                                         expires_at=START + 9))  # fmt: skip
    ledger.failure_notes.record_first_seen({"f1": START, "f2": START + 1})
    ledger.gap_dismissals.put(GapDismissal(gap="0123456789abcdef", dismissed_by="anna", dismissed_at=START))


def create_store(path: Path) -> None:
    writer = open_writer(path, segment_tasks=SEGMENT_TASKS, text_index=False)
    fill(writer)
    writer.finish_maintenance()  # type: ignore[attr-defined]
    writer.close()
    with closing(open_ledger(path)) as ledger:
        fill_ledger(ledger)


def read_schema(path: Path) -> str:
    """The statements that created the tables and indexes of a store, by file."""
    lines: list[str] = []
    for name in ("seg-000001.db", "meta.db", "ledger.db"):
        with closing(sqlite3.connect(f"file:{path / name}?mode=ro", uri=True)) as db:
            (number,) = db.execute("PRAGMA user_version").fetchone()
            found = db.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY type DESC, name").fetchall()
        lines += [f"-- {name}: format {number}", *(" ".join(sql.split()) + ";" for (sql,) in found), ""]
    return "\n".join(lines)


def extract_store(path: Path) -> Path:
    """Extract the sample store into this directory, which must not exist."""
    path.mkdir()
    with tarfile.open(HERE / "store.tar.xz") as archive:
        archive.extractall(path, filter="data")
    return path


def read_expected() -> Any:
    return msgspec.json.decode(lzma.decompress((HERE / "expected.json.xz").read_bytes()))


def write_expected(store: Path, folder: Path) -> None:
    text = msgspec.json.format(msgspec.json.encode(describe_store(store)), indent=1)
    (folder / "expected.json.xz").write_bytes(lzma.compress(text))


def create_files(folder: Path) -> None:
    store = folder / "store"
    create_store(store)
    (folder / "schema.sql").write_text(read_schema(store))
    with tarfile.open(folder / "store.tar.xz", "w:xz") as archive:
        for path in sorted(store.iterdir()):
            if path.suffix in (".db", ".cols") or path.name == "recorder.status":
                archive.add(path, path.name)
    write_expected(store, folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        create_files(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            write_expected(extract_store(Path(temporary) / "store"), HERE)
