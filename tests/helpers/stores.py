"""Both implementations of the store, SQLite with small segments."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flower.store.factory import open_reader, open_writer
from flower.store.memory import MemoryReader, MemoryStore, MemoryWriter
from flower.store.protocols import Reader, Writer

SEGMENT = 50


@dataclass
class Store:
    writer: Writer
    reader: Reader
    #: closes the writer and opens another one, as a restart does
    restart: Callable[[], Writer]


@pytest.fixture(params=["memory", "sqlite"])
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

    def restart() -> Writer:
        made.writer.close()
        made.writer = open_writer(path, segment_tasks=segment_tasks, text_index=False)
        return made.writer

    made = Store(open_writer(path, segment_tasks=segment_tasks, text_index=False), open_reader(path), restart)
    try:
        yield made
    finally:
        made.writer.close()
        made.reader.close()
