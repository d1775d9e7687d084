"""Opens a writer, a reader or the ledger at a path."""

import os
from typing import Final

from flower.store.ledger import Ledger
from flower.store.protocols import Reader, Writer
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.ledger import SqliteLedger
from flower.store.sqlite.reader import SqliteReader
from flower.store.sqlite.schema import DEFAULT_SEGMENT_TASKS
from flower.store.sqlite.writer import SqliteWriter

#: Default directory of the store.
DEFAULT_PATH: Final = "flower-data"


def open_writer(
    path: str | os.PathLike[str] = DEFAULT_PATH,
    *,
    segment_tasks: int = DEFAULT_SEGMENT_TASKS,
    text_index: bool = True,
    index_process: bool = False,
) -> Writer:
    """Open the writer of the store in this directory, which is created if it does not exist.

    Raises StoreInUse if another process writes to it (the message names the process), InvalidStore if the path is not a
    store, StoreVersionMismatch if its format is not supported, StoreFull if there is no disk space to open it, and
    StoreError if it cannot be written. `segment_tasks` is for tests: tasks per file of new segments. Without
    `text_index`, new texts are found by reading rows until another writer has indexed them. The index is maintained by
    a thread or, with `index_process`, by a process that ends with the writer; this makes writing faster.
    """
    return SqliteWriter(
        StoreDirectory(path), segment_tasks=segment_tasks, text_index=text_index, index_process=index_process
    )


def open_ledger(path: str | os.PathLike[str] = DEFAULT_PATH) -> Ledger:
    """Open the ledger of the store in this directory. Its file is created when first needed. Raises InvalidStore and
    StoreVersionMismatch."""
    directory = StoreDirectory(path)
    directory.verify()
    return SqliteLedger(directory)


def open_reader(path: str | os.PathLike[str] = DEFAULT_PATH, *, time_limit: float | None = None) -> Reader:
    """Open a reader of the store in this directory. The store may be created later; until then the reader has no tasks.
    `time_limit` is the maximum time in seconds for a result, or for the next part of a long one; beyond it queries
    raise DeadlineExceeded. Raises InvalidStore and StoreVersionMismatch."""
    return SqliteReader(StoreDirectory(path), time_limit=time_limit)
