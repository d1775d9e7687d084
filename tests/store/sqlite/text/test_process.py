"""The child process of the text index: it indexes what the writer writes, and never outlives it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flower.records import Worker
from flower.search.parser import parse_search
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text import TextReader, process
from flower.store.sqlite.writer import SqliteWriter
from tests.helpers.servers import wait_for
from tests.helpers.task_factory import make, uuid_of


def open_indexed(path: Path) -> SqliteWriter:
    writer = open_writer(path, segment_tasks=50, index_process=True)
    assert isinstance(writer, SqliteWriter)
    return writer


def add(writer: SqliteWriter, first: int, count: int) -> None:
    writer.write(
        Batch(new=[make(n, state="SUCCESS", kwargs=f"{{'order': 'N{n:05d}'}}") for n in range(first, first + count)])
    )


def is_indexed(path: Path, text: str) -> bool:
    reader = TextReader(path / "text")
    try:
        return len(reader.refresh().find_candidates([text.casefold()], limit=10).keys) == 1
    finally:
        reader.close()


def process_id(writer: SqliteWriter) -> int:
    assert writer._index_process is not None
    number = writer._index_process.pid
    assert number is not None
    return number


def has_exited(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_process_indexes_new_rows_and_exits_with_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "store"
    writer = open_indexed(path)
    add(writer, 0, 120)
    wait_for("the index", lambda: is_indexed(path, "n00117"))
    add(writer, 120, 10)
    wait_for("the index", lambda: is_indexed(path, "n00125"))
    reader = open_reader(path)
    assert [task.uuid for task in reader.task_page(Query(parse_search("N00125")), limit=5).tasks] == [uuid_of(125)]
    reader.close()
    number = process_id(writer)
    writer.close()
    assert has_exited(number)


def test_a_killed_process_is_restarted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store"
    writer = open_indexed(path)
    number = process_id(writer)
    os.kill(number, signal.SIGKILL)
    add(writer, 0, 60)

    def maintain_and_check() -> bool:
        writer.maintain()
        return is_indexed(path, "n00042")

    wait_for("the index", maintain_and_check)
    assert process_id(writer) != number
    assert "restarting" in caplog.text
    writer.close()


def wait_for_idle_exit(writer: SqliteWriter) -> None:
    def has_no_process() -> bool:
        writer.maintain()
        return writer._index_process is not None and writer._index_process.pid is None

    wait_for("the exit of the process", has_no_process)


def test_a_process_without_work_exits_and_is_restarted_when_tasks_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1.0)
    path = tmp_path / "store"
    writer = open_indexed(path)
    add(writer, 0, 3)
    writer.finish_maintenance()  # which counts as a change
    wait_for("the index", lambda: is_indexed(path, "n00002"))
    wait_for_idle_exit(writer)
    writer.write(Batch(workers=[Worker("celery@w1")]))
    writer.maintain()
    assert writer._index_process is not None
    assert writer._index_process.pid is None

    add(writer, 3, 3)
    writer.maintain()
    process_id(writer)
    wait_for("the index", lambda: is_indexed(path, "n00005"))
    assert "restarting" not in caplog.text
    writer.close()


def test_a_process_without_work_is_restarted_when_the_index_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 1.0)
    path = tmp_path / "store"
    writer = open_indexed(path)
    add(writer, 0, 3)
    writer.finish_maintenance()  # which counts as a change
    wait_for("the index", lambda: is_indexed(path, "n00002"))
    wait_for_idle_exit(writer)
    shutil.rmtree(path / "text")
    writer.maintain()
    wait_for("the index", lambda: is_indexed(path, "n00002"))
    writer.close()


def test_the_process_does_not_exit_before_delayed_rows_are_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of an unfinished task is indexed later, without another change."""
    monkeypatch.setattr(process, "IDLE_TIMEOUT", 0.1)
    writer = open_indexed(tmp_path / "store")
    writer.write(Batch(new=[make(0, state="STARTED", kwargs="{'order': 'N00000'}", timestamp=time.time())]))
    number = process_id(writer)
    time.sleep(3)
    writer.maintain()
    assert process_id(writer) == number
    writer.close()


WRITE = """
import sys, time
from flower.store.factory import open_writer
writer = open_writer(sys.argv[1], index_process=True)
print(writer._index_process.pid, flush=True)
time.sleep(600)
"""


def test_the_process_exits_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        number = int(killed.stdout.readline())
        killed.kill()
    writer = open_indexed(path)
    add(writer, 0, 60)
    wait_for("the index", lambda: is_indexed(path, "n00042"))
    wait_for("the exit of the first process", lambda: has_exited(number))
    writer.close()


def test_a_module_named_flower_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flower.py").write_text("raise SystemExit('wrong module')")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "store"
    writer = open_indexed(path)
    add(writer, 0, 3)
    wait_for("the index", lambda: is_indexed(path, "n00002"))
    writer.close()
    assert StoreDirectory(path).verify()
