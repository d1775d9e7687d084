"""The text index in a process of its own: it follows the writer, and never outlives it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flower.search.parser import parse_search
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.text import TextReader
from flower.store.sqlite.writer import SqliteWriter
from tests.helpers.servers import wait_for
from tests.helpers.task_factory import make, uuid_of


def written(path: Path) -> SqliteWriter:
    writer = open_writer(path, segment_tasks=50, index_process=True)
    assert isinstance(writer, SqliteWriter)
    return writer


def add(writer: SqliteWriter, first: int, count: int) -> None:
    writer.write(
        Batch(new=[make(n, state="SUCCESS", kwargs=f"{{'order': 'N{n:05d}'}}") for n in range(first, first + count)])
    )


def indexed(path: Path, text: str) -> bool:
    reader = TextReader(path / "text")
    try:
        return len(reader.refresh().find_candidates([text.casefold()], limit=10).keys) == 1
    finally:
        reader.close()


def pid(writer: SqliteWriter) -> int:
    assert writer._index_process is not None
    found = writer._index_process.pid
    assert found is not None
    return found


def is_over(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_it_follows_the_writer_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    writer = written(path)
    add(writer, 0, 120)
    wait_for("the index", lambda: indexed(path, "n00117"))
    add(writer, 120, 10)
    wait_for("the index", lambda: indexed(path, "n00125"))
    reader = open_reader(path)
    assert [task.uuid for task in reader.task_page(Query(parse_search("N00125")), limit=5).tasks] == [uuid_of(125)]
    reader.close()
    number = pid(writer)
    writer.close()
    assert is_over(number)


def test_it_is_started_again_when_it_was_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "store"
    writer = written(path)
    number = pid(writer)
    os.kill(number, signal.SIGKILL)
    add(writer, 0, 60)

    def maintained() -> bool:
        writer.maintain()
        return indexed(path, "n00042")

    wait_for("the index", maintained)
    assert pid(writer) != number
    assert "is started again" in caplog.text
    writer.close()


WRITE = """
import sys, time
from flower.store.opening import open_writer
writer = open_writer(sys.argv[1], index_process=True)
print(writer._index_process.pid, flush=True)
time.sleep(600)
"""


def test_it_ends_when_the_writer_is_killed_and_the_next_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        number = int(killed.stdout.readline())
        killed.kill()
    writer = written(path)
    add(writer, 0, 60)
    wait_for("the index", lambda: indexed(path, "n00042"))
    wait_for("the end of the first", lambda: is_over(number))
    writer.close()


def test_a_module_of_the_same_name_beside_us_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flower.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "store"
    writer = written(path)
    add(writer, 0, 3)
    wait_for("the index", lambda: indexed(path, "n00002"))
    writer.close()
    assert StoreDirectory(path).verify()
