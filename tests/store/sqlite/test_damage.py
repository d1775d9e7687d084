"""Tests of damaged files: what is still readable is returned, and everything that is missing is reported."""

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from flower.errors import StoreDamaged
from flower.records import Task
from flower.search.tree import EVERYTHING, Term
from flower.store.factory import open_writer
from flower.store.protocols import Batch, Query
from flower.store.query_results import BucketSpan
from tests.helpers.disk_store import SEGMENT, reading, writing
from tests.helpers.task_factory import make, uuid_of

PAGE = 4096
#: long, so that a leaf page has few rows
LONG_ARGS = "x" * 600


def fill(path: Path, count: int = 170) -> list[Task]:
    tasks = [make(number, args=LONG_ARGS, state="SUCCESS" if number % 5 else "FAILURE") for number in range(count)]
    with writing(path, text_index=False) as writer:
        for place in range(0, count, 30):
            writer.write(Batch(new=tasks[place : place + 30]))
        writer.finish_maintenance()  # type: ignore[attr-defined]
    return tasks


def damage_leaf_page(file: Path) -> None:
    """Overwrite one leaf page of the table of tasks."""
    with sqlite3.connect(file) as db:
        (page,) = db.execute(
            "SELECT pageno FROM dbstat WHERE name='task' AND pagetype='leaf' ORDER BY pageno LIMIT 1 OFFSET 2"
        ).fetchone()
    db.close()
    with file.open("r+b") as content:
        content.seek((page - 1) * PAGE)
        content.write(b"\xff" * PAGE)


def lines_naming(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    """The warnings and errors; what the writer did about them later is logged for information."""
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return [message for message in messages if name in message]


def test_damaged_page_affects_only_its_own_rows(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tasks = fill(path)
    damage_leaf_page(path / "seg-000002.db")
    with reading(path) as reader:
        found = {task.uuid for task in reader.tasks(Query(sort=()))}
        lost = {task.uuid for task in tasks} - found
        assert 0 < len(lost) < 10
        assert lost < {task.uuid for task in tasks[50:100]}
        page = reader.task_page(Query(), limit=1_000)
        assert {task.uuid for task in page.tasks} == found
        assert all(reader.task(uuid) is not None for uuid in found)
    assert len(lines_naming(caplog, "seg-000002.db")) == 1


def test_writer_recovers_the_readable_rows_of_a_damaged_segment(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A reader in another process reports the damage; the writer meets no damaged page itself."""
    tasks = fill(path)
    with writing(path, text_index=False) as writer, reading(path) as reader:
        assert reader.count() == 170
        damage_leaf_page(path / "seg-000002.db")
        with reading(path) as other:
            found = {task.uuid for task in other.tasks(Query(sort=()))}
        writer.maintain()
        assert {task.uuid for task in reader.tasks(Query(sort=()), strict=True)} == found
        assert reader.count() == len(found)
        assert {task.uuid: task for task in reader.tasks(Query())} == {
            task.uuid: task for task in tasks if task.uuid in found
        }
        assert reader.status().damaged == ("seg-000002.db",)
        count = reader.count_until_deadline()
        assert f"seg-000002.db ({170 - len(found)} tasks)" in str(count.partial)
        assert reader.summaries(EVERYTHING, by="name").total.count == len(found)
        lost = next(task for task in tasks if task.uuid not in found)
        writer.write(Batch(new=[lost, make(900)]))
        assert reader.count() == len(found) + 2
    assert len(lines_naming(caplog, "seg-000002.db")) == 1
    assert (path / "damaged" / "seg-000002.db").exists()
    with writing(path, text_index=False), reading(path) as reader:
        assert reader.count() == len(list(reader.tasks(Query(), strict=True))) == len(found) + 2


def test_report_on_an_intact_file_is_removed(path: Path) -> None:
    fill(path)
    with writing(path, text_index=False) as writer, reading(path) as reader:
        reader.count()
        reader._pool.report_damage(reader._meta_reader.catalog().segments[1], "disk I/O error")  # type: ignore[attr-defined]
        assert reader.count_until_deadline().partial is not None
        writer.maintain()
        assert reader.count_until_deadline().partial is None
        assert reader.count() == len(list(reader.tasks(Query(), strict=True))) == 170


def test_every_result_reports_damage_also_in_another_process(path: Path) -> None:
    fill(path)
    damage_leaf_page(path / "seg-000002.db")
    with reading(path) as reader:
        list(reader.tasks(Query(sort=())))
    span = BucketSpan(1000.0, 10.0, 20)
    with reading(path) as other:
        results = (
            other.task_page(Query(), limit=5),
            other.count_until_deadline(),
            other.facets(EVERYTHING, ["state"]),
            other.histogram(EVERYTHING, span),
            other.summaries(EVERYTHING, by="name"),
            other.timeline(EVERYTHING, span),
            other.failures(EVERYTHING),
            other.workflows(),
            other.family(uuid_of(3)),
        )
        for result in results:
            assert result is not None
            assert result.partial is not None, type(result)
            assert "seg-000002.db" in result.partial
        assert other.status().damaged == ("seg-000002.db",)


def test_a_result_without_tasks_of_the_damaged_segment_is_complete(path: Path) -> None:
    fill(path)
    damage_leaf_page(path / "seg-000002.db")
    with reading(path) as reader:
        list(reader.tasks(Query(sort=())))
        # the times of segment 2 are 1050 to 1099
        assert reader.count_until_deadline(Term("received", "range", (1120.0, 1200.0))).partial is None
        assert reader.count_until_deadline(Term("received", "range", (1090.0, 1200.0))).partial is not None


def test_strict_reading_of_unreadable_tasks_ends_with_an_error(path: Path) -> None:
    tasks = fill(path)
    damage_leaf_page(path / "seg-000002.db")
    read: list[Task] = []
    with reading(path) as reader:
        iterator = reader.tasks(Query(sort=()), strict=True)
        with pytest.raises(StoreDamaged, match=r"seg-000002\.db"):
            read.extend(iterator)
    assert len(tasks) - 10 < len(read) < len(tasks)


def test_segment_deleted_while_stopped_is_reported(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path)
    (path / "seg-000002.db").unlink()
    with reading(path) as reader:
        summary = reader.summaries(EVERYTHING, by="name")
        assert summary.total.count == 120
        assert summary.partial is not None
        assert reader.count_until_deadline().count == len(list(reader.tasks(Query()))) == 120
        assert reader.status().damaged == ("seg-000002.db",)
        with writing(path, text_index=False):
            assert reader.count_until_deadline().partial is not None
            assert reader.status().damaged == ("seg-000002.db",)
    assert len(lines_naming(caplog, "seg-000002.db")) == 1


def test_writer_reports_a_segment_that_was_deleted_while_stopped(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path)
    (path / "seg-000002.db").unlink()
    with writing(path, text_index=False), reading(path) as reader:
        count = reader.count_until_deadline()
        assert count.count == 120
        assert count.partial is not None
        assert "seg-000002.db (50 tasks)" in count.partial
    assert len(lines_naming(caplog, "seg-000002.db")) == 1


def test_segment_deleted_while_running_is_reported(path: Path) -> None:
    fill(path)
    with reading(path) as reader:
        assert reader.count() == 170
        (path / "seg-000002.db").unlink()
        for _ in range(2):
            summary = reader.summaries(EVERYTHING, by="name")
            assert summary.partial is not None
            assert len(list(reader.tasks(Query()))) == 120
        assert reader.status().damaged == ("seg-000002.db",)


def test_unreadable_fields_of_a_row_are_left_out_and_marked(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tasks = fill(path, 40)
    with sqlite3.connect(path / "seg-000001.db") as db:
        db.execute("UPDATE task SET data='{\"broken', result=CAST(x'27ff6f6b27' AS TEXT) WHERE id=5")
        db.execute("UPDATE task SET earlier='[{', runtime=x'00' WHERE id=6")
        db.execute("UPDATE task SET name=999, lost='[1]' WHERE id=7")
    db.close()
    with reading(path) as reader:
        read = {task.uuid: task for task in reader.tasks(Query(), strict=True)}
        for _ in range(2):
            assert read == {task.uuid: task for task in reader.task_page(Query(), limit=100).tasks}
    assert len(read) == 40
    fifth, sixth, seventh = (read[tasks[place].uuid] for place in (4, 5, 6))
    assert fifth.result == "'\ufffdok'"
    assert fifth.data == {"unreadable": {"fields": ["data"]}}
    assert sixth.data == {"unreadable": {"fields": ["runtime", "earlier"]}}
    assert (sixth.runtime, sixth.earlier) == (None, ())
    assert seventh.data == {"unreadable": {"fields": ["name", "lost"]}}
    assert len(lines_naming(caplog, fifth.uuid)) == 1
    with writing(path, text_index=False) as writer:
        assert set(writer.load(read)) == set(read)


def test_missing_words_do_not_repeat_a_query_forever(path: Path) -> None:
    """Columns that are built from the rows refer to the same words."""
    tasks = fill(path)
    db = sqlite3.connect(path / "seg-000002.db")
    with db:
        db.execute("DELETE FROM word WHERE kind='name'")
    db.close()
    with reading(path) as reader:
        summaries = reader.summaries(EVERYTHING, by="name")
        assert summaries.total.count == 120
        assert "seg-000002.db" in str(summaries.partial)
        # the tasks themselves are returned, without their names
        assert {task.uuid for task in reader.tasks(Query())} == {task.uuid for task in tasks}


def test_a_text_that_is_not_utf8_is_indexed(path: Path) -> None:
    fill(path, 40)
    with sqlite3.connect(path / "seg-000001.db") as db:
        db.execute("UPDATE task SET result=CAST(x'6e6565646cff' AS TEXT) WHERE id=5")
    db.close()
    (path / "seg-000001.cols").unlink()
    writer = open_writer(path, segment_tasks=SEGMENT)
    writer.finish_maintenance()  # type: ignore[attr-defined]
    with reading(path) as reader:
        for text in ("needl", "ORD-00030", LONG_ARGS[:40]):
            assert reader.count(Term("", "contains", text)) == (40 if text[0] == "x" else int(text == "needl"))
    writer.close()


TRUNCATE_WHILE_MAPPED = """
import os, sys
from pathlib import Path
from flower.store.factory import open_reader
from flower.search.tree import EVERYTHING
path = Path(sys.argv[1])
reader = open_reader(path)
before = reader.summaries(EVERYTHING, by="name")
os.truncate(path / "seg-000001.cols", 4096)
assert reader.summaries(EVERYTHING, by="name") == before
assert reader.summaries(EVERYTHING, by="hostname" if False else "worker").total.count == before.total.count
"""


def test_truncated_column_file_does_not_end_the_process(path: Path) -> None:
    fill(path)
    run = subprocess.run(
        [sys.executable, "-c", TRUNCATE_WHILE_MAPPED, str(path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("seg-000001.cols") == 1


def test_writer_rebuilds_a_column_file_that_was_truncated_in_use(path: Path) -> None:
    fill(path, 40)
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=[make(41)]))
        size = (path / "seg-000001.cols").stat().st_size
        os.truncate(path / "seg-000001.cols", 4096)
        writer.write(Batch(new=[make(42)]))
        writer.finish_maintenance()  # type: ignore[attr-defined]
        assert (path / "seg-000001.cols").stat().st_size == size
        with reading(path) as reader:
            assert reader.summaries(EVERYTHING, by="name").total.count == 42


def test_report_is_readable_json_and_can_be_deleted(path: Path) -> None:
    fill(path)
    (path / "seg-000002.db").unlink()
    with reading(path) as reader:
        reader.count_until_deadline()
    report = path / "damaged" / "seg-000002.db.json"
    assert json.loads(report.read_text())["reason"] == "the file is missing"
    with writing(path, text_index=False):
        pass
    report.unlink()
    with reading(path) as reader:
        assert reader.count_until_deadline().partial is None
        assert reader.status().damaged == ()


def test_closed_store_has_no_content_in_write_ahead_logs(path: Path) -> None:
    """Also while a reader in another process keeps the files open, as the web server does."""
    with writing(path, text_index=False) as writer:
        with reading(path) as reader:
            writer.write(Batch(new=[make(number) for number in range(170)]))
            assert reader.count() == len(list(reader.tasks(Query()))) == 170
            assert any(log.stat().st_size for log in path.glob("*-wal"))
            writer.close()
            assert not any(log.stat().st_size for log in path.glob("*-wal"))
            assert reader.count() == 170
        writer.close = lambda: None  # type: ignore[method-assign]


def copy_of_killed_store(path: Path, copy: Path, lost: str, how: str) -> Path:
    """What is on the disk after kill -9, with a write-ahead log lost or damaged."""
    with writing(path, text_index=False) as writer:
        for place in range(0, 170, 30):
            writer.write(Batch(new=[make(number) for number in range(place, min(place + 30, 170))]))
        shutil.copytree(path, copy)
    log = copy / lost
    assert log.stat().st_size > 0
    if how == "deleted":
        log.unlink()
    else:
        with log.open("r+b") as content:
            content.seek(60)
            content.write(b"\xff" * 40)
    return copy


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_lost_log_of_meta_db_does_not_give_old_results(path: Path, tmp_path: Path, how: str) -> None:
    copy = copy_of_killed_store(path, tmp_path / "copy", "meta.db-wal", how)
    with reading(copy) as reader:
        assert reader.count() == len(list(reader.tasks(Query(), strict=True))) == 170
        with writing(copy, text_index=False):
            assert reader.count() == len(list(reader.tasks(Query(), strict=True))) == 170
        assert reader.status().damaged == ()


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_lost_log_of_a_segment_is_reported(path: Path, tmp_path: Path, how: str) -> None:
    copy = copy_of_killed_store(path, tmp_path / "copy", "seg-000004.db-wal", how)
    with reading(copy) as reader:
        list(reader.tasks(Query()))
        count = reader.count_until_deadline()
        assert count.partial is not None
        assert count.count == len(list(reader.tasks(Query()))) == 150
    with writing(copy, text_index=False) as writer, reading(copy) as reader:
        assert reader.count() == len(list(reader.tasks(Query()))) == 150
        writer.write(Batch(new=[make(900)]))
        assert reader.count_until_deadline().partial is not None
        assert reader.count() == 151


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
