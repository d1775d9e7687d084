"""The indexer: rows are found while they are indexed, after errors, and while the disk is full."""

import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from flower.store.sqlite.text import (
    MAX_COMMIT_CHARACTERS,
    Indexer,
    IndexSnapshot,
    PendingText,
    TextReader,
)
from flower.store.sqlite.text.generation import (
    read_generation,
)
from flower.store.sqlite.text.indexer import GROUP_ROWS, choose_interval
from tests.helpers.servers import wait_for
from tests.helpers.text_index import BLOCK, search, text_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "text"


@pytest.mark.parametrize(
    ("rows", "seconds", "interval"),
    [
        (0, 0.5, 0.5),
        (1, 0.5, 2.0),
        (2_000, 0.5, 2.0),
        (4_000, 0.5, 1.0),
        (GROUP_ROWS, 0.1, 0.5),
        (20_000, 900.0, 2.0),
    ],
)
def test_checks_are_rarer_while_rows_change(rows: int, seconds: float, interval: float) -> None:
    assert choose_interval(rows, seconds, 0.5) == interval


class Rows:
    """A source that behaves as a store: it has the version of each row, and the block and version that was indexed."""

    has_delayed_rows = False

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.texts: dict[int, tuple[int, str]] = {}
        self.marked: dict[int, tuple[int, str, int]] = {}
        self.generation = ""
        self.readable: frozenset[int] = frozenset()
        self.lowest = 0
        self.fails = 0

    def write(self, key: int, text: str) -> None:
        with self.lock:
            self.texts[key] = (self.texts.get(key, (0, ""))[0] + 1, text)

    def is_pending(self, key: int, snapshot: IndexSnapshot | None = None) -> bool:
        version, generation, block = self.marked.get(key, (0, "", 0))
        blocks, now = (snapshot.blocks, snapshot.generation) if snapshot else (self.readable, self.generation)
        return version != self.texts[key][0] or generation != now or block not in blocks

    def list_pending(self, limit: int) -> list[PendingText]:
        with self.lock:
            if self.fails:
                self.fails -= 1
                raise OSError("the rows cannot be read")
            keys = [key for key in sorted(self.texts) if self.is_pending(key)][:limit]
            return [PendingText(key, *self.texts[key]) for key in keys]

    def mark_indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
        with self.lock:
            self.readable |= {block}
            self.marked.update({key: (version, self.generation, block) for key, version in done})

    def build_templates(self) -> bool:
        return False

    def lowest_key(self) -> int:
        return self.lowest

    def set_blocks(self, generation: str, readable: frozenset[int]) -> None:
        with self.lock:
            self.generation, self.readable = generation, readable

    def search(self, reader: TextReader, text: str) -> list[int]:
        """Search as a store does: read the versions, query the index, and read the rows that are not indexed."""
        with self.lock:
            snapshot = reader.refresh()
            unindexed = [key for key in self.texts if self.is_pending(key, snapshot)]
            keys = {*unindexed, *(key for key in search(snapshot, text) if key in self.texts)}
            return sorted(key for key in keys if text in self.texts[key][1].casefold())

    def all_indexed(self) -> bool:
        with self.lock:
            return not any(map(self.is_pending, self.texts))


@contextmanager
def running_indexer(folder: Path, rows: Rows, max_rows: int = 40) -> Iterator[Indexer]:
    indexer = Indexer(folder, rows, max_block_documents=BLOCK, max_rows=max_rows, poll_interval=0.05)
    indexer.start()
    try:
        yield indexer
    finally:
        started_at = time.monotonic()
        indexer.stop()
        assert time.monotonic() - started_at < 20  # far less on an idle machine
        assert not indexer.is_alive()


def test_rows_are_found_during_indexing(folder: Path) -> None:
    rows, reader = Rows(), TextReader(folder)
    with running_indexer(folder, rows):
        for key in range(1, 401):
            rows.write(key, text_of(key))
            if not key % 50:
                assert rows.search(reader, "order") == list(range(1, key + 1))
        wait_for("all rows", rows.all_indexed)
        for key in range(1, 401, 10):
            rows.write(key, "changed")
            assert key in rows.search(reader, "changed")
        wait_for("the changed rows", rows.all_indexed)
        assert rows.search(reader, "changed") == list(range(1, 401, 10))
        assert not set(rows.search(reader, "order")) & set(range(1, 401, 10))
    rows.write(500, "after")
    with running_indexer(folder, rows):
        wait_for("rows written without an indexer", rows.all_indexed)
    assert len(rows.search(reader, "order")) == 360


def test_a_deleted_index_is_rebuilt_during_searches(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows, reader = Rows(), TextReader(folder)
    for key in range(1, 301):
        rows.write(key, text_of(key))
    with running_indexer(folder, rows):
        wait_for("all rows", rows.all_indexed)
        before = rows.generation
        shutil.rmtree(folder)
        assert rows.search(reader, "order") == list(range(1, 301))
        wait_for("a new index", lambda: rows.generation != before and rows.all_indexed())
        assert rows.search(reader, "order") == list(range(1, 301))
        assert len(search(reader.refresh(), "order")) == 300
    assert caplog.text.count("Text indexing failed") == 1


def test_an_error_is_logged_once_until_recovery(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="flower.store.sqlite.text")
    rows = Rows()
    rows.fails = 3
    rows.write(1, "one")
    with running_indexer(folder, rows) as indexer:
        wait_for("an error", lambda: indexer.error == "the rows cannot be read")
        wait_for("the row", rows.all_indexed)
        wait_for("recovery", lambda: not indexer.error)
    assert caplog.text.count("Text indexing failed: the rows cannot be read") == 1
    assert caplog.text.count("Text indexing recovered") == 1


def test_stop_during_a_long_commit(folder: Path) -> None:
    rows = Rows()
    for key in range(1, 20_001):
        rows.write(key, text_of(key) * 20)
    with running_indexer(folder, rows, max_rows=20_000):
        wait_for("the first rows", lambda: bool(rows.marked))
        assert not rows.all_indexed()
    assert len(rows.search(TextReader(folder), "order")) == 20_000


def test_long_texts_are_committed_in_parts(folder: Path) -> None:
    class CountingRows(Rows):
        commits = 0

        def mark_indexed(self, done: Sequence[tuple[int, int]], block: int) -> None:
            self.commits += 1
            super().mark_indexed(done, block)

    rows = CountingRows()
    for key in range(1, 31):
        rows.write(key, f"{key:06d} " * 100_000)
    with running_indexer(folder, rows):
        wait_for("all rows", rows.all_indexed, 60)
    assert rows.commits >= 30 * 700_000 // MAX_COMMIT_CHARACTERS
    assert rows.search(TextReader(folder), "000007") == [7]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_the_disk_becomes_full(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, filler = disk / "text", disk / "filler"
    rows, reader = Rows(), TextReader(folder)
    for key in range(1, 101):
        rows.write(key, text_of(key))
    with running_indexer(folder, rows, max_rows=2000) as indexer:
        wait_for("the first rows", rows.all_indexed)
        filler.write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 30_000))
        chance = random.Random(4)
        for key in range(101, 1001):
            rows.write(key, f"order {chance.randbytes(100).hex()}")
        wait_for("an error", lambda: "No space left" in indexer.error)
        assert rows.search(reader, "order") == list(range(1, 1001))
        filler.unlink()
        wait_for("all rows", rows.all_indexed)
        assert rows.search(reader, "order") == list(range(1, 1001))
        assert len(search(reader.refresh(), "order")) >= 1000
    assert caplog.text.count("Text indexing failed") == 1
    assert read_generation(folder) is not None


def test_the_disk_is_full_from_the_start(disk: Path) -> None:
    (disk / "filler").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize))
    rows = Rows()
    rows.write(1, "one order")
    with running_indexer(disk / "text", rows) as indexer:
        wait_for("an error", lambda: bool(indexer.error))
        (disk / "filler").unlink()
        wait_for("the row", rows.all_indexed)
