"""Tests of the recovery of damaged segments, with real files."""

import os
import sqlite3
from pathlib import Path

import pytest

from flower.records import Task
from flower.store.protocols import Batch, Query
from tests.helpers.disk_store import reading, writing
from tests.helpers.task_factory import make

PAGE = 4096
COUNT = 600
#: one row in a leaf page, so that the table has inner pages; the row of every 50th task continues on other pages
TASKS = [make(number, args="x" * (9_000 if number % 50 == 0 else 2_500), name=f"app.task{number % 30}")
         for number in range(COUNT)]  # fmt: skip


@pytest.fixture
def segment(path: Path) -> Path:
    """The file of a full segment, whose table has pages on three levels."""
    with writing(path, COUNT, text_index=False) as writer:
        for place in range(0, COUNT, 100):
            writer.write(Batch(new=TASKS[place : place + 100]))
        writer.write(Batch(new=[make(COUNT)]))
    return path / "seg-000001.db"


def query(segment: Path, sql: str) -> list[tuple[int, ...]]:
    db = sqlite3.connect(segment)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def recovered_tasks(segment: Path) -> dict[str, Task]:
    """What a writer recovers, less the task of the next segment."""
    with writing(segment.parent), reading(segment.parent) as reader:
        tasks = {task.uuid: task for task in reader.tasks(Query())}
        # all are found by their id as well
        assert all(reader.task(uuid) == task for uuid, task in tasks.items())
        partial = reader.count_until_deadline().partial
        assert (partial is None) == (len(tasks) == COUNT + 1)
        if partial is not None:
            assert f"({COUNT + 1 - len(tasks)} tasks)" in partial
    assert (segment.parent / "damaged" / segment.name).exists()
    assert not list(segment.parent.glob("*.new*"))
    del tasks[make(COUNT).uuid]
    return tasks


def assert_equal_to_written(tasks: dict[str, Task]) -> None:
    assert tasks == {task.uuid: task for task in TASKS if task.uuid in tasks}


@pytest.mark.parametrize("percent", [10, 50, 90])
def test_rows_before_the_cut_are_recovered(segment: Path, percent: int) -> None:
    size = segment.stat().st_size * percent // 100
    last_page = size // PAGE
    leaves = query(
        segment, f"SELECT sum(ncell) FROM dbstat WHERE name='task' AND pagetype='leaf' AND pageno <= {last_page}"
    )
    continued = query(
        segment, f"SELECT count(*) FROM dbstat WHERE name='task' AND pagetype='overflow' AND pageno > {last_page}"
    )
    os.truncate(segment, size)
    tasks = recovered_tasks(segment)
    assert_equal_to_written(tasks)
    assert 0 < leaves[0][0] - continued[0][0] <= len(tasks) <= leaves[0][0]
    # the damaged file is moved as it was, with its incomplete page
    assert (segment.parent / "damaged" / segment.name).stat().st_size == size


def test_rows_below_a_damaged_inner_page_are_recovered(segment: Path) -> None:
    inner = query(segment, "SELECT pageno FROM dbstat WHERE name='task' AND pagetype='internal' AND path > '/'")
    with segment.open("r+b") as file:
        file.seek((inner[0][0] - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    with reading(segment.parent) as reader:
        assert len(list(reader.tasks(Query()))) < COUNT
    with writing(segment.parent) as writer:
        writer.maintain()
        with reading(segment.parent) as reader:
            assert_equal_to_written(
                {task.uuid: task for task in reader.tasks(Query()) if task.uuid != make(COUNT).uuid}
            )
            assert reader.count() == COUNT + 1


def test_rows_of_a_file_without_its_first_page_are_recovered(segment: Path) -> None:
    with segment.open("r+b") as file:
        file.write(b"\xff" * PAGE)
    tasks = recovered_tasks(segment)
    assert len(tasks) == COUNT
    assert_equal_to_written(tasks)


def test_nothing_is_recovered_from_a_file_without_leaf_pages(segment: Path) -> None:
    os.truncate(segment, PAGE + 100)
    assert recovered_tasks(segment) == {}


def test_deleted_rows_are_not_recovered(segment: Path) -> None:
    db = sqlite3.connect(segment)
    with db:
        db.execute("DELETE FROM task WHERE id BETWEEN 100 AND 300")
    db.close()
    free = query(segment, "PRAGMA freelist_count")[0][0]
    os.truncate(segment, segment.stat().st_size - 10 * PAGE)
    assert free > 50
    tasks = recovered_tasks(segment)
    assert_equal_to_written(tasks)
    assert not {task.uuid for task in TASKS[99:300]} & tasks.keys()
    assert len(tasks) > COUNT - 201 - 50
