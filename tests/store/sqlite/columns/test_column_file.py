"""The column file shared by one writer and any number of readers.

Copies are consistent (the torture test of docs/column-files.md), and an invalid file is rejected.
"""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import pytest

from flower.store.sqlite.columns.column_file import ColumnFile, ColumnFileInvalid, Columns, create_column_file

FIRST, CAPACITY = 1, 20_000
#: One column of each item size: every change sets all slots of all of them to one value.
NAMES = ("live", "version", "state", "failure", "received")
#: Below 256, so that it fits into the smallest column; a prime, so that it never coincides with a power of two.
MODULUS = 251
READERS = 2
MIN_READS = 500
SECONDS = 60.0


@dataclass
class Counts:
    """Copies of one reader process. `torn`: copies that mix two changes."""

    consistent: int = 0
    consistent_torn: int = 0
    unchecked: int = 0
    unchecked_torn: int = 0

    @property
    def is_enough(self) -> bool:
        return self.consistent >= MIN_READS and self.unchecked_torn > 0


def copy_columns(file: Columns) -> tuple[int, list[Any]]:
    return file.sequence, [np.array(file[name]) for name in NAMES]


def is_torn(copy: tuple[int, list[Any]]) -> bool:
    sequence, arrays = copy
    return any(bool((array != sequence % MODULUS).any()) for array in arrays)


def write(path: Path, stop: Event) -> None:
    """The writer process: changes all slots until `stop`."""
    file = ColumnFile(path, FIRST, CAPACITY, writable=True)
    sequence = file.sequence
    while not stop.is_set():
        sequence += 1
        with file.change(sequence):
            for name in NAMES:
                file[name][:] = sequence % MODULUS
        time.sleep(0.001)


def read(path: Path, stop: Event, results: "multiprocessing.Queue[Counts]") -> None:
    """A reader process: copies with the sequence check, and copies without it, which show that the test can fail."""
    file, counts = ColumnFile(path, FIRST, CAPACITY), Counts()
    end = time.monotonic() + SECONDS
    while not counts.is_enough and not stop.is_set() and time.monotonic() < end:
        try:
            copy = file.read_consistent(lambda: copy_columns(file))
        except ColumnFileInvalid:  # the writer was preempted during a change
            continue
        counts.consistent += 1
        counts.consistent_torn += is_torn(copy)
        counts.unchecked += 1
        counts.unchecked_torn += is_torn(copy_columns(file))
    results.put(counts)


def test_torture_copies_of_other_processes_are_never_torn(tmp_path: Path) -> None:
    path = tmp_path / "seg-000001.cols"
    with create_column_file(path, FIRST, CAPACITY).change(0):
        pass
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    processes = [context.Process(target=write, args=(path, stop))]
    processes += [context.Process(target=read, args=(path, stop, results)) for _ in range(READERS)]
    for process in processes:
        process.start()
    try:
        try:
            counts = [results.get(timeout=SECONDS + 30) for _ in range(READERS)]
        except Empty:
            pytest.fail("a reader process did not report")
    finally:
        stop.set()
        for process in processes:
            process.join(10)
            process.kill()
    assert [each.consistent_torn for each in counts] == [0] * READERS
    assert all(each.consistent >= MIN_READS for each in counts), counts
    # without the sequence check the same copies are torn: the assertion above is not empty
    assert all(each.unchecked_torn > 0 for each in counts), counts


@pytest.fixture
def writer(tmp_path: Path) -> ColumnFile:
    file = create_column_file(tmp_path / "seg-000001.cols", FIRST, CAPACITY)
    with file.change(1):
        file["state"][:] = 1
    return file


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., ColumnFile]:
    return lambda **options: ColumnFile(tmp_path / "seg-000001.cols", FIRST, CAPACITY, **options)


def test_a_copy_is_repeated_after_a_concurrent_change(writer: ColumnFile, opened: Callable[..., ColumnFile]) -> None:
    reader = opened()
    copies: list[tuple[int, int]] = []

    def copy() -> tuple[int, int]:
        first = int(reader["state"][0])
        if not copies:
            with writer.change(2):
                writer["state"][:] = 2
        copies.append((first, int(reader["state"][-1])))
        return copies[-1]

    assert reader.read_consistent(copy) == (2, 2)
    assert copies == [(1, 2), (2, 2)]


def test_a_change_that_does_not_finish(writer: ColumnFile, opened: Callable[..., ColumnFile]) -> None:
    reader = opened()
    writer.header["writing"] |= 1
    with pytest.raises(ColumnFileInvalid, match="did not finish"):
        reader.read_consistent(lambda: pytest.fail("copied during a change"))


def test_an_interrupted_change_invalidates_the_file_for_a_writer(
    writer: ColumnFile, opened: Callable[..., ColumnFile]
) -> None:
    writer.header["writing"] |= 1
    opened()  # a reader cannot determine whether a writer is active
    with pytest.raises(ColumnFileInvalid, match="was interrupted"):
        opened(writable=True)


def test_unsynced_columns_are_invalid_after_a_reboot(writer: ColumnFile, opened: Callable[..., ColumnFile]) -> None:
    writer.header["boot"] = b"another boot"
    with pytest.raises(ColumnFileInvalid, match="before the machine stopped"):
        opened()
    writer.sync()
    assert opened().sequence == 1
    with writer.change(2):
        pass
    with pytest.raises(ColumnFileInvalid, match="before the machine stopped"):
        opened()


@pytest.mark.parametrize("field", ["magic", "format", "first", "capacity"])
def test_a_header_of_other_columns(field: str, writer: ColumnFile, opened: Callable[..., ColumnFile]) -> None:
    writer.header[field] = b"OTHER" if field == "magic" else 99
    with pytest.raises(ColumnFileInvalid):
        opened()


def test_a_file_of_another_size(tmp_path: Path, writer: ColumnFile, opened: Callable[..., ColumnFile]) -> None:
    path = tmp_path / "seg-000001.cols"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ColumnFileInvalid, match="wrong file size"):
        opened()
