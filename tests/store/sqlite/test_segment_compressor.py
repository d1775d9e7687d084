"""Compression of full segments: what is compressed and when, late changes, interruption at every step, and readers
meanwhile."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from flower.records import Task
from flower.search.parser import parse_search
from flower.store.protocols import Batch, Query, Retention, Sort, TaskChange
from flower.store.sqlite import segment_compressor
from flower.store.sqlite.backup import create_backup, restore_backup
from flower.store.sqlite.check.store_check import check_store
from flower.store.sqlite.connection import open_for_reading
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.file_header import is_compressed_file
from flower.store.sqlite.snapshot import open_snapshot
from tests.helpers.disk_store import SEGMENT, reading, script_environment, writing
from tests.helpers.store_contents import describe_store
from tests.helpers.stores import compressing_small_segments
from tests.helpers.task_factory import make, uuid_of

COUNT = 4 * SEGMENT + 10


@pytest.fixture(autouse=True)
def small_segments() -> Iterator[None]:
    with compressing_small_segments():
        yield


def compress(writer: Any) -> None:
    """Complete all maintenance."""
    while writer._segments.maintain(quiet=0.0):
        pass


def sample_tasks() -> list[Task]:
    return [make(number, args=f"({number}, 'ORD-{number}') " + "x" * 300) for number in range(COUNT)]


@pytest.fixture
def tasks(path: Path) -> list[Task]:
    """The tasks of a store with four compressed segments."""
    written = sample_tasks()
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=written))
        compress(writer)
    assert compressed_numbers(path) == [1, 2, 3, 4]
    return written


def compressed_numbers(path: Path) -> list[int]:
    return [int(file.name[4:10]) for file in sorted(path.glob("seg-*.db")) if is_compressed_file(file)]


def change_late(writer: Any, number: int, result: str = "'late'") -> Task:
    stored = writer.load([uuid_of(number)])[uuid_of(number)]
    after = replace(stored.task, result=result)
    writer.write(Batch(changed=[TaskChange(stored.key, stored.task, after)]))
    return after


def assert_contains(path: Path, tasks: list[Task]) -> None:
    with reading(path) as reader:
        assert {task.uuid: task for task in reader.tasks(Query(sort=()))} == {task.uuid: task for task in tasks}
        assert reader.count_until_deadline().partial is None
    assert not list(path.glob("*.new*"))


def test_compressed_store_answers_as_the_plain_one(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    with writing(plain, text_index=False) as writer:
        writer.write(Batch(new=sample_tasks()))
        while writer._segments.maintain(quiet=1e-9):  # type: ignore[attr-defined]  # everything but the compression
            pass
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=sample_tasks()))
        compress(writer)
    assert (compressed_numbers(plain), compressed_numbers(path)) == ([], [1, 2, 3, 4])
    found, expected = describe_store(path), describe_store(plain)
    for answers in (found, expected):
        # sizes and times
        answers["reader"].pop("status")
        answers["reader"].pop("changes")
        answers["ledger"].pop("secrets", None)
    assert found == expected


def test_directory_may_be_a_symbolic_link(path: Path, tasks: list[Task], tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path, target_is_directory=True)
    assert_contains(link, tasks)


def test_only_full_segments_that_have_not_changed_are_compressed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=sample_tasks()))
        while writer.maintain():
            pass
        assert compressed_numbers(path) == []
        monkeypatch.setattr(segment_compressor, "COMPRESSION_DELAY", 0.0)
        change_late(writer, 60)
        while writer._segments.maintain(quiet=1e-9):  # type: ignore[attr-defined]
            pass
        # the others are compressed ten minutes after they were full
        assert compressed_numbers(path) == [2]


def test_small_files_are_not_compressed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_compressor, "MIN_FILE_BYTES", 1 << 20)
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=sample_tasks()))
        compress(writer)
    assert compressed_numbers(path) == []


def test_segments_of_an_existing_store_are_compressed_after_a_start(path: Path) -> None:
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=sample_tasks()))
    with writing(path, text_index=False) as writer:
        while writer._segments.maintain(quiet=1e-9):  # type: ignore[attr-defined]
            pass
    assert compressed_numbers(path) == [1, 2, 3, 4]
    assert_contains(path, sample_tasks())


def test_late_change_makes_the_segment_plain_and_it_is_compressed_again(path: Path, tasks: list[Task]) -> None:
    with writing(path, text_index=False) as writer, reading(path) as reader:
        assert reader.task(uuid_of(60)) == tasks[60]
        before = reader.count(parse_search("result:late"))
        tasks[60] = change_late(writer, 60)
        assert compressed_numbers(path) == [1, 3, 4]
        assert reader.task(uuid_of(60)) == tasks[60]
        assert (before, reader.count(parse_search("result:late"))) == (0, 1)
        compress(writer)
        assert compressed_numbers(path) == [1, 2, 3, 4]
        assert reader.task(uuid_of(60)) == tasks[60]
        assert reader.count(parse_search("result:late")) == 1
        assert not list(path.glob("seg-000002.db-*"))
    assert_contains(path, tasks)
    assert check_store(path).errors == 0


def test_change_during_the_compression_is_not_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_compressor, "_STEP", 0.0)
    tasks = sample_tasks()
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=tasks))
        for step in range(60):
            if not writer._segments.maintain(quiet=0.0):  # type: ignore[attr-defined]
                break
            number = step % (4 * SEGMENT)
            tasks[number] = change_late(writer, number, f"'late {step}'")
            # opens segments, as ids that the Bloom filters do not exclude
            writer.load([uuid_of(each) for each in range(0, COUNT, 7)])
        compress(writer)
    assert compressed_numbers(path) == [1, 2, 3, 4]
    assert_contains(path, tasks)


def test_failed_compression_leaves_the_plain_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=sample_tasks()))
        with monkeypatch.context() as patched:
            patched.setattr("flower.store.sqlite.compression.file_conversion.os.fsync", fail)
            compress(writer)
        assert compressed_numbers(path) == []
    assert_contains(path, sample_tasks())


def test_late_change_without_disk_space_is_rejected_and_repeated(
    path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with writing(path, text_index=False) as writer:
        with monkeypatch.context() as patched:
            patched.setattr("flower.store.sqlite.compression.file_conversion.os.fsync", fail)
            with pytest.raises(OSError, match="Disk full"):
                change_late(writer, 60)
        assert compressed_numbers(path) == [1, 2, 3, 4]
        assert writer.load([uuid_of(60)])[uuid_of(60)].task == tasks[60]
        tasks[60] = change_late(writer, 60)
    assert_contains(path, tasks)


def test_reader_of_the_file_before_continues_with_its_rows(path: Path) -> None:
    tasks = sample_tasks()
    file = StoreDirectory(path).segment_path(2)
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=tasks))
        plain = open_for_reading(file)
        select = "SELECT count(*), sum(length(args)), count(result) FROM task"
        expected = plain.execute(select).fetchall()
        compress(writer)
        assert compressed_numbers(path) == [1, 2, 3, 4]
        compressed = open_for_reading(file)
        change_late(writer, 60, "x" * 5_000)
        for connection in (plain, compressed):
            assert connection.execute(select).fetchall() == expected
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()


def test_snapshot_that_is_repeated_reads_the_file_that_has_the_name(path: Path, tasks: list[Task]) -> None:
    with writing(path, text_index=False) as writer, open_snapshot(StoreDirectory(path)) as snapshot:
        sequence = snapshot.sequence
        change_late(writer, 60)
        assert snapshot.infos[2].sequence <= sequence
        snapshot.begin()
        assert snapshot.infos[2].sequence == snapshot.sequence > sequence


def test_backup_of_compressed_segments(path: Path, tasks: list[Task], tmp_path: Path) -> None:
    create_backup(path, tmp_path / "backup", version="test", report=lambda done, total: None)
    restore_backup(tmp_path / "backup", tmp_path / "restored", new_identity=False, report=lambda done, total: None)
    assert_contains(tmp_path / "restored", tasks)
    assert check_store(tmp_path / "restored").errors == 0


def test_intact_store_with_compressed_segments_has_no_findings(path: Path, tasks: list[Task]) -> None:
    before = {file: file.read_bytes() for file in path.glob("seg-*.db")}
    result = check_store(path)
    assert (result.findings, result.tasks) == ((), COUNT)
    assert {file: file.read_bytes() for file in path.glob("seg-*.db")} == before


def test_check_finds_a_damaged_block(path: Path, tasks: list[Task]) -> None:
    file = path / "seg-000002.db"
    with file.open("r+b") as content:
        content.seek(file.stat().st_size // 2)
        content.write(b"\xff" * 8)
    assert "seg-000002.db" in {finding.file for finding in check_store(path).findings if finding.severity == "error"}


@pytest.mark.parametrize("position", ["beginning", "block", "end"])
def test_damage_loses_only_the_rows_of_its_block(path: Path, position: str) -> None:
    tasks = [make(number, args="".join(map(str, random.Random(number).randbytes(700)))) for number in range(COUNT)]
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=tasks))
        compress(writer)
    file = path / "seg-000002.db"
    place = {"beginning": 0, "block": file.stat().st_size * 2 // 3, "end": file.stat().st_size - 4}[position]
    with file.open("r+b") as content:
        content.seek(place)
        content.write(b"\xff" * 4)
    with reading(path) as reader:
        read = {task.uuid for task in reader.tasks(Query(sort=()))}
        assert {task.uuid for task in tasks[:SEGMENT]} <= read
    with writing(path, text_index=False) as writer:
        writer.maintain()
        with reading(path) as reader:
            found = {task.uuid: task for task in reader.tasks(Query(sort=()))}
            partial = reader.count_until_deadline().partial
    assert all(task == found[task.uuid] for task in tasks if task.uuid in found)
    assert (len(found) < COUNT) == (position == "block") == (partial is not None)
    assert len(found) > COUNT - SEGMENT


def test_retention_by_size_counts_compressed_files(path: Path, tasks: list[Task]) -> None:
    sizes = sum(file.stat().st_size for file in path.iterdir() if file.suffix in (".db", ".cols"))
    with writing(path, text_index=False) as writer:
        assert writer.prune(Retention(max_bytes=sizes), now=0.0) == 0
        assert writer.prune(Retention(max_bytes=sizes // 2), now=0.0) == SEGMENT
        assert compressed_numbers(path) == [2, 3, 4]


def test_retention_deletes_rows_of_a_compressed_segment(path: Path) -> None:
    with writing(path, text_index=False) as writer:
        writer.write(Batch(new=sample_tasks()[: SEGMENT + 10]))
        compress(writer)
        assert compressed_numbers(path) == [1]
        assert writer.prune(Retention(max_tasks=SEGMENT), now=0.0) == 10
        assert compressed_numbers(path) == []
    assert_contains(path, sample_tasks()[10 : SEGMENT + 10])


# --- interruption

#: Ends the process at call number `stop` of the functions that change files, before or after it.
INTERRUPT = """
import os, signal, sys
from pathlib import Path
from flower.store.sqlite import segment_compressor
from flower.store.sqlite.writer import SqliteWriter
from flower.store.sqlite.directory import StoreDirectory
from tests.store.sqlite.test_segment_compressor import change_late, compress
path, stop, is_after, is_late = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "after", sys.argv[4] == "late"
segment_compressor.MIN_FILE_BYTES = 0
calls = 0

def interrupt(function):
    def run(*arguments, **options):
        global calls
        calls += 1
        if calls == stop and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        if calls == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return run

writer = SqliteWriter(StoreDirectory(path), segment_tasks=50, text_index=False)
os.fsync, os.utime, Path.rename, Path.unlink = map(interrupt, (os.fsync, os.utime, Path.rename, Path.unlink))
if is_late:
    change_late(writer, 60)
else:
    compress(writer)
print("complete", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ["compress", "late"])
def test_process_that_is_killed_at_any_step_loses_nothing(tmp_path: Path, action: str, when: str) -> None:
    tasks = sample_tasks()[: 2 * SEGMENT + 10]
    base = tmp_path / "base"
    with writing(base, text_index=False) as writer:
        writer.write(Batch(new=tasks))
        if action == "late":
            compress(writer)
    late = replace(tasks[60], result="'late'")
    states: set[tuple[int, ...]] = set()
    for stop in range(1, 100):
        path = tmp_path / str(stop)
        subprocess.run(["cp", "-r", str(base), str(path)], check=True)
        run = subprocess.run(
            [sys.executable, "-c", INTERRUPT, str(path), str(stop), when, action],
            capture_output=True, text=True, check=False, env=script_environment(),
        )  # fmt: skip
        assert run.returncode == -signal.SIGKILL, run.stderr
        states.add(tuple(compressed_numbers(path)))
        with reading(path) as reader:
            found = {task.uuid: task for task in reader.tasks(Query(sort=()))}
            assert found.pop(uuid_of(60)) in (tasks[60], late)
            assert found == {task.uuid: task for task in tasks if task.uuid != uuid_of(60)}
            assert reader.count_until_deadline().partial is None
        with writing(path, text_index=False) as writer:
            tasks_now = list(tasks)
            tasks_now[60] = change_late(writer, 60, "'again'")
            compress(writer)
        assert compressed_numbers(path) == [1, 2]
        assert_contains(path, tasks_now)
        assert check_store(path).errors == 0
        if "complete" in run.stdout:
            break
    assert stop > 5
    assert len(states) > 1


# --- readers meanwhile

WRITE = """
import sys
from flower.store.sqlite import segment_compressor
from flower.store.sqlite.writer import SqliteWriter
from flower.store.sqlite.directory import StoreDirectory
from tests.store.sqlite.test_segment_compressor import change_late, compress
segment_compressor.MIN_FILE_BYTES = 0
writer = SqliteWriter(StoreDirectory(sys.argv[1]), segment_tasks=50, text_index=False)
for step in range(10**6):
    for number in (step % 200, (step * 7 + 50) % 200):
        change_late(writer, number, f"'{step}'")
    print(step, flush=True)
    compress(writer)
"""


def test_readers_while_segments_are_compressed_and_changed(path: Path, tasks: list[Task]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True, env=script_environment()
    )
    wrong: list[BaseException] = []
    uuids = {task.uuid for task in tasks}
    is_over = threading.Event()

    def read(seed: int) -> None:
        chance = random.Random(seed)
        try:
            with reading(path) as reader:
                while not is_over.is_set():
                    number = chance.randrange(COUNT)
                    task = reader.task(uuid_of(number))
                    assert task is not None
                    assert replace(task, result=tasks[number].result) == tasks[number]
                    assert {each.uuid for each in reader.tasks(Query(sort=(Sort("runtime"),)))} == uuids
                    assert reader.count(parse_search("ORD-17")) == 11
                    assert reader.count_until_deadline().partial is None
        except BaseException as error:  # noqa: BLE001 (raised in the thread of the test)
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    try:
        for thread in threads:
            thread.start()
        assert process.stdout is not None
        deadline = time.monotonic() + 60
        for line in process.stdout:
            step = int(line)
            with reading(path) as reader:
                # a write is visible as soon as it has ended
                assert (found := reader.task(uuid_of(step % 200))) is not None
                assert int(found.result.strip("'")) >= step if found.result else False
            if step >= 30 or wrong or time.monotonic() > deadline:
                break
    finally:
        is_over.set()
        process.kill()
        process.communicate()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert step >= 3
    assert not (path / "damaged").exists()
