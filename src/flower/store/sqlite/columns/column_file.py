"""The file of a segment's columns, mapped into memory: one process writes, any number read at the same time.

A reader takes its look between two readings of `writing`: if that was odd or has moved on, it looks again. So a
look is of one moment, without a lock that a dead process could hold."""

import mmap
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from flower.store.sqlite.columns.layout import (
    COLUMN_FORMAT,
    COLUMN_TYPES,
    HEADER_BYTES,
    HEADER_DTYPE,
    MAGIC,
    SORTED_KEYS,
    Array,
    compute_offsets,
)

T = TypeVar("T")

#: Seconds a reader waits for a change to be over; a writer that was killed within one never ends it.
CHANGE_TIMEOUT = 0.2


class ColumnFileInvalid(Exception):
    """There are no columns here, or not those of these rows."""


def read_boot_id() -> bytes:
    """What tells one run of the machine from the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()[:36]
    except OSError:
        return b"?"


class Columns:
    """Columns of one segment, in whatever memory they are."""

    def __init__(self, buffer: Any, first: int, capacity: int) -> None:
        places, orders, _ = compute_offsets(capacity)
        self.first = first
        self.capacity = capacity
        self.header = np.ndarray((), HEADER_DTYPE, buffer)
        self.arrays: dict[str, Array] = {
            name: np.ndarray((capacity,), kind, buffer, places[name]) for name, kind in COLUMN_TYPES.items()
        }
        self.orders: dict[str, Array] = {
            name: np.ndarray((capacity,), np.uint32, buffer, orders[name]) for name in SORTED_KEYS
        }

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    @property
    def sequence(self) -> int:
        return int(self.header["sequence"])

    @property
    def generation(self) -> str:
        """Of the text index whose blocks the rows name."""
        return bytes(self.header["generation"].item()).decode("ascii", "replace")

    @property
    def instance_id(self) -> int:
        """Tells these columns from others of the same segment, made before or after."""
        return int(self.header["made"])

    @property
    def indexed_at(self) -> int:
        return int(self.header["indexed_at"])

    def order(self, key: str) -> Any | None:
        """The slots in ascending order of the key, if that is kept and right."""
        return self.orders[key] if int(self.header["ordered"]) == self.sequence else None

    def read_consistent(self, look: Callable[[], T]) -> T:
        """What the function gives, of one moment. Raises Unusable if a change does not end."""
        until = time.monotonic() + CHANGE_TIMEOUT
        while time.monotonic() < until:
            before = int(self.header["writing"])
            if before % 2 == 0:
                found = look()
                if int(self.header["writing"]) == before:
                    return found
            time.sleep(0.0005)
        raise ColumnFileInvalid("a change of the columns did not end")

    @contextmanager
    def change(self, sequence: int) -> Iterator[None]:
        """Within this the columns may be changed; after it they are as of `sequence`."""
        self.header["synced"] = 0
        self.header["writing"] |= 1
        yield
        self.header["sequence"] = sequence
        self.header["writing"] += 1

    def nbytes(self) -> int:
        return compute_offsets(self.capacity)[2]


def create_in_memory(first: int, capacity: int) -> Columns:
    columns = Columns(bytearray(compute_offsets(capacity)[2]), first, capacity)
    _init_header(columns.header, first, capacity)
    return columns


def _init_header(header: Any, first: int, capacity: int) -> None:
    header["format"], header["capacity"], header["first"] = COLUMN_FORMAT, capacity, first
    header["sequence"] = header["ordered"] = -1
    header["boot"] = read_boot_id()
    header["made"] = secrets.randbits(64)
    header["magic"] = MAGIC


class ColumnFile(Columns):
    """Opened for reading or, by the one writer, for changing."""

    def __init__(self, path: Path, first: int, capacity: int, *, writable: bool = False) -> None:
        """Raises Unusable."""
        self._writable = writable
        flags = os.O_RDWR if writable else os.O_RDONLY
        try:
            handle = os.open(path, flags | os.O_CLOEXEC)
        except OSError as error:
            raise ColumnFileInvalid(str(error)) from error
        try:
            size = compute_offsets(capacity)[2]
            if os.fstat(handle).st_size != size:
                raise ColumnFileInvalid("a file of another size")
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
            raise ColumnFileInvalid("not our columns")
        if int(header["first"]) != self.first or int(header["capacity"]) != self.capacity:
            raise ColumnFileInvalid("columns of other rows")
        if not int(header["synced"]) and header["boot"].item() != read_boot_id():
            # the machine stopped: what was on its way to the disk may have got there in any order
            raise ColumnFileInvalid("not brought to the disk before the machine stopped")
        if self._writable and int(header["writing"]) % 2:
            raise ColumnFileInvalid("a change was cut off")  # only the writer knows that nobody is at work

    def release(self) -> None:
        """Give back the memory that shows the file; the next look takes it from the system's cache again."""
        self._map.madvise(mmap.MADV_DONTNEED)

    def sync(self) -> None:
        """All of it to the disk: from now on it outlives the machine's stopping."""
        self._map.flush()
        self.header["synced"] = 1
        self._map.flush(0, HEADER_BYTES)


def create_column_file(path: Path, first: int, capacity: int) -> ColumnFile:
    """Empty columns. Room on the disk is taken at once: a map cannot say that the disk is full. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    handle = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        try:
            os.posix_fallocate(handle, 0, compute_offsets(capacity)[2])
        finally:
            os.close(handle)
        with open(fresh, "r+b") as file, mmap.mmap(file.fileno(), HEADER_BYTES) as header:
            _init_header(np.ndarray((), HEADER_DTYPE, header), first, capacity)
        fresh.rename(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    return ColumnFile(path, first, capacity, writable=True)
