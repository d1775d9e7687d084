"""The spill queue: order, limits, disk, and behaviour when it is full."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flower.capture.spill_queue import Chunk, SpillQueue, _SpillFile
from tests.helpers.servers import wait_for


def chunk(number: int, size: int = 100) -> Chunk:
    return Chunk(float(number), float(number), number % 3, bytes([number % 256]) * size)


def emptied(queue: SpillQueue) -> list[Chunk]:
    found = []
    while (one := queue.get(0.3)) is not None:
        found.append(one)
    return found


def test_order_through_memory_and_disk(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path / "new", memory_limit=1000, disk_limit=10**6, file_size=2000)
    sent = [chunk(number) for number in range(500)]
    got = []
    for number, one in enumerate(sent):
        assert queue.put(one, 5)
        if number % 3 == 0:
            got.append(queue.get(1))
    wait_for("the disk", lambda: queue.spilled_bytes > 0)
    assert queue.backlog_bytes >= queue.spilled_bytes
    assert [*got, *emptied(queue)] == sent
    assert (queue.backlog_bytes, queue.spilled_bytes) == (0, 0)


def test_files_are_unnamed_and_memory_is_used_again_afterwards(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path, memory_limit=100, disk_limit=10**6)
    for number in range(10):
        assert queue.put(chunk(number), 5)
    wait_for("the disk", lambda: queue.spilled_bytes > 800)
    assert list(tmp_path.iterdir()) == []
    emptied(queue)
    queue.put(chunk(1), 0)
    assert queue.spilled_bytes == 0


def test_chunk_larger_than_the_limit_is_accepted(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path, memory_limit=100)
    sent = [chunk(0), chunk(1, 500), chunk(2, 5000)]
    for one in sent:
        assert queue.put(one, 5)
    wait_for("the disk", lambda: queue.spilled_bytes > 5500)
    assert emptied(queue) == sent


def test_put_waits_when_memory_and_disk_are_full(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path, memory_limit=300, disk_limit=500)
    number = 0
    while queue.put(chunk(number), 0.3):
        number += 1
    assert 3 + 3 + 6 <= number <= 3 + 4 + 6  # front, disk, tail
    waiting = threading.Thread(target=queue.put, args=(chunk(number), 10))
    waiting.start()
    got = [queue.get(1) for _ in range(number + 1)]
    waiting.join(10)
    assert [one.received for one in got if one] == [float(n) for n in range(number + 1)]


def test_failing_disk_makes_put_wait_without_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queue = SpillQueue(tmp_path, memory_limit=300)
    real = os.pwrite

    def part(file: int, data: tuple[bytes, bytes], offset: int) -> int:
        return real(file, data[0][:7], offset)  # a disk that is nearly full takes a part first

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwritev", part)
    monkeypatch.setattr(os, "pwrite", full)
    number = 0
    while queue.put(chunk(number), 0.1):
        number += 1
    assert number == 3 + 6  # what memory holds
    assert sum(record.levelname == "WARNING" for record in caplog.records) == 1
    monkeypatch.undo()
    assert queue.put(chunk(number), 10)  # the disk takes it again
    assert [one.received for one in emptied(queue)] == [float(n) for n in range(number + 1)]


def test_directory_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    queue = SpillQueue(tmp_path / "file" / "folder", memory_limit=100)
    sent = [chunk(n) for n in range(3)]
    assert [queue.put(one, 0) for one in sent] == [True, True, True]
    assert not queue.put(chunk(3), 0)
    assert emptied(queue) == sent
    assert queue.put(chunk(3), 0)


def test_put_waits_without_a_directory() -> None:
    queue = SpillQueue(None, memory_limit=100)
    assert queue.put(chunk(0, 500), 0)  # one always fits
    assert not queue.put(chunk(1), 0.01)


def test_read_error_is_raised_and_the_queue_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = SpillQueue(tmp_path, memory_limit=100)
    for number in range(4):
        assert queue.put(chunk(number), 5)
    assert queue.get(0) == chunk(0)
    wait_for("the disk", lambda: queue.spilled_bytes > 300)
    monkeypatch.setattr(_SpillFile, "read", lambda self: (_ for _ in ()).throw(OSError("broken")))
    with pytest.raises(OSError, match="broken"):
        queue.get(0)
    assert queue.get(0) is None
    assert queue.put(chunk(9), 0)
    assert queue.get(0) == chunk(9)


def test_waiting_chunks_can_be_read_after_close() -> None:
    queue = SpillQueue(None)
    queue.put(chunk(0), 0)
    queue.close()
    assert queue.put(chunk(1), 0)
    assert queue.get(60) == chunk(0)
    assert queue.get(60) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=50, max_size=400), st.integers(50, 2000))
def test_concurrent_put_and_get(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], memory: int) -> None:
    queue = SpillQueue(tmp_path_factory.mktemp("spill"), memory_limit=memory, disk_limit=20_000, file_size=1500)
    sent = [chunk(number, size) for number, size in enumerate(sizes)]
    putting = threading.Thread(target=lambda: [queue.put(one, 20) for one in sent])
    putting.start()
    assert [queue.get(20) for _ in sent] == sent
    putting.join(20)
    queue.close()
    assert queue.get(1) is None


def test_content_on_disk_is_encrypted(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path, memory_limit=1_000, disk_limit=10**6)
    secret = b"'password': 'hunter2' " * 20
    for number in range(10):
        assert queue.put(Chunk(float(number), float(number), 0, secret), 5)
    wait_for("the disk", lambda: queue.spilled_bytes > 1_000)
    written = b"".join(os.pread(segment._file.fileno(), segment.written, 0) for segment in queue._spill_files)
    assert len(written) > 1_000
    assert b"hunter2" not in written
    assert [one.data for one in emptied(queue)] == [secret] * 10
