"""Tests of the store on disk: other writers, foreign files, damage, a full disk, kill -9."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from flower.errors import DeadlineExceeded, InvalidStore, StoreError, StoreFull, StoreInUse, StoreVersionMismatch
from flower.records import Task
from flower.search.tree import Not, Term
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query, Retention, Sort, TaskChange, Writer
from tests.helpers.paths import ROOT
from tests.helpers.task_factory import make, uuid_of

SEGMENT = 50


@contextmanager
def writing(path: Path, segment_tasks: int = SEGMENT) -> Iterator[Writer]:
    writer = open_writer(path, segment_tasks=segment_tasks)
    try:
        yield writer
    finally:
        writer.close()


def fill(path: Path, count: int) -> list[Task]:
    tasks = [make(number) for number in range(count)]
    with writing(path) as writer:
        for place in range(0, count, 30):
            writer.write(Batch(new=tasks[place : place + 30]))
    return tasks


def uuids(path: Path) -> set[str]:
    reader = open_reader(path)
    try:
        return {task.uuid for task in reader.tasks(Query(sort=()))}
    finally:
        reader.close()


def listing(path: Path) -> dict[str, bytes]:
    return {str(found.relative_to(path)): found.read_bytes() for found in path.rglob("*") if found.is_file()}


# --- opening


def test_reader_before_the_writer(path: Path) -> None:
    reader = open_reader(path)
    assert (reader.count(), reader.status().segments, reader.changes(0).sequence) == (0, 0, 0)
    fill(path, 120)
    assert (reader.count(), reader.status().segments) == (120, 3)
    assert len(list(reader.tasks(Query()))) == 120
    reader.close()


def test_second_writer_is_rejected(path: Path) -> None:
    with writing(path), pytest.raises(StoreInUse, match=rf"process {os.getpid()} on "):
        open_writer(path)
    with writing(path):
        pass


def test_file_is_not_a_store(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for opening in (open_writer, open_reader):
        with pytest.raises(InvalidStore, match="is a file"):
            opening(file)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "meta.db", "seg-000001.db", "writer.lock"])
def test_foreign_directory_is_rejected(path: Path, name: str) -> None:
    path.mkdir()
    (path / name).write_text("mine")
    before = listing(path)
    for opening in (open_writer, open_reader):
        with pytest.raises(InvalidStore, match="is not a store"):
            opening(path)
    assert listing(path) == before


def test_foreign_database_is_not_changed(path: Path) -> None:
    path.mkdir()
    with sqlite3.connect(path / "meta.db") as other:
        other.execute("CREATE TABLE theirs(x)")
    other.close()
    before = listing(path)
    with pytest.raises(InvalidStore):
        open_writer(path)
    assert listing(path) == before


@pytest.mark.parametrize(("version", "age"), [(99, "newer"), (0, "older")])
@pytest.mark.parametrize("name", ["meta.db", "seg-000001.db"])
def test_other_format_version_is_rejected(path: Path, name: str, version: int, age: str) -> None:
    fill(path, 60)
    with sqlite3.connect(path / name) as db:
        db.execute(f"PRAGMA user_version={version}")
    db.close()
    before = listing(path)
    for opening in (open_writer, open_reader):
        with pytest.raises(StoreVersionMismatch, match=age):
            opening(path)
    assert listing(path) == before


def test_empty_directory_is_accepted(path: Path) -> None:
    path.mkdir()
    assert len(fill(path, 10)) == len(uuids(path)) == 10


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    """A separate file system; requires root."""
    path.mkdir(exist_ok=True)
    made = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.fail(f"this test mounts a file system, so it must run as root: {made.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system that is read-only")
def test_read_only_disk(tmp_path: Path) -> None:
    kept, seen = tmp_path / "kept", tmp_path / "seen"
    tasks = fill(kept, 120)
    with mounted(seen, "--bind", str(kept)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(seen)], check=True)
        with pytest.raises(StoreError, match="is not writable"):
            open_writer(seen)
        assert uuids(seen) == {task.uuid for task in tasks}
    with pytest.raises(StoreError):
        open_writer(Path("/proc/nowhere"))


# --- damage


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
    if how in ("garbage", "empty"):
        # a reader detects the other damage when a query reads the missing part
        assert uuids(path) == left
    with writing(path) as writer:
        reader = open_reader(path)
        assert {task.uuid for task in reader.tasks(Query())} == left
        assert reader.status().damaged == ("seg-000002.db",)
        assert not reader.changes(1).complete
        assert set(writer.load([task.uuid for task in tasks])) == left
        writer.write(Batch(new=[make(900), tasks[60]]))
        assert reader.count() == 122
        reader.close()
    assert (path / "damaged" / "seg-000002.db").exists()
    assert not (path / "seg-000002.db").exists()
    assert len(uuids(path)) == 122


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


# --- a full disk


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
        [sys.executable, "-c", FULL, str(path)], env=environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert len(uuids(path)) == 230


# --- other processes


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


WRITE = """
import sys
from tests.helpers.task_factory import make
from flower.store.factory import open_writer
from flower.store.protocols import Batch, TaskChange
import msgspec
path, number = sys.argv[1], int(sys.argv[2])
writer = open_writer(path, segment_tasks=50)
print("ready", flush=True)
waiting = {}
while True:
    new = [make(n, state="STARTED") for n in range(number, number + 17)]
    changes = [TaskChange(key, task, msgspec.structs.replace(task, state="SUCCESS")) for key, task in waiting.values()]
    keys = writer.write(Batch(new=new, changed=changes))
    print(number, flush=True)
    waiting = {task.uuid: (key, task) for key, task in zip(keys, new)}
    number += 17
"""


def test_kill_9_loses_no_acknowledged_write(path: Path) -> None:
    chance = random.Random(7)
    number = 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, str(path), str(number)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        output, errors = process.communicate()
        assert not errors
        lines = [int(line) for line in output.split("\n")[:-1]]
        reader = open_reader(path)
        if lines:
            acknowledged = lines[-1] + 17
            for n in range(acknowledged):
                task = reader.task(uuid_of(n))
                assert task is not None
                if n < lines[-1] and n >= lines[0]:
                    assert task.state == "SUCCESS"
        before = reader.changes(0).sequence
        whole = [task.uuid for task in reader.tasks(Query(sort=(Sort("uuid"),)))]
        assert len(whole) == len(set(whole))
        with writing(path) as writer:
            # as the recorder does: continue with the first missing task
            number = next(n for n in range(10**6) if uuid_of(n) not in writer.load([uuid_of(n)]))
            assert reader.count() == len(list(reader.tasks(Query())))
            assert reader.changes(0).sequence >= before
        reader.close()
    assert number > 100


def test_reading_while_another_process_writes(path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path), "0"], stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdout is not None
        reader = open_reader(path)
        for line in process.stdout:
            if line == "ready\n":
                continue
            number = int(line)
            assert reader.task(uuid_of(number)) is not None
            assert reader.count() >= number + 17
            news = reader.changes(max(0, reader.status().sequence - 1))
            assert news.complete
            page = list(reader.tasks(Query(), limit=20))
            assert len({task.uuid for task in page}) == len(page) >= 17
            if number > 1000:
                break
        assert reader.status().segments > 15
        reader.close()
    finally:
        process.kill()
        process.communicate()


def test_readers_in_many_threads(path: Path) -> None:
    tasks = fill(path, 300)
    reader = open_reader(path)
    wrong: list[object] = []

    def read(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(30):
                task = chance.choice(tasks)
                assert reader.task(task.uuid) == task
                assert len(list(reader.tasks(Query(), limit=30, offset=chance.randrange(200)))) == 30
                assert reader.count(Not(Term("name", "contains", chance.choice(["mail", "order"])))) > 0
        except BaseException as error:  # noqa: BLE001 (re-raised in the thread of the test)
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader.close()
    assert wrong == []


def test_query_beyond_the_deadline_is_interrupted(path: Path) -> None:
    # without a text index, which would show at once that the text does not occur; non-ASCII, which is slow
    writer = open_writer(path, segment_tasks=20_000, text_index=False)
    writer.write(Batch(new=[make(n, args="ä" * 2000) for n in range(20_000)]))
    writer.close()
    reader = open_reader(path, time_limit=0.05)
    with pytest.raises(DeadlineExceeded, match="longer than"):
        reader.count(Term("", "contains", "nowhere to be found"))
    with pytest.raises(DeadlineExceeded):
        list(reader.tasks(Query(Term("args", "contains", "nowhere to be found"))))
    assert len(list(reader.tasks(Query(), limit=5))) == 5
    reader.close()


# --- retention on disk


def test_long_status_is_shortened_to_valid_json(path: Path) -> None:
    with writing(path) as writer:
        writer.set_status({"short": 1, "long": "x" * 10_000})
        assert open_reader(path).recorder_status() == {"short": 1}
        assert (path / "recorder.status").stat().st_size == 4096
        json.loads((path / "recorder.status").read_bytes())
