"""From a path to a store."""

import os
from typing import Final

from flower.store.ledger import Ledger
from flower.store.protocols import Reader, Writer
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.ledger import SqliteLedger
from flower.store.sqlite.reader import SqliteReader
from flower.store.sqlite.schema import DEFAULT_SEGMENT_TASKS

#: Where a store is if nobody says.
DEFAULT_PATH: Final = "flower-data"


def open_writer(
    path: str | os.PathLike[str] = DEFAULT_PATH,
    *,
    segment_tasks: int = DEFAULT_SEGMENT_TASKS,
    text_index: bool = True,
    index_process: bool = False,
) -> Writer:
    """The one writer of the store in this directory, which is made if it is not there.

    Raises StoreInUse if another process writes to it (the message says which), NotAStore if the path holds
    something else, WrongVersion if its format is not ours, StoreFull if there is no room even to open it, and
    StoreError if it cannot be written. `segment_tasks` is for tests: tasks per file of new segments. Without
    `text_index`, texts that are written are found by reading the rows until another writer has indexed them. The
    index is kept by a thread or, with `index_process`, by a process that ends with the writer, which makes writing
    faster."""
    # it needs numpy, which a process that only reads need not load: that is a tenth of a second of its start
    from flower.store.sqlite.writer import SqliteWriter  # noqa: PLC0415

    return SqliteWriter(
        StoreDirectory(path), segment_tasks=segment_tasks, text_index=text_index, index_process=index_process
    )


def open_ledger(path: str | os.PathLike[str] = DEFAULT_PATH) -> Ledger:
    """What people did, beside the tasks of the store in this directory. Made when it is first needed. Raises NotAStore
    and WrongVersion."""
    folder = StoreDirectory(path)
    folder.verify()
    return SqliteLedger(folder)


def open_reader(path: str | os.PathLike[str] = DEFAULT_PATH, *, time_limit: float | None = None) -> Reader:
    """A reader of the store in this directory. It may be opened before the store is made: then it is empty
    until it is. `time_limit` is how many seconds anyone may wait for an answer, or for the next part of a
    long one; beyond that, WaitedTooLong. Raises NotAStore and WrongVersion."""
    return SqliteReader(StoreDirectory(path), time_limit=time_limit)
