"""Retention in the store on disk: whole segments are deleted, and unfinished tasks are moved."""

from pathlib import Path

import msgspec

from flower.records import Worker
from flower.search.tree import Term
from flower.store.factory import open_reader
from flower.store.protocols import Batch, Query, Retention, TaskChange
from tests.helpers.disk_store import SEGMENT, fill, uuids, writing
from tests.helpers.task_factory import make, uuid_of


def test_segments_are_removed_and_unfinished_tasks_moved(path: Path) -> None:
    tasks = [make(n, state="STARTED" if n % 25 == 3 else "SUCCESS") for n in range(400)]
    with writing(path) as writer:
        writer.write(Batch(new=tasks))
        reader = open_reader(path)
        stale = writer.load([tasks[3].uuid])[tasks[3].uuid]
        while writer.prune(Retention(max_tasks=150), 0.0):
            pass
        assert 150 <= reader.count() <= 150 + SEGMENT
        assert not (path / "seg-000001.db").exists()
        assert reader.count(Term("state", "is", "started")) == 16
        found = [task.uuid for task in reader.tasks(Query())]
        assert len(found) == len(set(found)) == reader.count()
        # the recorder still has the previous key
        after = msgspec.structs.replace(stale.task, state="FAILURE")
        writer.write(Batch(changed=[TaskChange(stale.key or 0, stale.task, after)]))
        assert reader.task(after.uuid) == after
        assert len([task.uuid for task in reader.tasks(Query())]) == len(found)
        reader.close()


def test_retention_by_size(path: Path) -> None:
    with writing(path, 200) as writer:
        reader = open_reader(path)
        for number in range(0, 2000, 200):
            writer.write(Batch(new=[make(n, args="x" * 500) for n in range(number, number + 200)]))
        before = reader.count()
        while writer.prune(Retention(max_bytes=1_000_000), 0.0):
            pass
        assert 0 < reader.count() < before
        assert reader.task(uuid_of(1999)) is not None
        assert reader.task(uuid_of(0)) is None
        reader.close()
    assert sum(file.stat().st_size for file in path.glob("seg-*.db")) < 1_300_000


def test_interrupted_move_does_not_duplicate_rows(path: Path) -> None:
    fill(path, 120)
    tasks = uuids(path)
    kept = (path / "seg-000001.db").read_bytes()
    with writing(path) as writer:
        writer.write(Batch(changed=[], workers=[Worker("w")]))
        while writer.prune(Retention(max_age=1.0), 1052.5):
            pass
    (path / "seg-000001.db").write_bytes(kept)
    with writing(path) as writer:
        assert len(writer.load(tasks)) == len(uuids(path))


def test_change_log_is_bounded(path: Path) -> None:
    with writing(path) as writer:
        reader = open_reader(path)
        for number in range(1100):
            writer.write(Batch(workers=[Worker("w", pid=number)]))
        assert reader.changes(0).complete is False
        assert reader.changes(200).complete
        assert reader.changes(0).sequence == 1100
        reader.close()
