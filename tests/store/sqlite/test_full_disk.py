"""Writes to a full disk: a batch is written completely, or not at all."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from flower.errors import StoreFull
from flower.records import Task
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Retention, TaskChange
from tests.helpers.disk_store import SEGMENT, mounted, script_environment, uuids, writing
from tests.helpers.task_factory import make


def eat_all_room(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_full_disk(tmp_path: Path) -> None:
    """A batch that does not fit is invisible, and succeeds when there is space again. The status can be written all the
    time."""
    disk = tmp_path / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=4m", "none"):
        path = disk / "data"
        writer, reader = open_writer(path, segment_tasks=SEGMENT), open_reader(path)
        written: list[Task] = []
        refused = 0
        ballast = disk / "ballast"
        try:
            for number in range(0, 400, 20):
                batch = [make(n, args="x" * 3000) for n in range(number, number + 20)]
                before = reader.changes(0).sequence
                changes = [
                    TaskChange(stored.key or 0, stored.task, msgspec.structs.replace(stored.task, result="y" * 2000))
                    for stored in writer.load([task.uuid for task in written[:: max(1, len(written) // 8)]]).values()
                ]
                batch_to_write = Batch(new=batch, changed=changes)
                if number % 60 == 0:
                    eat_all_room(ballast)
                try:
                    writer.write(batch_to_write)
                except StoreFull:
                    refused += 1
                    writer.set_status({"state": "the disk is full"})
                    assert reader.recorder_status() == {"state": "the disk is full"}
                    assert reader.changes(0).sequence == before
                    ballast.unlink(missing_ok=True)
                    while True:
                        try:
                            writer.write(batch_to_write)
                            break
                        except StoreFull:
                            # really full: remove tasks, as retention does
                            assert writer.prune(Retention(max_tasks=max(0, reader.count() - 50)), 0.0)
                written += batch
                for change in changes:
                    found = reader.task(change.after.uuid)
                    assert found is None or found == change.after
            assert refused >= 3
            newest = {task.uuid for task in written[-20:]}
            assert newest <= {task.uuid for task in reader.tasks(Query())}
            everything = [task.uuid for task in reader.tasks(Query())]
            assert len(everything) == len(set(everything)) == reader.count()
        finally:
            reader.close()
            writer.close()
        with writing(path) as again:
            assert newest <= set(again.load(newest))


FULL = """
import resource, sys
from tests.helpers.task_factory import make
from flower.errors import StoreFull
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = sys.argv[1]
writer, reader = open_writer(path, segment_tasks=50), open_reader(path)
writer.write(Batch(new=[make(n) for n in range(70)]))
before = set(task.uuid for task in reader.tasks(Query()))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
batch_to_write = Batch(new=[make(n, args="x" * 9000) for n in range(100, 260)])
for _ in range(2):
    try:
        writer.write(batch_to_write)
        sys.exit("it fitted")
    except StoreFull:
        pass
    assert set(task.uuid for task in reader.tasks(Query())) == before
    assert reader.count() == 70 and reader.changes(0).sequence == 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert len(writer.write(batch_to_write)) == 160
assert reader.count() == 230 and len(set(t.uuid for t in reader.tasks(Query()))) == 230
assert reader.changes(0).sequence == 2
"""


def test_disk_full_in_the_middle_of_a_batch(path: Path) -> None:
    """The size of files is limited: the batch fails after some of its segments were committed."""
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], env=script_environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert len(uuids(path)) == 230


def test_long_status_is_shortened_to_valid_json(path: Path) -> None:
    with writing(path) as writer:
        writer.set_status({"short": 1, "long": "x" * 10_000})
        assert open_reader(path).recorder_status() == {"short": 1}
        assert (path / "recorder.status").stat().st_size == 4096
        json.loads((path / "recorder.status").read_bytes())
