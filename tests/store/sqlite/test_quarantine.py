"""Damaged segments and meta.db are moved away, and the store continues with the other files."""

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from flower.store.factory import open_reader
from flower.store.protocols import Batch, Query, TaskChange
from tests.helpers.disk_store import fill, uuids, writing
from tests.helpers.task_factory import make, uuid_of


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    match how:
        case "garbage":
            file.write_bytes(random.Random(1).randbytes(len(content)))
        case "truncated":
            file.write_bytes(content[: len(content) // 2])
        case "empty":
            file.write_bytes(b"")
        case "no table":
            with sqlite3.connect(file) as db:
                db.execute("DROP TABLE info")
            db.close()
        case "pages":
            content[4096:] = random.Random(2).randbytes(len(content) - 4096)
            file.write_bytes(content)


@pytest.mark.parametrize("how", ["garbage", "truncated", "empty", "no table", "pages"])
def test_damaged_segment_is_quarantined(path: Path, how: str) -> None:
    tasks = fill(path, 170)
    damage(path / "seg-000002.db", how)
    left = {task.uuid for number, task in enumerate(tasks) if not 50 <= number < 100}
    if how == "no table":
        left = {task.uuid for task in tasks}  # the rows are recovered
    if how in ("garbage", "empty"):
        # a reader detects the other damage when a query reads the missing part
        assert uuids(path) == left
    with writing(path) as writer:
        reader = open_reader(path)
        assert {task.uuid for task in reader.tasks(Query())} == left
        assert reader.status().damaged == ("seg-000002.db",)
        assert not reader.changes(1).complete
        assert set(writer.load([task.uuid for task in tasks])) == left
        writer.write(Batch(new=[make(900)]))
        expected = left | {uuid_of(900)}
        assert reader.count() == len(expected)
        reader.close()
    assert (path / "damaged" / "seg-000002.db").exists()
    assert (path / "seg-000002.db").exists() == (len(left) > 120)
    assert uuids(path) == expected


@pytest.mark.parametrize("number", [2, 4])
def test_damage_during_operation(path: Path, number: int) -> None:
    """The active segment, and a sealed one."""
    tasks = fill(path, 170)
    file = path / f"seg-{number:06d}.db"
    with writing(path) as writer:
        reader = open_reader(path)
        subprocess.run([sys.executable, "-c", SCRAMBLE, str(file)], check=True)
        assert len(list(reader.tasks(Query()))) in (120, 150, 170)
        first = (number - 1) * 50
        known = tasks[first + 3]
        found = writer.load([known.uuid])
        stored = found[known.uuid].key if known.uuid in found else first + 4
        after = msgspec.structs.replace(known, result="'changed'", runtime=9.0)
        writer.write(Batch(new=[make(901)], changed=[TaskChange(stored or 0, known, after)]))
        assert writer.load([after.uuid])[after.uuid].task == after
        reader.close()
    left = uuids(path)
    assert {after.uuid, uuid_of(901)} <= left
    assert {task.uuid for place, task in enumerate(tasks) if not first <= place < first + 50} <= left


#: In a separate process: closing the file here would release SQLite's locks on it.
SCRAMBLE = """
import os, sys, random
with open(sys.argv[1], "r+b") as file:
    size = os.fstat(file.fileno()).st_size
    file.seek(4096)
    file.write(random.Random(3).randbytes(max(0, size - 4096)))
for name in (sys.argv[1] + "-wal",):
    if os.path.exists(name) and os.path.getsize(name):
        with open(name, "r+b") as log:
            log.write(random.Random(4).randbytes(os.path.getsize(name)))
"""


@pytest.mark.parametrize("how", ["garbage", "truncated", "empty", "no table", "gone"])
def test_meta_db_is_rebuilt_from_the_segments(path: Path, how: str) -> None:
    tasks = fill(path, 170)
    if how == "gone":
        (path / "meta.db").unlink()
    elif how == "no table":
        with sqlite3.connect(path / "meta.db") as db:
            db.execute("DROP TABLE segment")
        db.close()
    else:
        damage(path / "meta.db", how)
    expected = {task.uuid for task in tasks}
    assert uuids(path) == expected
    with writing(path) as writer:
        reader = open_reader(path)
        assert reader.changes(0).sequence > 6
        assert not reader.changes(3).complete
        writer.write(Batch(new=[make(500)]))
        assert reader.count() == 171
        reader.close()
    assert uuids(path) == expected | {uuid_of(500)}


def test_lost_bloom_filter_is_rebuilt(path: Path) -> None:
    tasks = fill(path, 120)
    with sqlite3.connect(path / "seg-000001.db") as db:
        db.execute("UPDATE info SET value=x'00' WHERE key='bloom'")
    db.close()
    reader = open_reader(path)
    assert reader.task(tasks[3].uuid) == tasks[3]
    reader.close()
    with writing(path) as writer:
        assert set(writer.load([task.uuid for task in tasks])) == {task.uuid for task in tasks}
