"""Memory-mapped column file of a segment: one writer process, any number of concurrent readers.

Reads are consistent without a lock (seqlock): a reader compares the counter `writing` before and after, and reads again
if it was odd or has changed. A lock could be left behind by a process that was killed.
"""

import mmap
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from flower.private_files import FILE_MODE
from flower.store.sqlite.columns.layout import (
    COLUMN_TYPES,
    HEADER_BYTES,
    HEADER_DTYPE,
    MAGIC,
    SORTED_KEYS,
    Array,
    compute_offsets,
)
from flower.store.sqlite.store_format import COLUMN_FORMAT

T = TypeVar("T")

#: Seconds that a reader waits for a change to finish. A writer that is killed during a change never finishes it.
CHANGE_TIMEOUT: Final = 0.2


class ColumnFileInvalid(Exception):
    """The column file is missing or not valid for these rows."""


def read_boot_id() -> bytes:
    """Return an id that differs for each boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()[:36]
    except OSError:
        return b"?"


class Columns:
    """Columns of one segment, in any memory."""

    def __init__(self, buffer: Any, first: int, capacity: int) -> None:
        column_offsets, order_offsets, _ = compute_offsets(capacity)
        self.first = first
        self.capacity = capacity
        self.header = np.ndarray((), HEADER_DTYPE, buffer)
        self.arrays: dict[str, Array] = {
            name: np.ndarray((capacity,), kind, buffer, column_offsets[name]) for name, kind in COLUMN_TYPES.items()
        }
        self.orders: dict[str, Array] = {
            name: np.ndarray((capacity,), np.uint32, buffer, order_offsets[name]) for name in SORTED_KEYS
        }

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    @property
    def sequence(self) -> int:
        return int(self.header["sequence"])

    @property
    def generation(self) -> str:
        """Generation of the text index whose block numbers the rows have."""
        return bytes(self.header["generation"].item()).decode("ascii", "replace")

    @property
    def instance_id(self) -> int:
        """Random number that distinguishes these columns from earlier and later ones of the same segment."""
        return int(self.header["made"])

    @property
    def indexed_at(self) -> int:
        return int(self.header["indexed_at"])

    def order(self, key: str) -> Any | None:
        """Return the slots in ascending order of the key; None if the order is not stored or not current."""
        return self.orders.get(key) if int(self.header["ordered"]) == self.sequence else None

    def read_consistent(self, read: Callable[[], T]) -> T:
        """Return a consistent result of the function. Raises ColumnFileInvalid if a change does not finish."""
        deadline = time.monotonic() + CHANGE_TIMEOUT
        while time.monotonic() < deadline:
            before = int(self.header["writing"])
            if before % 2 == 0:
                result = read()
                if int(self.header["writing"]) == before:
                    return result
            time.sleep(0.0005)
        raise ColumnFileInvalid("a change did not finish in time")

    @contextmanager
    def change(self, sequence: int) -> Iterator[None]:
        """Context in which the columns may be changed; after it they are as of `sequence`."""
        self.header["synced"] = 0
        self.header["writing"] |= 1
        yield
        self.header["sequence"] = sequence
        self.header["writing"] += 1


def create_in_memory(first: int, capacity: int) -> Columns:
    """Return empty columns in anonymous memory."""
    columns = Columns(bytearray(compute_offsets(capacity)[2]), first, capacity)
    _init_header(columns.header, first, capacity)
    return columns


def _init_header(header: Any, first: int, capacity: int) -> None:
    header["format"], header["capacity"], header["first"] = COLUMN_FORMAT, capacity, first
    header["sequence"] = header["ordered"] = -1
    header["boot"] = read_boot_id()
    header["made"] = secrets.randbits(64)
    header["magic"] = MAGIC


def column_file_size(capacity: int) -> int:
    """The size of a column file in bytes."""
    return compute_offsets(capacity)[2]


class ColumnFile(Columns):
    """A column file, opened for reading or, by the only writer, for changing."""

    def __init__(self, path: Path, first: int, capacity: int, *, writable: bool = False) -> None:
        """Open the file. Raises ColumnFileInvalid."""
        self._writable = writable
        flags = os.O_RDWR if writable else os.O_RDONLY
        try:
            handle = os.open(path, flags | os.O_CLOEXEC)
        except OSError as error:
            raise ColumnFileInvalid(str(error)) from error
        try:
            size = compute_offsets(capacity)[2]
            if os.fstat(handle).st_size != size:
                raise ColumnFileInvalid("wrong file size")
            self._map = mmap.mmap(handle, size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ColumnFileInvalid(str(error)) from error
        finally:
            os.close(handle)
        super().__init__(self._map, first, capacity)
        self._check()
        if writable:
            self.header["boot"] = read_boot_id()

    def _check(self) -> None:
        header: Mapping[str, Any] = self.header  # type: ignore[assignment]
        if header["magic"].item() != MAGIC or int(header["format"]) != COLUMN_FORMAT:
            raise ColumnFileInvalid("not a column file of this format")
        if int(header["first"]) != self.first or int(header["capacity"]) != self.capacity:
            raise ColumnFileInvalid("columns of another segment")
        if not int(header["synced"]) and header["boot"].item() != read_boot_id():
            # after a crash of the machine, unsynced pages may have been written in any order
            raise ColumnFileInvalid("not synced before the machine stopped")
        if self._writable and int(header["writing"]) % 2:
            # only the writer can distinguish an interrupted change from one in progress
            raise ColumnFileInvalid("a change was interrupted")

    @property
    def is_complete(self) -> bool:
        """Whether the file still has its size: the system ends a process with SIGBUS that reads mapped memory beyond
        the end of a file."""
        return self._map.size() == len(self._map)

    def to_bytes(self) -> bytearray:
        """Return a copy of the file. Raises ColumnFileInvalid if it was truncated."""
        if not self.is_complete:
            raise ColumnFileInvalid("wrong file size")
        return bytearray(self._map)

    def release(self) -> None:
        """Release the mapped memory; the next access reads it from the page cache again."""
        self._map.madvise(mmap.MADV_DONTNEED)

    def sync(self) -> None:
        """Write the file to the disk, so that it survives a crash of the machine."""
        self._map.flush()
        self.header["synced"] = 1
        self._map.flush(0, HEADER_BYTES)


def read_columns_copy(path: Path, first: int, capacity: int) -> Columns:
    """Return a consistent copy of a column file in memory. Raises ColumnFileInvalid."""
    file = ColumnFile(path, first, capacity)
    return Columns(file.read_consistent(file.to_bytes), first, capacity)


def read_synced_copy(path: Path, first: int, capacity: int, sequence: int) -> bytes:
    """Return the content of a column file as of exactly this change sequence, as a file that is valid once it is on
    disk, on any machine. Raises ColumnFileInvalid."""
    file = ColumnFile(path, first, capacity)
    content = file.read_consistent(file.to_bytes)
    header = np.ndarray((), HEADER_DTYPE, content)
    if int(header["sequence"]) != sequence:
        raise ColumnFileInvalid("of another moment than the rows")
    header["synced"] = 1
    return bytes(content)


def create_column_file(path: Path, first: int, capacity: int) -> ColumnFile:
    """Create a file of empty columns.

    Its disk space is allocated at once, because a write to mapped memory cannot report a full disk. Raises OSError.
    """
    temporary = path.with_name(path.name + ".new")
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    try:
        try:
            os.posix_fallocate(handle, 0, compute_offsets(capacity)[2])
        finally:
            os.close(handle)
        with open(temporary, "r+b") as file, mmap.mmap(file.fileno(), HEADER_BYTES) as header:
            _init_header(np.ndarray((), HEADER_DTYPE, header), first, capacity)
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return ColumnFile(path, first, capacity, writable=True)
