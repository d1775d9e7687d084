"""Both implementations of the store, SQLite with small segments, which are compressed at once if this is requested."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from flower.store.factory import open_reader, open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Batch, Reader, Writer
from flower.store.sqlite import segment_compressor
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.writer import SqliteWriter

SEGMENT = 50


@dataclass
class Store:
    writer: Writer
    reader: Reader
    #: closes the writer and opens another one, as a restart does
    restart: Callable[[], Writer]


@contextmanager
def compressing_small_segments() -> Iterator[None]:
    """Full segments of any size are compressed by maintenance."""
    with patch.object(segment_compressor, "MIN_FILE_BYTES", 0):
        yield


class CompressingWriter(SqliteWriter):
    """Compresses all full segments after each write."""

    def write(self, batch: Batch) -> Sequence[int]:
        keys = super().write(batch)
        with compressing_small_segments():
            while self._retry_after_quarantine(partial(self._segments.maintain, quiet=0.0)):
                pass
        return keys


@pytest.fixture(params=["memory", "sqlite", "compressed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Runs the test on every store."""
    with opened(request.param, tmp_path) as made:
        yield made


@contextmanager
def opened(kind: str, folder: Path, *, segment_tasks: int = SEGMENT) -> Iterator[Store]:
    if kind == "memory":
        shared = MemoryStore()
        yield Store(MemoryWriter(shared), MemoryReader(shared), lambda: MemoryWriter(shared))
        return
    path = folder / "data"

    def open_again() -> Writer:
        if kind == "compressed":
            return CompressingWriter(StoreDirectory(path), segment_tasks=segment_tasks, text_index=False)
        return open_writer(path, segment_tasks=segment_tasks, text_index=False)

    def restart() -> Writer:
        made.writer.close()
        made.writer = open_again()
        return made.writer

    made = Store(open_again(), open_reader(path), restart)
    try:
        yield made
    finally:
        made.writer.close()
        made.reader.close()
