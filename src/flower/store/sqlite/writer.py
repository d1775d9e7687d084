"""The port's Writer on a directory of segments. One thread only."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import apsw

from flower.errors import StoreError
from flower.records import Task, Worker
from flower.store.port import Batch, Changed, Retention, Stored
from flower.store.sqlite.bloom import hashes
from flower.store.sqlite.codec import pack_id
from flower.store.sqlite.connection import room
from flower.store.sqlite.files import Files
from flower.store.sqlite.folder import Folder, StatusFile, WriterLock
from flower.store.sqlite.indexing import IndexProcess
from flower.store.sqlite.meta import read_workers
from flower.store.sqlite.retention import Pruning
from flower.store.sqlite.schema import SEGMENT_TASKS
from flower.store.sqlite.segment import DamagedFile
from flower.store.sqlite.tallies import read_marks, read_tallies
from flower.store.sqlite.text import PAUSE, Indexer
from flower.store.sqlite.transaction import Transaction
from flower.store.sqlite.unindexed import Unindexed
from flower.tallies import Tally

T = TypeVar("T")


class SqliteWriter:
    def __init__(
        self,
        folder: Folder,
        *,
        segment_tasks: int = SEGMENT_TASKS,
        text_index: bool = True,
        index_process: bool = False,
    ) -> None:
        """Takes the lock and opens every segment once. With `text_index` a thread keeps the index of texts, or a
        process. Raises StoreInUse, NotAStore, WrongVersion, StoreFull or StoreError; then nothing is changed."""
        folder.check()
        folder.make()
        self._folder = folder
        self._lock = WriterLock(folder)
        try:
            with room(folder.path):
                self._status = StatusFile(folder)
                self._files = Files(folder, segment_tasks)
        except BaseException:
            self._lock.release()
            raise
        self._pruning = Pruning(self._files, segment_tasks)
        self._unindexed = Unindexed(folder)
        self._indexer = Indexer(folder.text, self._unindexed)
        self._index_process = IndexProcess(folder) if text_index and index_process else None
        if self._index_process is not None:
            self._index_process.tend()
        elif text_index:
            self._indexer.start()

    @property
    def identity(self) -> str:
        return self._files.meta.identity

    def load(self, uuids: Iterable[str]) -> Mapping[str, Stored]:
        wanted = list(uuids)
        if not wanted:
            return {}
        found = self._whatever_is_damaged(lambda: self._load(wanted))
        self._files.trim()
        return found

    def write(self, batch: Batch) -> Sequence[int]:
        if batch.is_empty and batch.held is None and batch.marks is None:
            return []
        return self._whatever_is_damaged(lambda: self._write(batch))

    def held(self) -> Sequence[Task]:
        return self._files.meta.held()

    def prune(self, retention: Retention, now: float) -> int:
        return self._whatever_is_damaged(lambda: self._prune(retention, now))

    def maintain(self) -> bool:
        if self._index_process is not None:
            self._index_process.tend()
        return self._whatever_is_damaged(self._files.maintain)

    def settle(self) -> None:
        """Do all upkeep, due or not, and wait until every text is indexed: for whoever has filled a store."""
        while self._whatever_is_damaged(partial(self._files.maintain, quiet=0.0)):
            pass
        # its next two looks: the first may have begun before the last write
        for _ in range(2):
            time.sleep(2 * PAUSE)
            while self._indexer.is_alive() and not self._indexer.is_idle:
                time.sleep(0.1)

    def workers(self) -> Mapping[str, Worker]:
        return read_workers(self._files.meta.connection)

    def tallies(self) -> Sequence[Tally]:
        return read_tallies(self._files.meta.connection, 0).changed

    def marks(self) -> bytes:
        return read_marks(self._files.meta.connection)

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._status.write(status)

    def close(self) -> None:
        if self._index_process is not None:
            self._index_process.stop()
        self._indexer.stop()
        self._unindexed.close()
        self._files.close()
        self._status.close()
        self._lock.release()

    def _whatever_is_damaged(self, action: Callable[[], T]) -> T:
        """Do it; a file that turns out to be damaged is set aside, then it is done with the rest."""
        with room(self._folder.path):
            for _ in range(len(self._files.catalogue) + 2):
                try:
                    self._files.settle()
                    return action()
                except DamagedFile as damage:
                    self._files.set_aside(damage)
        raise StoreError(f"{self._folder.path} is damaged beyond use")

    def _load(self, uuids: Sequence[str]) -> dict[str, Stored]:
        packed = [pack_id(uuid) for uuid in uuids]
        found: dict[str, Stored] = {}
        for number, places in self._files.filters.possible(hashes(packed)):
            file = None
            for place in places:
                if uuids[place] not in found:
                    file = file or self._files.segment(number)
                    stored = file.find(packed[place])
                    if stored is not None:
                        found[uuids[place]] = stored
        return found

    def _write(self, batch: Batch) -> list[int]:
        known: dict[str, Stored] = {}
        new = batch.new
        while True:
            transaction = Transaction(self._files)
            try:
                keys = self._fill(transaction, new, batch.changed, known)
                transaction.commit(
                    [*(task.uuid for task in new), *(change.after.uuid for change in batch.changed)],
                    batch.workers,
                    batch.gaps,
                    held=batch.held,
                    counted=batch,
                )
                return [keys[task.uuid] for task in batch.new]
            except apsw.ConstraintError:
                transaction.rollback()
                if known or new is not batch.new:
                    raise
                # a "new" task is in the store already, or is twice in the batch: the last one is what it is now
                known = self._load([task.uuid for task in new])
                new = tuple({task.uuid: task for task in new}.values())
            except BaseException:
                transaction.rollback()
                raise

    def _fill(
        self, transaction: Transaction, new: Sequence[Task], changed: Sequence[Changed], known: Mapping[str, Stored]
    ) -> dict[str, int]:
        """Do all of it but the commit; gives the keys of the new tasks."""
        homeless = self._update(transaction, changed)
        # their rows have been moved, or forgotten, since the caller read them
        found = self._load([change.after.uuid for change in homeless]) if homeless else {}
        forgotten = self._replace(transaction, [change.after for change in homeless], found)
        unknown = self._replace(transaction, new, known) if known else new
        keys = transaction.insert([*unknown, *forgotten])
        given = {task.uuid: key for task, key in zip(unknown, keys, strict=False)}
        given.update((uuid, _key(stored)) for uuid, stored in known.items())
        return given

    def _replace(self, transaction: Transaction, tasks: Sequence[Task], stored: Mapping[str, Stored]) -> Sequence[Task]:
        """Write these over what is stored; gives those that are not."""
        there = [
            Changed(_key(stored[task.uuid]), stored[task.uuid].task, task) for task in tasks if task.uuid in stored
        ]
        self._update(transaction, there)
        return [task for task in tasks if task.uuid not in stored]

    def _update(self, transaction: Transaction, changes: Sequence[Changed]) -> list[Changed]:
        """Gives the changes whose rows are not where they were."""
        homeless: list[Changed] = []
        by_segment: dict[int, list[Changed]] = {}
        for change in changes:
            entry = self._files.catalogue.holding(change.key)
            if entry is None:
                homeless.append(change)
            else:
                by_segment.setdefault(entry.number, []).append(change)
        for number, group in sorted(by_segment.items()):
            homeless += transaction.update(number, group)
        return homeless

    def _prune(self, retention: Retention, now: float) -> int:
        transaction = Transaction(self._files)
        try:
            return self._pruning.step(transaction, retention, now)
        except BaseException:
            transaction.rollback()
            raise


def _key(stored: Stored) -> int:
    assert stored.key is not None
    return stored.key
