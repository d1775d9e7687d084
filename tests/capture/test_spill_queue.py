"""The queue between wire and reader: order, bounds, disk, and what happens when there is no room."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flower.capture.spill_queue import Chunk, SpillQueue, _SpillFile
from tests.helpers.servers import wait_for


def chunk(number: int, size: int = 100) -> Chunk:
    return Chunk(float(number), number % 3, bytes([number % 256]) * size)


def emptied(queue: SpillQueue) -> list[Chunk]:
    found = []
    while (one := queue.get(0.3)) is not None:
        found.append(one)
    return found


def test_order_is_kept_through_memory_and_disk(tmp_path: Path) -> None:
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


def test_the_files_have_no_name_and_memory_is_used_again_afterwards(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path, memory_limit=100, disk_limit=10**6)
    for number in range(10):
        assert queue.put(chunk(number), 5)
    wait_for("the disk", lambda: queue.spilled_bytes > 800)
    assert list(tmp_path.iterdir()) == []
    emptied(queue)
    queue.put(chunk(1), 0)
    assert queue.spilled_bytes == 0


def test_a_chunk_that_is_larger_than_the_bound_does_not_wait_for_the_reader(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path, memory_limit=100)
    sent = [chunk(0), chunk(1, 500), chunk(2, 5000)]
    for one in sent:
        assert queue.put(one, 5)
    wait_for("the disk", lambda: queue.spilled_bytes > 5500)
    assert emptied(queue) == sent


def test_when_all_is_full_put_waits_for_room(tmp_path: Path) -> None:
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


def test_a_disk_that_refuses_makes_put_wait_and_loses_nothing(
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


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    queue = SpillQueue(tmp_path / "file" / "folder", memory_limit=100)
    sent = [chunk(n) for n in range(3)]
    assert [queue.put(one, 0) for one in sent] == [True, True, True]
    assert not queue.put(chunk(3), 0)
    assert emptied(queue) == sent
    assert queue.put(chunk(3), 0)


def test_without_a_folder_it_only_waits() -> None:
    queue = SpillQueue(None, memory_limit=100)
    assert queue.put(chunk(0, 500), 0)  # one always fits
    assert not queue.put(chunk(1), 0.01)


def test_what_cannot_be_read_back_is_an_error_and_the_queue_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_after_closing_what_is_there_can_still_be_read() -> None:
    queue = SpillQueue(None)
    queue.put(chunk(0), 0)
    queue.close()
    assert queue.put(chunk(1), 0)
    assert queue.get(60) == chunk(0)
    assert queue.get(60) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=50, max_size=400), st.integers(50, 2000))
def test_a_writer_and_a_reader_side_by_side(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], memory: int
) -> None:
    queue = SpillQueue(tmp_path_factory.mktemp("spill"), memory_limit=memory, disk_limit=20_000, file_size=1500)
    sent = [chunk(number, size) for number, size in enumerate(sizes)]
    putting = threading.Thread(target=lambda: [queue.put(one, 20) for one in sent])
    putting.start()
    assert [queue.get(20) for _ in sent] == sent
    putting.join(20)
    queue.close()
    assert queue.get(1) is None


def test_what_is_on_the_disk_cannot_be_read_there(tmp_path: Path) -> None:
    queue = SpillQueue(tmp_path, memory_limit=1_000, disk_limit=10**6)
    secret = b"'password': 'hunter2' " * 20
    for number in range(10):
        assert queue.put(Chunk(float(number), 0, secret), 5)
    wait_for("the disk", lambda: queue.spilled_bytes > 1_000)
    written = b"".join(os.pread(segment._file.fileno(), segment.written, 0) for segment in queue._spill_files)
    assert len(written) > 1_000
    assert b"hunter2" not in written
    assert [one.data for one in emptied(queue)] == [secret] * 10
