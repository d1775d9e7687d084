"""A write that was interrupted between the segments and meta.db is completed when the store is opened."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from flower.counters import TaskCounters
from flower.records import Gap, Worker
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, TaskChange
from tests.helpers.task_factory import make

#: Writes a batch and ends the process as SIGKILL does, at the moment at which meta.db is about to be written.
KILLED_WRITE = """
import os, pickle, sys
from flower.store.factory import open_writer
from flower.store.sqlite.segment_set import SegmentSet
writer = open_writer(sys.argv[1], segment_tasks=10)
SegmentSet.commit_meta = lambda *args, **options: os._exit(9)
writer.write(pickle.load(sys.stdin.buffer))
"""


def write_and_kill(path: Path, batch: Batch) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WRITE, str(path)], input=pickle.dumps(batch), check=False, capture_output=True
    )
    assert killed.returncode == 9, killed.stderr


def counters(count: int) -> TaskCounters:
    return TaskCounters("celery@a", "add", {"task-succeeded": (count, 1.5)})


@pytest.mark.parametrize("stored", [3, 25])
def test_counters_of_an_interrupted_write_agree_with_its_tasks(tmp_path: Path, stored: int) -> None:
    """With 25 tasks, the write changes several segments."""
    path = tmp_path / "store"
    tasks = [make(number) for number in range(stored)]
    writer = open_writer(path, segment_tasks=10)
    keys = writer.write(Batch(new=tasks, counters=[counters(1)], capture_progress=b"before"))
    writer.close()
    changes = [TaskChange(key, task, replace(task, result="new")) for key, task in zip(keys, tasks, strict=True)]
    gap = Gap(1.0, 2.0, "reason", "recorder_crashed")
    write_and_kill(
        path,
        Batch(
            new=[make(stored)],
            changed=changes,
            workers=[Worker("celery@a")],
            gaps=[gap],
            counters=[counters(2), replace(counters(5), task="other")],
            capture_progress=b"after",
        ),
    )
    writer = open_writer(path, segment_tasks=10)
    try:
        assert {task.result for _, task in writer.load([task.uuid for task in tasks]).values()} == {"new"}
        assert {each.task: each.events["task-succeeded"][0] for each in writer.counters()} == {"add": 2, "other": 5}
        assert writer.capture_progress() == b"after"
        assert list(writer.workers()) == ["celery@a"]
    finally:
        writer.close()
    reader = open_reader(path)
    try:
        assert reader.count() == stored + 1
        assert list(reader.gaps()) == [gap]
        assert not reader.changes(1).complete
    finally:
        reader.close()


def test_an_update_is_not_applied_again(tmp_path: Path) -> None:
    path = tmp_path / "store"
    write_and_kill(path, Batch(new=[make(1)], counters=[counters(1)]))
    writer = open_writer(path, segment_tasks=10)
    writer.write(Batch(counters=[counters(7)]))
    writer.close()
    for _ in range(2):
        writer = open_writer(path, segment_tasks=10)
        assert [each.events["task-succeeded"][0] for each in writer.counters()] == [7]
        writer.close()


def test_counters_of_parked_tasks_are_not_counted_without_them(tmp_path: Path) -> None:
    path = tmp_path / "store"
    write_and_kill(path, Batch(new=[make(1)], parked=[make(2)], counters=[counters(1)]))
    writer = open_writer(path, segment_tasks=10)
    try:
        assert list(writer.counters()) == []
        assert list(writer.parked_tasks()) == []
    finally:
        writer.close()
