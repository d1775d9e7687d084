"""Backup and restore: all parts, of one moment, while a writer runs; damaged, incomplete and unsuitable directories."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from flower.errors import InvalidRequest, InvalidStore, StoreError, StoreInUse, StoreVersionMismatch
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query
from flower.store.sqlite.backup import MANIFEST_FILE, BackupManifest, create_backup, read_manifest, restore_backup
from flower.store.sqlite.columns.column_file import ColumnFile
from flower.store.sqlite.directory import RESTORE_DIRECTORY
from flower.store.sqlite.store_format import STORE_FORMAT
from tests.helpers.paths import ROOT
from tests.helpers.store_contents import describe_store
from tests.helpers.task_factory import make
from tests.store.sqlite.format_1.create import extract_store


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return extract_store(tmp_path / "sample")


def back_up(source: Path, target: Path) -> BackupManifest:
    return create_backup(source, target, version="test", report=lambda done, total: None)


def restore(source: Path, target: Path, *, new_identity: bool = False) -> BackupManifest:
    return restore_backup(source, target, new_identity=new_identity, report=lambda done, total: None)


def test_restored_store_gives_the_same_answers(sample: Path, tmp_path: Path) -> None:
    expected = describe_store(sample)
    manifest = back_up(sample, tmp_path / "backup")
    assert (manifest.store_format, manifest.tasks, manifest.omitted) == (STORE_FORMAT, len(expected["tasks"]), {})
    before = time.time()
    assert restore(tmp_path / "backup", tmp_path / "restored") == manifest
    found = describe_store(tmp_path / "restored")
    # events are missing since the backup
    (gap,) = [gap for gap in found["reader"]["gaps"] if gap not in expected["reader"]["gaps"]]
    assert gap["start"] == manifest.created_at <= before <= gap["end"]
    assert gap["reason"] == "the store was restored from a backup"
    found["reader"]["gaps"].remove(gap)
    # the status is that of a process, not of the store
    assert (found["reader"].pop("recorder_status"), expected["reader"].pop("recorder_status").get("pid")) == ({}, 4711)
    assert found == expected


def test_column_files_of_the_same_moment_are_copied_and_valid_on_another_machine(sample: Path, tmp_path: Path) -> None:
    with closing(open_writer(sample, segment_tasks=40, text_index=False)) as writer:
        writer.finish_maintenance()  # type: ignore[attr-defined]
        back_up(sample, tmp_path / "backup")
    names = {path.name for path in (tmp_path / "backup").glob("*.cols")}
    assert names == {path.name for path in sample.glob("*.cols")}
    for number in range(1, 4):
        file = ColumnFile(tmp_path / "backup" / f"seg-{number:06d}.cols", 40 * (number - 1) + 1, 40)
        assert int(file.header["synced"]) == 1


def test_identity_is_retained_unless_a_new_one_is_requested(sample: Path, tmp_path: Path) -> None:
    back_up(sample, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "same")
    restore(tmp_path / "backup", tmp_path / "other", new_identity=True)
    identities = []
    for path in (sample, tmp_path / "same", tmp_path / "other"):
        with closing(open_writer(path, text_index=False)) as writer:
            identities.append(writer.identity)
            # what the recorder had read since belongs to the original
            assert bool(writer.capture_progress()) == (path == sample)
    assert identities[0] == identities[1] != identities[2]


def test_backup_and_restored_store_are_readable_by_their_owner_only(sample: Path, tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        back_up(sample, tmp_path / "backup")
        restore(tmp_path / "backup", tmp_path / "restored")
    finally:
        os.umask(previous)
    for path in (tmp_path / "backup", tmp_path / "restored"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}


def test_backup_is_not_overwritten(sample: Path, tmp_path: Path) -> None:
    back_up(sample, tmp_path / "backup")
    content = {path: path.read_bytes() for path in (tmp_path / "backup").iterdir()}
    with pytest.raises(InvalidRequest, match="exists and is not empty"):
        back_up(sample, tmp_path / "backup")
    assert {path: path.read_bytes() for path in (tmp_path / "backup").iterdir()} == content
    (tmp_path / "backup" / MANIFEST_FILE).unlink()
    with pytest.raises(InvalidRequest) as caught:
        back_up(sample, tmp_path / "backup")
    assert "incomplete backup" in caught.value.hint


def test_backup_into_the_store_itself_is_rejected(sample: Path) -> None:
    with pytest.raises(InvalidRequest):
        back_up(sample, sample)


def test_failed_backup_leaves_nothing(sample: Path, tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_backup(sample, tmp_path / "backup", version="test", report=fail)
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("harm", ["changed", "missing", "no manifest", "manifest", "newer"])
def test_unusable_backup_is_rejected_and_nothing_is_restored(sample: Path, tmp_path: Path, harm: str) -> None:
    backup, target = tmp_path / "backup", tmp_path / "restored"
    manifest = back_up(sample, backup)
    segment, listing = backup / "seg-000002.db", backup / MANIFEST_FILE
    match harm:
        case "changed":
            content = bytearray(segment.read_bytes())
            content[5_000] ^= 1
            segment.write_bytes(content)
        case "missing":
            segment.unlink()
        case "no manifest":
            listing.unlink()
        case "manifest":
            listing.write_text(listing.read_text().replace("seg-000002.db", "../seg-000002.db"))
        case "newer":
            newer = msgspec.structs.replace(manifest, store_format=STORE_FORMAT + 1)
            listing.write_bytes(msgspec.json.encode(newer))
    with pytest.raises(StoreVersionMismatch if harm == "newer" else InvalidStore):
        restore(backup, target)
    assert not target.exists() or not list(target.iterdir())


def test_restore_names_the_process_that_uses_the_target(sample: Path, tmp_path: Path) -> None:
    back_up(sample, tmp_path / "backup")
    expected = describe_store(sample)
    with closing(open_writer(sample, text_index=False)), pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
        restore(tmp_path / "backup", sample)
    with pytest.raises(InvalidRequest, match="is not empty"):
        restore(tmp_path / "backup", sample)
    assert describe_store(sample) == expected


def test_interrupted_restore_is_no_store_and_can_be_repeated(sample: Path, tmp_path: Path) -> None:
    backup, target = tmp_path / "backup", tmp_path / "restored"
    back_up(sample, backup)
    (target / RESTORE_DIRECTORY).mkdir(parents=True)
    (target / RESTORE_DIRECTORY / "seg-000001.db").write_bytes(b"half")
    (target / "seg-000002.db").write_bytes((backup / "seg-000002.db").read_bytes())
    for opening in (open_reader, open_writer):
        with pytest.raises(InvalidStore, match="restore that is not complete"):
            opening(target)
    restore(backup, target)
    assert len(describe_store(target)["tasks"]) == len(describe_store(sample)["tasks"])


def test_damaged_segment_is_omitted_and_named(sample: Path, tmp_path: Path) -> None:
    (sample / "seg-000002.db").write_bytes(b"garbage" * 1_000)
    manifest = back_up(sample, tmp_path / "backup")
    assert list(manifest.omitted) == ["seg-000002.db"]
    restore(tmp_path / "backup", tmp_path / "restored")
    with closing(open_reader(tmp_path / "restored")) as reader:
        assert len(list(reader.tasks(Query()))) == manifest.tasks == 152 - 40


def test_missing_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No data"):
        back_up(tmp_path / "none", tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


# --- beside a writer

#: Writes two segments at once in every write, counts what it has written, and reports it after each write. If this is
#: requested, it compresses full segments in between, which later writes change.
WRITER = """
import sys, time
from pathlib import Path
from flower.counters import TaskCounters
from flower.records import Task
from flower.store.factory import open_writer
from flower.store.protocols import Batch, TaskChange
from flower.store.sqlite import segment_compressor
from tests.helpers.task_factory import make

writer = open_writer(sys.argv[1], segment_tasks=2_000, text_index=False)
segment_compressor.MIN_FILE_BYTES = 0
number, known = 0, {}
while True:
    new = [make(number + each) for each in range(150)]
    number += len(new)
    changed = [TaskChange(key, task, Task(**{**{f: getattr(task, f) for f in task.__struct_fields__}, "clock": number}))
               for key, task in list(known.values())[:20]]
    counters = [TaskCounters("celery@w0", "shop.order", {"task-received": (number, 0.0)})]
    keys = writer.write(Batch(new=new, changed=changed, counters=counters))
    for change in changed:
        del known[change.after.uuid]
    known |= {task.uuid: (key, task) for key, task in zip(keys[::7], new[::7])}
    while sys.argv[2] == "compressed" and writer._segments.maintain(quiet=0.0):
        pass
    print(number, flush=True)
    time.sleep(0.05)
"""


@pytest.fixture(params=["plain", "compressed"])
def busy_writer(path: Path, request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), request.param], stdout=subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.set_blocking(process.stdout.fileno(), False)  # type: ignore[union-attr]
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def last_number(process: "subprocess.Popen[bytes]", at_least: int) -> int:
    """The number of tasks whose write has ended."""
    assert process.stdout is not None
    deadline, last, output = time.monotonic() + 60, 0, b""
    while time.monotonic() < deadline:
        # a line may arrive in parts
        *lines, output = (output + (process.stdout.read() or b"")).split(b"\n")
        last = int(lines[-1]) if lines else last
        if last >= at_least:
            return last
        time.sleep(0.02)
    raise AssertionError(f"the writer wrote only {last} tasks")


def test_every_backup_beside_a_busy_writer_is_of_one_moment(
    path: Path, tmp_path: Path, busy_writer: "subprocess.Popen[bytes]"
) -> None:
    written = last_number(busy_writer, 3_000)
    for attempt in range(6):
        backup = tmp_path / f"backup-{attempt}"
        manifest = back_up(path, backup)
        with closing(open_reader(backup)) as reader:
            (counters,) = reader.counters().changed
            uuids = {task.uuid for task in reader.tasks(Query(sort=()))}
            assert counters.events["task-received"][0] == len(uuids) == manifest.tasks == reader.count()
            assert reader.changes(0).sequence == manifest.sequence
            assert {make(number).uuid for number in range(written)} <= uuids
        written = last_number(busy_writer, manifest.tasks)
        with closing(open_writer(backup, segment_tasks=2_000, text_index=False)) as writer:
            # nothing had to be completed or repaired
            writer.write(Batch(new=[make(10_000_000)]))
        with closing(open_reader(backup)) as reader:
            assert reader.changes(0).sequence == manifest.sequence + 1
            assert reader.count() == manifest.tasks + 1


def test_store_of_a_writer_that_was_killed_can_be_copied(
    path: Path, tmp_path: Path, busy_writer: "subprocess.Popen[bytes]"
) -> None:
    written = last_number(busy_writer, 2_500)
    busy_writer.send_signal(signal.SIGKILL)
    busy_writer.wait()
    back_up(path, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored")
    with closing(open_writer(tmp_path / "restored", segment_tasks=2_000, text_index=False)) as writer:
        assert len(writer.load(make(number).uuid for number in range(written))) == written
        assert read_manifest(tmp_path / "backup").tasks >= written
