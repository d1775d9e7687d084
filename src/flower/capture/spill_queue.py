"""A queue of byte chunks, limited in memory, then on disk, in order.

The drain thread puts, the reader gets. Beyond the memory limit chunks are written to unnamed temporary files (a killed
process leaves nothing behind). `put` waits only if the disk limit is reached too, or the disk fails or is too slow. The
bytes are unfiltered and may contain secrets that must not be stored: on disk they are encrypted with a key that only
this process has.
"""

import logging
import os
import struct
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from flower.private_files import create_directory
from flower.units import MEBIBYTE

log = logging.getLogger(__name__)

#: received, since, connection, length, nonce
_HEADER = struct.Struct(">ddQI16s")
_DISK_RETRY_DELAY = 1.0


class Chunk(NamedTuple):
    """Bytes of connection number `connection` that were read at `received` and arrived after `since` (epoch seconds,
    local clock). An empty chunk announces a new connection."""

    received: float
    since: float
    connection: int
    data: bytes


class _SpillFile:
    """One temporary file: written at its end, read from its start, then discarded."""

    def __init__(self, folder: Path) -> None:
        # The library needs 9 MB of memory, and most queues never reach the disk.
        from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.modes import CTR  # noqa: PLC0415

        create_directory(folder)
        self._file = tempfile.TemporaryFile(dir=folder, prefix="capture-")  # noqa: SIM115  closed by the queue
        key = AES(os.urandom(32))
        self._create_cipher: Callable[[bytes], Any] = lambda nonce: Cipher(key, CTR(nonce))
        self.written = self._read = 0

    def append(self, chunk: Chunk) -> int:
        """Write after the last record. The record becomes readable when `written` is increased by the returned size."""
        nonce = os.urandom(16)
        header = _HEADER.pack(chunk.received, chunk.since, chunk.connection, len(chunk.data), nonce)
        encrypted = self._apply_cipher(chunk.data, nonce)
        total = len(header) + len(encrypted)
        written_bytes = os.pwritev(self._file.fileno(), (header, encrypted), self.written)
        while written_bytes < total:  # a full disk may accept only a part
            written_bytes += os.pwrite(
                self._file.fileno(), (header + encrypted)[written_bytes:], self.written + written_bytes
            )
        return written_bytes

    def read(self) -> Chunk:
        head = os.pread(self._file.fileno(), _HEADER.size, self._read)
        if len(head) < _HEADER.size:
            raise OSError("the spill file is truncated")
        received, since, connection, length, nonce = _HEADER.unpack(head)
        data = os.pread(self._file.fileno(), length, self._read + _HEADER.size)
        if len(data) < length:
            raise OSError("the spill file is truncated")
        self._read += _HEADER.size + length
        return Chunk(received, since, connection, self._apply_cipher(data, nonce))

    def _apply_cipher(self, data: bytes, nonce: bytes) -> bytes:
        """Encrypt or decrypt; in counter mode both are the same operation."""
        encrypted: bytes = self._create_cipher(nonce).encryptor().update(data)
        return encrypted

    def skip(self) -> None:
        """Discard the remaining content."""
        self._read = self.written

    @property
    def is_exhausted(self) -> bool:
        return self._read >= self.written

    @property
    def remaining(self) -> int:
        return self.written - self._read

    def close(self) -> None:
        self._file.close()


class SpillQueue:
    """Oldest to newest: `_front` (memory), `_spill_files` (disk), `_tail` (memory, about to be written to disk).

    `put` never touches the disk: a separate thread writes the tail, which may hold twice `memory_limit` while the disk
    is slow. `folder=None`: without a disk, `put` waits when memory is full.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        memory_limit: int = 64 * MEBIBYTE,
        disk_limit: int = 2048 * MEBIBYTE,
        file_size: int = 64 * MEBIBYTE,
    ) -> None:
        self._folder, self._memory_limit, self._disk_limit, self._file_size = (
            folder,
            memory_limit,
            disk_limit,
            file_size,
        )
        self._condition = threading.Condition()
        self._front: deque[Chunk] = deque()
        self._spill_files: deque[_SpillFile] = deque()
        self._tail: deque[Chunk] = deque()
        self._front_bytes = self._tail_bytes = 0
        self._writer: threading.Thread | None = None
        self._writing = False
        self._disk_failed = False
        self._closed = False

    def put(self, chunk: Chunk, timeout: float) -> bool:
        """False if there was no space within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._condition:
            while not self._try_put(chunk):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._condition.wait(remaining):
                    return False
            self._condition.notify_all()
            return True

    def get(self, timeout: float) -> Chunk | None:
        """The oldest chunk. Raises OSError if it was on disk and cannot be read: the rest of its file is lost too."""
        with self._condition:
            if (
                not self._condition.wait_for(lambda: self._is_readable or self._closed, timeout)
                or not self._is_readable
            ):
                return None
            if self._front:
                chunk = self._front.popleft()
                self._front_bytes -= len(chunk.data)
            elif self._has_chunks_on_disk:
                chunk = self._read_from_disk()
            else:
                chunk = self._tail.popleft()
                self._tail_bytes -= len(chunk.data)
            self._condition.notify_all()
            return chunk

    @property
    def is_empty(self) -> bool:
        return not (self._front or self._tail or self._has_chunks_on_disk)

    @property
    def backlog_bytes(self) -> int:
        """Waiting bytes, in memory and on disk."""
        return self._front_bytes + self._tail_bytes + self.spilled_bytes

    @property
    def spilled_bytes(self) -> int:
        """Waiting bytes on disk."""
        return sum(segment.remaining for segment in tuple(self._spill_files))

    def close(self) -> None:
        """Accept no more chunks. Waiting chunks can still be read; afterwards `get` returns None at once."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._writer is not None:
            self._writer.join(1)

    @property
    def _is_readable(self) -> bool:
        # A chunk that is being written is read from disk afterwards.
        return bool(self._front or self._has_chunks_on_disk or (self._tail and not self._writing))

    @property
    def _has_chunks_on_disk(self) -> bool:
        return bool(self._spill_files) and not self._spill_files[0].is_exhausted

    def _try_put(self, chunk: Chunk) -> bool:
        if self._closed:
            return True  # the chunk is discarded
        size = len(chunk.data)
        # While chunks are on their way to disk, later chunks must follow them to keep the order.
        if not self._spill_files and not self._tail:
            if not self._front or self._front_bytes + size <= self._memory_limit:
                self._front.append(chunk)
                self._front_bytes += size
                return True
            if self._folder is not None:
                log.info("capture: events arrive faster than they can be written; spilling to %s", self._folder)
        # One chunk is always accepted, or a chunk larger than the limit would never be.
        if self._folder is None or (self._tail and self._tail_bytes + size > 2 * self._memory_limit):
            return False
        self._tail.append(chunk)
        self._tail_bytes += size
        if self._writer is None:
            self._writer = threading.Thread(target=self._run_writer, name="capture-spill", daemon=True)
            self._writer.start()
        return True

    def _run_writer(self) -> None:
        """The writer thread: moves the tail to disk. It writes without the lock and publishes what it wrote under the
        lock."""
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._can_write or self._closed)
                if self._closed:
                    return
                chunk, self._writing = self._tail[0], True
                last = self._spill_files[-1] if self._spill_files else None
            segment, size = self._append_to_file(chunk, last)
            with self._condition:
                self._writing = False
                if segment is not None:
                    segment.written += size
                    if segment is not last:
                        self._spill_files.append(segment)
                    self._tail.popleft()
                    self._tail_bytes -= len(chunk.data)
                self._drop_exhausted()
                self._condition.notify_all()
                if segment is None:
                    self._condition.wait_for(lambda: self._closed, _DISK_RETRY_DELAY)

    @property
    def _can_write(self) -> bool:
        return bool(self._tail) and self.spilled_bytes + len(self._tail[0].data) <= self._disk_limit

    def _append_to_file(self, chunk: Chunk, last: _SpillFile | None) -> tuple[_SpillFile | None, int]:
        """The file that took the chunk, `last` or a new one, and the number of bytes; None if writing failed."""
        assert self._folder is not None
        segment = None
        try:
            segment = last if last is not None and last.written < self._file_size else _SpillFile(self._folder)
            size = segment.append(chunk)
        except OSError as error:
            if not self._disk_failed:
                log.warning("capture: cannot spill to %s (%s); reading events may pause", self._folder, error)
            self._disk_failed = True
            if segment is not None and segment is not last:
                segment.close()
            return None, 0
        self._disk_failed = False
        return segment, size

    def _read_from_disk(self) -> Chunk:
        try:
            return self._spill_files[0].read()
        except OSError:
            self._spill_files[0].skip()
            raise
        finally:
            self._drop_exhausted()

    def _drop_exhausted(self) -> None:
        # The last file may be in use by the writer.
        while (
            self._spill_files
            and self._spill_files[0].is_exhausted
            and not (self._writing and len(self._spill_files) == 1)
        ):
            self._spill_files.popleft().close()
