"""Stores of version 1.0, whose files lack the columns that were added later, are opened without loss. A migration to
another format runs in the background, and continues after it was killed at any moment."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from msgspec.structs import replace

from flower.errors import StoreVersionMismatch
from flower.records import Attempt, Gap, Lost, Task, Worker
from flower.search.parser import parse_search
from flower.search.tree import Term
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Reader, Sort, TaskChange
from flower.store.query_results import BucketSpan
from flower.store.sqlite.catalog import UNKNOWN_BOUNDS
from flower.store.sqlite.check.store_check import check_store
from flower.store.sqlite.connection import create_database, fetch_number, fetch_rows, open_for_reading
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.file_header import is_compressed_file
from flower.store.sqlite.meta_db import read_segments
from flower.store.sqlite.row_codec import WordDictionary
from flower.store.sqlite.row_encoder import RowEncoder
from flower.store.sqlite.schema import STATE_IDS
from flower.store.sqlite.store_format import APPLICATION_ID, STORE_FORMAT
from tests.helpers.paths import ROOT
from tests.helpers.store_contents import describe_store
from tests.helpers.task_factory import make
from tests.store.sqlite.format_1.create import SEGMENT_TASKS, create_store
from tests.store.sqlite.format_2.create import extract_store

#: The files of version 1.0, as they were created.
OLD_SEGMENT_SCHEMA = (
    "CREATE TABLE task(id INTEGER PRIMARY KEY, plain INTEGER, uuid BLOB NOT NULL, name INTEGER, state INTEGER,"
    " hostname INTEGER, pid INTEGER, timestamp REAL, clock INTEGER, sent REAL, received REAL, started REAL,"
    " succeeded REAL, failed REAL, retried REAL, revoked REAL, rejected REAL, runtime REAL, retries INTEGER, eta TEXT,"
    " expires TEXT, queue INTEGER, exchange INTEGER, routing_key INTEGER, priority INTEGER, client INTEGER,"
    " root_id BLOB, parent_id BLOB, args TEXT, kwargs TEXT, result TEXT, exception TEXT, traceback TEXT, earlier TEXT,"
    " data TEXT)",
    "CREATE UNIQUE INDEX task_uuid ON task(uuid)",
    "CREATE TABLE word(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL, UNIQUE(kind, value))",
    *(f"INSERT INTO word VALUES ({number}, 'state', '{state}')" for state, number in STATE_IDS.items()),
    "CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
)
OLD_META_SCHEMA = (
    "CREATE TABLE batch("
    "sequence INTEGER PRIMARY KEY, time REAL, touched INTEGER, ids BLOB, odd TEXT, complete INTEGER)",
    "CREATE TABLE worker(hostname TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE gap(start REAL, reason TEXT, end REAL, PRIMARY KEY(start, reason)) WITHOUT ROWID",
    "CREATE TABLE segment(number INTEGER PRIMARY KEY, data TEXT NOT NULL)",
    "CREATE TABLE info(key TEXT PRIMARY KEY, value) WITHOUT ROWID",
)
OLD_COLUMNS = 35
SEGMENT = 20
LOST = Lost(2000.0, "worker_offline", "The worker stopped.", ("workers", "queue"))
WINDOW = BucketSpan(900.0, 100.0, 4, "time")


def old_tasks(count: int) -> list[Task]:
    tasks = [make(number) for number in range(count)]
    # sent and not received, started only, an earlier attempt
    tasks[3] = replace(tasks[3], state="PENDING", received=None, started=None, sent=1500.0, runtime=None)
    tasks[4] = replace(tasks[4], received=None, started=1200.0)
    tasks[25] = replace(tasks[25], earlier=(Attempt(0, "celery@w9", state="RETRY"),), data={"task-x": {"y": 1}})
    return tasks


def create_old_store(path: Path, tasks: Sequence[Task]) -> None:
    """A store that version 1.0 wrote."""
    path.mkdir()
    directory = StoreDirectory(path)
    infos: list[dict[str, Any]] = []
    for number, start in enumerate(range(0, len(tasks), SEGMENT), 1):
        part = tasks[start : start + SEGMENT]
        received = [task.received for task in part if task.received is not None]
        infos.append(
            {
                "number": number, "first": start + 1, "next": start + 1 + len(part), "capacity": SEGMENT,
                "rows": len(part), "sequence": 1, "odd_ids": False, "parented": False, "emptied": None,
                "bounds": [[min(received), max(received)], [0.0, 9999.0], [0.0, 9999.0], [0.0, 10.0]],
            }
        )  # fmt: skip
        file = directory.segment_path(number)
        create_database(file, OLD_SEGMENT_SCHEMA, APPLICATION_ID, STORE_FORMAT)
        with apsw.Connection(str(file)) as db:
            dictionary = WordDictionary()
            dictionary.load((number, "state", state) for state, number in STATE_IDS.items())
            encoder = RowEncoder(dictionary)
            rows = list(zip(*encoder.encode(range(start + 1, start + 1 + len(part)), part)[:OLD_COLUMNS], strict=True))
            db.executemany(f"INSERT INTO task VALUES ({','.join('?' * OLD_COLUMNS)})", rows)
            db.executemany("INSERT INTO word VALUES (?,?,?)", dictionary.pop_new_words())
            db.execute("INSERT INTO info VALUES ('segment', ?)", (msgspec.json.encode(infos[-1]).decode(),))
        db.close()
    create_database(directory.meta_path, OLD_META_SCHEMA, APPLICATION_ID, STORE_FORMAT)
    with apsw.Connection(str(directory.meta_path)) as db:
        db.execute("INSERT INTO batch VALUES (1, 0, 0, x'', NULL, 0)")
        db.executemany(
            "INSERT INTO segment VALUES (?,?)", [(info["number"], msgspec.json.encode(info).decode()) for info in infos]
        )
        db.execute("""INSERT INTO worker VALUES ('celery@w1', '{"hostname": "celery@w1", "freq": 2.0}')""")
        db.execute("INSERT INTO gap VALUES (10.0, 'The broker was unreachable', 20.0), (10.0, 'Two', 15.0)")
        parked = [{"uuid": "parked", "state": "STARTED", "earlier": [{"number": 0, "state": "RETRY"}]}]
        db.execute("INSERT INTO info VALUES ('held', ?)", (msgspec.msgpack.encode(parked),))
    db.close()


def check_contents(reader: Reader, tasks: Sequence[Task]) -> None:
    """Everything that was written is read, and fields that did not exist have no value."""
    assert list(reader.tasks(Query(sort=()))) == list(tasks)
    assert all(reader.task(task.uuid) == task for task in tasks)
    by_time = sorted(tasks, key=lambda task: task.time or 0, reverse=True)
    assert list(reader.tasks(Query(sort=(Sort("time", True),)))) == by_time
    assert reader.count(Term("time", "range", (1190.0, 1210.0))) == sum(
        1190 <= (task.time or 0) <= 1210 for task in tasks
    )
    assert sum(map(sum, reader.histogram(parse_search(""), WINDOW).states.values())) == sum(
        900 <= (task.time or 0) < 1300 for task in tasks
    )
    assert reader.count(parse_search("is:lost")) == reader.count(parse_search("has:source")) == 0
    assert reader.count(parse_search("is:waiting")) == 1
    assert reader.gaps() == (Gap(10.0, 20.0, "The broker was unreachable"), Gap(10.0, 15.0, "Two"))
    assert reader.workers()["celery@w1"] == Worker("celery@w1", freq=2.0)


def test_store_of_version_1_is_read_before_a_writer_has_opened_it(path: Path) -> None:
    create_old_store(path, tasks := old_tasks(50))
    reader = open_reader(path)
    check_contents(reader, tasks)
    reader.close()


def test_store_of_version_1_is_opened_for_writing_without_loss(path: Path) -> None:
    create_old_store(path, tasks := old_tasks(50))
    reader = open_reader(path)
    check_contents(reader, tasks)
    writer = open_writer(path, segment_tasks=SEGMENT, text_index=False)
    assert writer.parked_tasks() == (Task("parked", state="STARTED", earlier=(Attempt(0, state="RETRY"),)),)
    # connections that the reader opened before see the new columns
    check_contents(reader, tasks)
    stored = writer.load([tasks[3].uuid])[tasks[3].uuid]
    assert stored.key is not None
    lost = replace(tasks[3], lost=LOST, source="broker", run=1, clock_offset=2.5, client_offset=-3.0, queue_wait=1.5)
    ended = Gap(30.0, 40.0, "A worker had no events", "worker_events_disabled", "celery@w1")
    added = make(99, state="STARTED", lost=LOST)
    writer.write(Batch(new=[added], changed=[TaskChange(stored.key, tasks[3], lost)], gaps=[ended]))
    for place in (reader, open_reader(path)):
        assert place.task(lost.uuid) == lost
        assert [task.uuid for task in place.tasks(Query(parse_search("is:lost")))] == [added.uuid, lost.uuid]
        assert place.count(parse_search("source:broker wait:1..2")) == 1
        assert place.gaps()[-1] == ended
        place.close()
    writer.close()


def test_columns_and_bounds_of_version_1_are_rebuilt_by_maintenance(path: Path) -> None:
    create_old_store(path, tasks := old_tasks(50))
    directory = StoreDirectory(path)
    writer = open_writer(path, segment_tasks=SEGMENT, text_index=False)
    writer.finish_maintenance()  # type: ignore[attr-defined]
    with apsw.Connection(str(directory.meta_path), flags=apsw.SQLITE_OPEN_READONLY) as db:
        bounds = {entry.number: entry.bound("time") for entry in read_segments(db)}
    db.close()
    assert bounds == {1: (1000.0, 1500.0), 2: (1020.0, 1039.0), 3: (1040.0, 1049.0)}
    assert UNKNOWN_BOUNDS not in bounds.values()
    reader = open_reader(path)
    check_contents(reader, tasks)
    sequence = reader.changes(0).sequence
    reader.close()
    writer.close()
    # the bounds are those of the segments, so nothing is repaired at the next start
    writer = open_writer(path, segment_tasks=SEGMENT, text_index=False)
    reader = open_reader(path)
    assert reader.changes(0).sequence == sequence
    check_contents(reader, tasks)
    reader.close()
    writer.close()


def test_gap_that_is_written_again_is_replaced(path: Path) -> None:
    writer = open_writer(path, text_index=False)
    open_gap = Gap(10.0, None, "3 messages were unreadable", "unreadable_messages", "celery@w1")
    writer.write(Batch(gaps=[open_gap, replace(open_gap, worker="celery@w2")]))
    writer.write(Batch(gaps=[replace(open_gap, end=20.0, reason="5 messages were unreadable")]))
    reader = open_reader(path)
    assert sorted(gap.end or 0 for gap in reader.gaps()) == [0, 20.0]
    reader.close()
    writer.close()


# --- another format

#: A version that writes format 3: each task has the number of its characters, which a migration counts. It counts how
#: often it has converted a row, so that a row that is converted twice is detected.
NEXT_VERSION = """
import sys
from flower.store.sqlite import store_format
store_format.STORE_FORMAT = 3
from flower.store.sqlite import migration

def prepare(db):
    db.execute("ALTER TABLE task ADD COLUMN characters INTEGER")
    db.execute("ALTER TABLE task ADD COLUMN conversions INTEGER DEFAULT 0")

def convert(db, first, end):
    db.execute("UPDATE task SET characters = length(args), conversions = conversions + 1 WHERE id >= ? AND id < ?",
               (first, end))

def convert_meta(db):
    db.execute("CREATE TABLE converted(x)")

migration._ROWS_PER_STEP = 10
migration.SEGMENT_MIGRATIONS = (migration.SegmentMigration(3, prepare, convert),)
migration.META_MIGRATIONS = (migration.FileMigration(3, convert_meta),)
migration.LEDGER_MIGRATIONS = (migration.FileMigration(3, lambda db: None),)
"""

MIGRATE = f"""{NEXT_VERSION}
import time
from flower.store.factory import open_writer
from flower.store.sqlite import segment_set
segment_set._MIGRATION_STEP = 0.0
writer = open_writer(sys.argv[1], segment_tasks=int(sys.argv[2]), text_index=False)
print("open", flush=True)
while writer.maintain():
    time.sleep(float(sys.argv[3]))
writer.close()
print("complete", flush=True)
"""

DESCRIBE = f"""{NEXT_VERSION}
import json
from contextlib import closing
from pathlib import Path
from flower.store.factory import open_reader
from tests.helpers.store_contents import describe_store
with closing(open_reader(sys.argv[1])) as reader:
    progress = reader.status().migration
answers = describe_store(Path(sys.argv[1]))
print(json.dumps([progress and [progress.done, progress.total, progress.error], answers]))
"""


def run_next_version(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def describe_in_next_version(path: Path) -> tuple[list[Any] | None, dict[str, Any]]:
    """The progress of the migration, and the answers of the store."""
    output, _ = run_next_version(DESCRIBE, path).communicate(timeout=60)
    progress, answers = json.loads(output)
    return progress, answers


def comparable(answers: dict[str, Any]) -> dict[str, Any]:
    """Without numbers of the change sequence."""
    reader = {name: answers["reader"][name] for name in answers["reader"].keys() - {"changes", "status", "counters"}}
    return {**answers, "reader": reader}


def conversions(path: Path) -> dict[tuple[int, int], int]:
    """Number of tasks by format of the segment and number of conversions of the row."""
    counts: dict[tuple[int, int], int] = {}
    for file in path.glob("seg-*.db"):
        is_compressed = is_compressed_file(file)
        with closing(
            open_for_reading(file) if is_compressed else apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
        ) as db:
            number = fetch_number(db, "PRAGMA user_version")
            columns = {row[1] for row in db.execute("PRAGMA table_info(task)")}
            column = "conversions" if "conversions" in columns else "0"
            for done, count in fetch_rows(db, f"SELECT {column}, count(*) FROM task GROUP BY 1"):
                counts[number, done] = counts.get((number, done), 0) + count
    return counts


def test_migration_that_is_killed_at_random_moments_continues(tmp_path: Path) -> None:
    path = extract_store(tmp_path / "store")
    expected = comparable(describe_store(path))
    rng = random.Random(5)
    kills, partial = 0, 0
    while True:
        process = run_next_version(MIGRATE, path, SEGMENT_TASKS, 0.4 if kills < 6 else 0.0)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(rng.uniform(0.0, 0.8))
        if kills == 6:
            assert process.wait(60) == 0
            break
        assert process.poll() is None
        process.kill()
        process.wait()
        kills += 1
        states = conversions(path)
        partial += any(number == 2 for number, _ in states)
        # no row is converted twice, and none of a migrated segment is missing
        assert all(done <= 1 for _, done in states)
        assert (3, 0) not in states
        progress, answers = describe_in_next_version(path)
        assert comparable(answers) == expected
        if any(number == 2 for number, _ in states):
            assert progress is not None
            assert progress[0] < progress[1]
    assert partial >= 2
    assert conversions(path) == {(3, 1): 152}
    progress, answers = describe_in_next_version(path)
    assert progress is None
    assert comparable(answers) == expected


def test_segment_that_cannot_be_converted_is_reported_and_does_not_stop_the_others(tmp_path: Path) -> None:
    path = extract_store(tmp_path / "store")
    expected = comparable(describe_store(path))
    # a conversion that fails in the first segment
    script = MIGRATE.replace("def convert(db, first, end):", "def convert(db, first, end):\n    assert first > 1, 'no'")
    output, _ = run_next_version(script, path, SEGMENT_TASKS, 0.0).communicate(timeout=60)
    assert output == "open\ncomplete\n"
    states = conversions(path)
    assert states[2, 0] == SEGMENT_TASKS
    assert (3, 1) in states
    progress, answers = describe_in_next_version(path)
    assert progress is not None
    assert progress[2] == "seg-000001.db: AssertionError: no"
    assert comparable(answers) == expected
    output, _ = run_next_version(MIGRATE, path, SEGMENT_TASKS, 0.0).communicate(timeout=60)
    assert output == "open\ncomplete\n"
    assert describe_in_next_version(path)[0] is None


def begin_migration(directory: Path) -> Path:
    """A store whose migration by the next version was interrupted at its start."""
    path = extract_store(directory / "store")
    process = run_next_version(MIGRATE, path, SEGMENT_TASKS, 30)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    process.kill()
    process.wait()
    return path


def test_version_before_rejects_a_store_from_the_start_of_its_migration(tmp_path: Path) -> None:
    path = begin_migration(tmp_path)
    assert any(number == 2 for number, _ in conversions(path))
    for opening in (open_reader, open_writer):
        with pytest.raises(StoreVersionMismatch, match=r"meta\.db has store format 3"):
            opening(path)


def test_segment_is_migrated_before_its_rows_are_changed(tmp_path: Path) -> None:
    path = extract_store(tmp_path / "store")
    script = f"""{NEXT_VERSION}
from contextlib import closing
from msgspec.structs import replace
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, TaskChange
from tests.helpers.task_factory import uuid_of
with closing(open_writer(sys.argv[1], segment_tasks={SEGMENT_TASKS}, text_index=False)) as writer:
    stored = writer.load([uuid_of(50)])[uuid_of(50)]
    after = replace(stored.task, result="'changed'")
    writer.write(Batch(changed=[TaskChange(stored.key, stored.task, after)]))
    with closing(open_reader(sys.argv[1])) as reader:
        assert reader.task(uuid_of(50)) == after
        assert reader.count() == 152
"""
    assert run_next_version(script, path).wait(60) == 0
    states = conversions(path)
    # the segment of the task and the active one; the others later
    assert states[3, 1] == 40 + 32
    assert states[2, 0] == 80


def test_new_store_needs_no_migration(path: Path) -> None:
    assert run_next_version(MIGRATE, path, SEGMENT_TASKS, 0).wait(60) == 0
    assert conversions(path) == {}
    create_store(path.with_name("other"))
    with closing(open_reader(path.with_name("other"))) as reader:
        assert reader.status().migration is None


def test_column_files_that_are_built_again_are_shown_as_a_migration(path: Path) -> None:
    create_old_store(path, tasks := old_tasks(100))
    writer, reader = open_writer(path, segment_tasks=SEGMENT, text_index=False), open_reader(path)
    migration = reader.status().migration
    assert migration is not None
    # the newest segment is up to date at once
    assert (migration.done, migration.total) == (0, 4)
    check_contents(reader, tasks)
    done = []
    while writer.maintain():
        current = reader.status().migration
        done.append(current.done if current else 4)
    assert sorted(set(done)) == [1, 2, 3, 4]
    assert sorted(done) == done
    assert reader.status().migration is None
    check_contents(reader, tasks)
    writer.close()
    writer = open_writer(path, segment_tasks=SEGMENT, text_index=False)
    assert reader.status().migration is None
    reader.close()
    writer.close()


def test_check_of_a_store_of_an_earlier_version_reports_no_errors(path: Path) -> None:
    create_old_store(path, old_tasks(100))
    result = check_store(path)
    assert result.errors == 0
    assert {finding.file for finding in result.findings} >= {"seg-000001.db", "meta.db"}
    assert "adds them" in result.findings[0].advice


def test_check_of_a_store_that_is_being_migrated_reports_no_errors(tmp_path: Path) -> None:
    path = begin_migration(tmp_path)
    check = f"""{NEXT_VERSION}
from pathlib import Path
from flower.store.sqlite.check.store_check import check_store
result = check_store(Path(sys.argv[1]))
print(result.errors, sum("is converted to 3" in finding.problem for finding in result.findings))
"""
    output, _ = run_next_version(check, path).communicate(timeout=60)
    assert output.split()[0] == "0"
    assert int(output.split()[1]) >= 1
