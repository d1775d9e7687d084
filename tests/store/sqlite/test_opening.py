"""Opening a store: another writer, foreign files and formats, a read-only disk, a removed directory."""

import os
import shutil
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from flower.errors import InvalidStore, StoreError, StoreInUse, StoreVersionMismatch
from flower.store.factory import open_reader, open_writer
from flower.store.protocols import Batch, Query
from tests.helpers.disk_store import fill, mounted, uuids, writing
from tests.helpers.task_factory import make


def listing(path: Path) -> dict[str, bytes]:
    return {str(found.relative_to(path)): found.read_bytes() for found in path.rglob("*") if found.is_file()}


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
        with pytest.raises(StoreVersionMismatch, match=f"an? {age} version wrote it"):
            opening(path)
    assert listing(path) == before


def test_empty_directory_is_accepted(path: Path) -> None:
    path.mkdir()
    assert len(fill(path, 10)) == len(uuids(path)) == 10


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


@pytest.mark.parametrize("moved", [False, True], ids=["removed", "moved"])
def test_a_writer_reports_that_its_directory_was_removed_or_moved(tmp_path: Path, moved: bool) -> None:
    store = tmp_path / "store"
    with writing(store) as writer:
        writer.write(Batch(new=[make(1)]))
        writer.maintain()
        if moved:
            store.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(store)
        with pytest.raises(StoreError, match="was removed or moved while it was in use"):
            writer.maintain()
    assert not store.exists()


def test_a_removed_store_is_created_again_beside_the_directories_of_other_processes(tmp_path: Path) -> None:
    for name in ("drain", "text"):
        (tmp_path / "store" / name).mkdir(parents=True)
    (tmp_path / "store" / "text" / "mark.json").write_text("{}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "store" / "drain" / "1.sock"))
        fill(tmp_path / "store", 3)
    assert len(uuids(tmp_path / "store")) == 3


def test_a_directory_with_files_of_others_in_such_directories_is_not_a_store(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "novel.txt").touch()
    with pytest.raises(InvalidStore):
        fill(tmp_path, 1)
