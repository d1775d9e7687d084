"""A queue of byte chunks, bounded in memory, then on disk, in order.

The drain thread puts, the reader gets. Beyond the memory bound chunks go to nameless temporary files (a
process that is killed leaves nothing behind); only when their bound is reached too, or the disk refuses or
cannot keep up, does `put` wait. The bytes are those of the wire and may hold what is never to be kept: on
disk they are encrypted, with a key that only this process has.
"""

import logging
import os
import struct
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

log = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024
#: received, connection, length, nonce
_HEADER = struct.Struct(">dQI16s")
_DISK_RETRY_DELAY = 1.0


class Chunk(NamedTuple):
    """Bytes as they came off connection number `connection` at `received` (epoch seconds, our clock).
    An empty chunk announces a new connection."""

    received: float
    connection: int
    data: bytes


class _SpillFile:
    """One temporary file: written at its end, read from its start, then thrown away."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, prefix="capture-")  # noqa: SIM115  closed by the queue
        self._key = AES(os.urandom(32))
        self.written = self._read = 0

    def append(self, chunk: Chunk) -> int:
        """Write behind the last record; it can be read once `written` is raised by what this returns."""
        nonce = os.urandom(16)
        header = _HEADER.pack(chunk.received, chunk.connection, len(chunk.data), nonce)
        sealed = self._apply_cipher(chunk.data, nonce)
        total = len(header) + len(sealed)
        done = os.pwritev(self._file.fileno(), (header, sealed), self.written)
        while done < total:  # a full disk may take a part of it and refuse the rest
            done += os.pwrite(self._file.fileno(), (header + sealed)[done:], self.written + done)
        return done

    def read(self) -> Chunk:
        head = os.pread(self._file.fileno(), _HEADER.size, self._read)
        if len(head) < _HEADER.size:
            raise OSError("the spill file is shorter than what was written")
        received, connection, length, nonce = _HEADER.unpack(head)
        data = os.pread(self._file.fileno(), length, self._read + _HEADER.size)
        if len(data) < length:
            raise OSError("the spill file is shorter than what was written")
        self._read += _HEADER.size + length
        return Chunk(received, connection, self._apply_cipher(data, nonce))

    def _apply_cipher(self, data: bytes, nonce: bytes) -> bytes:
        """Encrypted, or decrypted: in counter mode it is the same."""
        return Cipher(self._key, CTR(nonce)).encryptor().update(data)

    def skip(self) -> None:
        """Give up what is in it."""
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
    """Oldest to newest: `_front` (memory), `_segments` (disk), `_tail` (memory, on its way to disk).

    `put` never touches the disk: a thread of its own writes the tail down, which may hold twice `memory` while
    the disk is slow. `folder=None`: no disk, `put` waits when memory is full.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        memory_limit: int = 64 * MEGABYTE,
        disk_limit: int = 2048 * MEGABYTE,
        file_size: int = 64 * MEGABYTE,
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
        """False if there was no room within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._condition:
            while not self._try_put(chunk):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._condition.wait(remaining):
                    return False
            self._condition.notify_all()
            return True

    def get(self, timeout: float) -> Chunk | None:
        """The oldest chunk. Raises OSError if it was on disk and cannot be read: it and what was spilled with
        it are lost."""
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
    def backlog_bytes(self) -> int:
        """Bytes waiting, in memory and on disk."""
        return self._front_bytes + self._tail_bytes + self.spilled_bytes

    @property
    def spilled_bytes(self) -> int:
        """Bytes waiting on disk."""
        return sum(segment.remaining for segment in tuple(self._spill_files))

    def close(self) -> None:
        """Take nothing more; what is there can still be read, then `get` gives None at once."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._writer is not None:
            self._writer.join(1)

    @property
    def _is_readable(self) -> bool:
        # What is just being written down is read from the disk, a moment later.
        return bool(self._front or self._has_chunks_on_disk or (self._tail and not self._writing))

    @property
    def _has_chunks_on_disk(self) -> bool:
        return bool(self._spill_files) and not self._spill_files[0].is_exhausted

    def _try_put(self, chunk: Chunk) -> bool:
        if self._closed:
            return True  # nobody asked for more
        size = len(chunk.data)
        # Once something is on its way to disk, what follows must go there too, or it would overtake.
        if not self._spill_files and not self._tail:
            if not self._front or self._front_bytes + size <= self._memory_limit:
                self._front.append(chunk)
                self._front_bytes += size
                return True
            if self._folder is not None:
                log.info("capture: more events than can be written at once; keeping them in %s", self._folder)
        # as in memory, one chunk always has room, or one that is larger than the bound would wait for the reader
        if self._folder is None or (self._tail and self._tail_bytes + size > 2 * self._memory_limit):
            return False
        self._tail.append(chunk)
        self._tail_bytes += size
        if self._writer is None:
            self._writer = threading.Thread(target=self._run_writer, name="capture-spill", daemon=True)
            self._writer.start()
        return True

    def _run_writer(self) -> None:
        """The writer's thread: from the tail to the disk, as long as there is a tail. It writes without the
        lock and makes known what it wrote under it."""
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
        """The segment that took the chunk, `last` or a new one, and how many bytes; None if the disk refused."""
        assert self._folder is not None
        segment = None
        try:
            segment = last if last is not None and last.written < self._file_size else _SpillFile(self._folder)
            size = segment.append(chunk)
        except OSError as error:
            if not self._disk_failed:
                log.warning("capture: cannot spill to %s (%s): reading from the broker may wait", self._folder, error)
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
        # The last one may be just being written to.
        while (
            self._spill_files
            and self._spill_files[0].is_exhausted
            and not (self._writing and len(self._spill_files) == 1)
        ):
            self._spill_files.popleft().close()
