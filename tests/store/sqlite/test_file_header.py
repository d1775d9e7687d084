"""Tests of the check that no page is missing at the end of a database."""

import os
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query
from flower.store.sqlite.file_header import read_file_header, require_complete_file
from tests.helpers.task_factory import make, uuid_of

PAGE = 4096


def create_file_in_use(path: Path) -> apsw.Connection:
    """A database with some pages in the file, and more in its write-ahead log."""
    connection = apsw.Connection(str(path))
    insert = "INSERT INTO item SELECT zeroblob(3000) FROM json_each('[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0]')"
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA wal_autocheckpoint=0",
        "CREATE TABLE item(value)",
        insert,
        "PRAGMA wal_checkpoint(TRUNCATE)",
        insert,
    ):
        connection.execute(statement).fetchall()
    return connection


def test_pages_in_the_write_ahead_log_are_not_missing(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    connection = create_file_in_use(path)
    require_complete_file(path)
    os.truncate(path, path.stat().st_size - 2 * PAGE)
    with pytest.raises(apsw.CorruptError, match="shorter"):
        require_complete_file(path)
    connection.close()


def test_an_interrupted_checkpoint_is_not_damage(tmp_path: Path) -> None:
    path, copy = tmp_path / "file.db", tmp_path / "copy.db"
    connection = create_file_in_use(path)
    shutil.copy(path, copy)
    log = tmp_path / "copy.db-wal"
    shutil.copy(f"{path}-wal", log)
    connection.execute("PRAGMA wal_checkpoint").fetchall()
    # a checkpoint writes the first page first
    with path.open("rb") as complete, copy.open("r+b") as interrupted:
        interrupted.write(complete.read(PAGE))
    assert copy.stat().st_size < read_file_header(copy).pages * PAGE
    require_complete_file(copy)
    connection.close()
    recovered = apsw.Connection(str(copy))
    assert recovered.execute("SELECT count(*) FROM item").fetchone() == (40,)
    recovered.close(force=True)


def test_uncommitted_pages_of_the_log_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    connection = create_file_in_use(path)
    copy, log = tmp_path / "copy.db", tmp_path / "copy.db-wal"
    connection.execute("PRAGMA wal_checkpoint").fetchall()
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", log)
    connection.close()
    os.truncate(copy, 25 * PAGE)
    require_complete_file(copy)
    os.truncate(log, log.stat().st_size - 1)  # the last frame commits
    with pytest.raises(apsw.CorruptError):
        require_complete_file(copy)


def test_reader_finds_out_that_a_file_was_cut_off(path: Path) -> None:
    """Half a page is missing: SQLite reads zeros in place of it, also in a new connection."""
    writer = open_writer(path, segment_tasks=50, text_index=False)
    writer.write(Batch(new=[make(number, args="x" * 600) for number in range(120)]))
    reader = open_reader(path)
    assert len(list(reader.tasks(Query()))) == 120
    file = path / "seg-000001.db"
    os.truncate(file, file.stat().st_size - PAGE // 2)
    for each in (reader, open_reader(path)):
        found = [task.uuid for task in each.tasks(Query())]
        assert set(found) <= {uuid_of(number) for number in range(120)}
        assert len(set(found)) == len(found) < 120
        assert each.count_until_deadline().partial is not None
        assert each.status().damaged == ("seg-000001.db",)
    writer.maintain()
    assert 110 < len(list(reader.tasks(Query()))) < 120
    writer.close()


@pytest.mark.parametrize("step", ["write", "close"])
def test_writer_does_not_write_to_a_file_that_was_cut_off(path: Path, step: str) -> None:
    """A checkpoint would make the file as long as before, with zeros in place of the missing pages."""
    writer = open_writer(path, segment_tasks=500, text_index=False)
    writer.write(Batch(new=[make(number, args="x" * 600) for number in range(100)]))
    writer.close()
    writer = open_writer(path, segment_tasks=500, text_index=False)
    writer.write(Batch(new=[make(number, args="x" * 600) for number in range(100, 120)]))
    file = path / "seg-000001.db"
    os.truncate(file, file.stat().st_size // 2)
    if step == "write":
        writer.write(Batch(new=[make(200)]))
        assert writer.load([uuid_of(200)])
    writer.close()
    writer = open_writer(path, segment_tasks=500, text_index=False)
    with closing(open_reader(path)) as reader:
        tasks = [task.uuid for task in reader.tasks(Query())]
        # the rows in the file's second half are lost, and those in the log are not
        assert {uuid_of(number) for number in range(105, 120)} <= set(tasks)
        assert 50 < len(tasks) < 120
        assert all("unreadable" not in (task.data or {}) for task in reader.tasks(Query()))
        assert reader.count_until_deadline().partial is not None
    writer.close()


def test_row_without_an_id_is_not_returned_and_is_reported(path: Path) -> None:
    writer = open_writer(path, segment_tasks=50, text_index=False)
    writer.write(Batch(new=[make(number) for number in range(40)]))
    writer.close()
    db = apsw.Connection(str(path / "seg-000001.db"))
    (schema,) = db.execute("SELECT sql FROM sqlite_schema WHERE name='task'").fetchall()[0]
    db.execute("PRAGMA writable_schema=ON")
    db.execute("UPDATE sqlite_schema SET sql=? WHERE name='task'", (str(schema).replace(" NOT NULL", ""),))
    db.close()
    db = apsw.Connection(str(path / "seg-000001.db"))
    db.execute("UPDATE task SET uuid=NULL WHERE id IN (3, 4)")
    db.close()
    reader = open_reader(path)
    assert len(list(reader.tasks(Query()))) == 38
    assert reader.count_until_deadline().partial is not None
    reader.close()
