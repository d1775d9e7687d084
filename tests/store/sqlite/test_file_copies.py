"""Copies of single files of a store are a store."""

import sqlite3
from pathlib import Path

from flower.store.protocols import Batch
from tests.helpers.disk_store import fill, uuids, writing
from tests.helpers.task_factory import make, uuid_of


def test_copied_segment_is_a_backup(path: Path, tmp_path: Path) -> None:
    tasks = fill(path, 120)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "seg-000002.db").write_bytes((path / "seg-000002.db").read_bytes())
    expected = {task.uuid for task in tasks[50:100]}
    assert uuids(copy) == expected
    with writing(copy) as writer:
        assert set(writer.load([task.uuid for task in tasks])) == expected
        writer.write(Batch(new=[make(7)]))
    assert len(uuids(copy)) == 51


def test_backup_during_writes(path: Path, tmp_path: Path) -> None:
    tasks = fill(path, 120)
    copy = tmp_path / "copy"
    copy.mkdir()
    with writing(path) as writer:
        for place, file in enumerate(sorted(path.glob("*.db"))):
            writer.write(Batch(new=[make(1000 + place)]))
            source, target = sqlite3.connect(file), sqlite3.connect(copy / file.name)
            source.backup(target)
            source.close()
            target.close()
    assert {task.uuid for task in tasks} <= uuids(copy)
    with writing(copy) as writer:
        writer.write(Batch(new=[make(2000)]))
        assert {task.uuid for task in tasks} | {uuid_of(2000)} <= uuids(copy)
