"""A queue of byte chunks, bounded in memory, then on disk, in order.

The drain thread puts, the reader gets. Beyond the memory bound chunks go to nameless temporary files (a
process that is killed leaves nothing behind); only when their bound is reached too, or the disk refuses,
does `put` wait.
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

log = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024
_HEADER = struct.Struct(">dQI")


class Chunk(NamedTuple):
    """Bytes as they came off connection number `connection` at `received` (epoch seconds, our clock).
    An empty chunk announces a new connection."""

    received: float
    connection: int
    data: bytes


class _Segment:
    """One temporary file: written at its end, read from its start, then thrown away."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, prefix="capture-")  # noqa: SIM115  closed by the queue
        self.written = self._read = 0

    def append(self, chunk: Chunk) -> None:
        record = memoryview(_HEADER.pack(chunk.received, chunk.connection, len(chunk.data)) + chunk.data)
        done = 0
        while done < len(record):  # a full disk may take a part of it and refuse the rest
            done += os.pwrite(self._file.fileno(), record[done:], self.written + done)
        self.written += done  # only now does the record count

    def read(self) -> Chunk:
        head = os.pread(self._file.fileno(), _HEADER.size, self._read)
        if len(head) < _HEADER.size:
            raise OSError("the spill file is shorter than what was written")
        received, connection, length = _HEADER.unpack(head)
        data = os.pread(self._file.fileno(), length, self._read + _HEADER.size)
        if len(data) < length:
            raise OSError("the spill file is shorter than what was written")
        self._read += _HEADER.size + length
        return Chunk(received, connection, data)

    @property
    def exhausted(self) -> bool:
        return self._read >= self.written

    @property
    def unread(self) -> int:
        return self.written - self._read

    def close(self) -> None:
        self._file.close()


class SpillQueue:
    """`folder=None`: no disk, `put` waits when memory is full."""

    def __init__(
        self,
        folder: Path | None,
        *,
        memory: int = 64 * MEGABYTE,
        disk: int = 2048 * MEGABYTE,
        segment: int = 64 * MEGABYTE,
    ) -> None:
        self._folder, self._memory_limit, self._disk_limit, self._segment_size = folder, memory, disk, segment
        self._changed = threading.Condition()
        self._memory: deque[Chunk] = deque()
        self._held = 0
        self._segments: deque[_Segment] = deque()
        self._refused = False
        self._closed = False

    def put(self, chunk: Chunk, timeout: float) -> bool:
        """False if there was no room within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._place(chunk):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    return False
            self._changed.notify_all()
            return True

    def get(self, timeout: float) -> Chunk | None:
        """The oldest chunk. Raises OSError if it was on disk and cannot be read: it and what was spilled with
        it are lost."""
        with self._changed:
            if not self._changed.wait_for(self._ready, timeout) or not (self._memory or self._segments):
                return None
            if self._memory:
                chunk = self._memory.popleft()
                self._held -= len(chunk.data)
            else:
                chunk = self._unspill()
            self._changed.notify_all()
            return chunk

    @property
    def backlog(self) -> int:
        """Bytes waiting, in memory and on disk."""
        return self._held + self.spilled

    @property
    def spilled(self) -> int:
        """Bytes waiting on disk."""
        return sum(segment.unread for segment in tuple(self._segments))

    def close(self) -> None:
        """Take nothing more; what is there can still be read, then `get` gives None at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _ready(self) -> bool:
        return bool(self._memory or self._segments or self._closed)

    def _place(self, chunk: Chunk) -> bool:
        if self._closed:
            return True  # nobody will read it
        # Once something is on disk, what follows must go there too, or it would overtake.
        if not self._segments and (not self._memory or self._held + len(chunk.data) <= self._memory_limit):
            self._memory.append(chunk)
            self._held += len(chunk.data)
            return True
        return self._spill(chunk)

    def _spill(self, chunk: Chunk) -> bool:
        if self._folder is None or self.spilled + len(chunk.data) > self._disk_limit:
            return False
        try:
            if not self._segments or self._segments[-1].written >= self._segment_size:
                if not self._segments:
                    log.info("capture: more events than can be written at once; keeping them in %s", self._folder)
                fresh = _Segment(self._folder)
                try:
                    fresh.append(chunk)
                except OSError:
                    fresh.close()
                    raise
                self._segments.append(fresh)
            else:
                self._segments[-1].append(chunk)
        except OSError as error:
            if not self._refused:
                log.warning("capture: cannot spill to %s (%s): reading from the broker waits", self._folder, error)
            self._refused = True
            return False
        self._refused = False
        return True

    def _unspill(self) -> Chunk:
        segment = self._segments[0]
        try:
            chunk = segment.read()
        except OSError:
            self._segments.popleft().close()
            raise
        if segment.exhausted:
            self._segments.popleft().close()
        return chunk
