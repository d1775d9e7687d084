"""The Writer on a directory of segments. For one thread only."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import apsw

from flower.counters import TaskCounters
from flower.errors import StoreError
from flower.records import Task, Worker
from flower.store.protocols import Batch, Retention, StoredTask, TaskChange
from flower.store.sqlite.bloom_filter import bloom_hashes
from flower.store.sqlite.connection import translate_disk_full
from flower.store.sqlite.counters import read_counters
from flower.store.sqlite.directory import StatusFile, StoreDirectory, WriterLock
from flower.store.sqlite.file_examination import FileExamination
from flower.store.sqlite.meta_db import read_workers
from flower.store.sqlite.retention import RetentionPruner
from flower.store.sqlite.row_codec import pack_id
from flower.store.sqlite.schema import DEFAULT_SEGMENT_TASKS
from flower.store.sqlite.segment import DamagedFile
from flower.store.sqlite.segment_set import SegmentSet
from flower.store.sqlite.text import INDEX_POLL_INTERVAL, Indexer
from flower.store.sqlite.text.backlog import IndexBacklog
from flower.store.sqlite.text.process import IndexProcess
from flower.store.sqlite.transaction import Transaction

T = TypeVar("T")


class SqliteWriter:
    """The Writer of the store on disk."""

    def __init__(
        self,
        directory: StoreDirectory,
        *,
        segment_tasks: int = DEFAULT_SEGMENT_TASKS,
        text_index: bool = True,
        index_process: bool = False,
    ) -> None:
        """Takes the lock and opens every segment once. With `text_index` a thread maintains the text index, or a
        process. Raises StoreInUse, InvalidStore, StoreVersionMismatch, StoreFull or StoreError, without changing
        anything."""
        directory.verify()
        directory.create()
        self._directory = directory
        self._lock = WriterLock(directory)
        try:
            with translate_disk_full(directory.path):
                self._status = StatusFile(directory)
                self._segments = SegmentSet(directory, segment_tasks)
        except BaseException:
            self._lock.release()
            raise
        self._examination = FileExamination(self._segments)
        self._pruner = RetentionPruner(self._segments, segment_tasks)
        self._index_backlog = IndexBacklog(directory)
        self._indexer = Indexer(directory.text_path, self._index_backlog)
        self._index_process = IndexProcess(directory) if text_index and index_process else None
        if self._index_process is not None:
            self._index_process.ensure_running()
        elif text_index:
            self._indexer.start()

    @property
    def identity(self) -> str:
        return self._segments.meta.identity

    def load(self, uuids: Iterable[str]) -> Mapping[str, StoredTask]:
        ids = list(uuids)
        if not ids:
            return {}
        tasks = self._retry_after_quarantine(lambda: self._load(ids))
        self._segments.close_idle()
        return tasks

    def write(self, batch: Batch) -> Sequence[int]:
        if batch.is_empty and batch.parked is None:
            return []
        keys = self._retry_after_quarantine(lambda: self._write(batch))
        if batch.new or batch.changed:
            self._record_change()
        self._status.signal_change()
        return keys

    def parked_tasks(self) -> Sequence[Task]:
        return self._segments.meta.parked_tasks()

    def prune(self, retention: Retention, now: float) -> int:
        removed = self._retry_after_quarantine(lambda: self._prune(retention, now))
        if removed:
            self._record_change()
        return removed

    def maintain(self) -> bool:
        self._lock.verify()
        if self._index_process is not None:
            self._index_process.ensure_running()
        self._retry_after_quarantine(self._examination.run)
        is_changed = self._retry_after_quarantine(self._segments.maintain)
        if is_changed:
            self._record_change()
        return is_changed

    def finish_maintenance(self) -> None:
        """Complete all maintenance, and wait until all texts are indexed. For programs that fill a store."""
        while self._retry_after_quarantine(partial(self._segments.maintain, quiet=0.0)):
            pass
        # two more rounds of the indexer: the first may have begun before the last write
        for _ in range(2):
            time.sleep(2 * INDEX_POLL_INTERVAL)
            while self._indexer.is_alive() and not self._indexer.is_idle:
                time.sleep(0.1)

    def workers(self) -> Mapping[str, Worker]:
        return read_workers(self._segments.meta.connection)

    def remove_workers(self, hostnames: Collection[str]) -> None:
        self._lock.verify()
        self._retry_after_quarantine(lambda: self._segments.meta.remove_workers(hostnames))

    def counters(self) -> Sequence[TaskCounters]:
        return read_counters(self._segments.meta.connection, 0).changed

    def capture_progress(self) -> bytes:
        return self._segments.meta.capture_progress()

    def recorder_status(self) -> Mapping[str, Any]:
        return self._directory.read_status()

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._status.write(status)

    def close(self) -> None:
        if self._index_process is not None:
            self._index_process.stop()
        self._indexer.stop()
        self._index_backlog.close()
        self._segments.close()
        self._status.close()
        self._lock.release()

    def _record_change(self) -> None:
        if self._index_process is not None:
            self._index_process.record_change()

    def _retry_after_quarantine(self, action: Callable[[], T]) -> T:
        """Run an action; if a file is damaged, quarantine it and run the action again with the others."""
        with translate_disk_full(self._directory.path):
            for _ in range(len(self._segments.catalog) + 2):
                try:
                    self._segments.finish_deferred()
                    return action()
                except DamagedFile as damage:
                    self._segments.quarantine(damage)
        raise StoreError(f"{self._directory.path} is damaged and cannot be repaired")

    def _load(self, uuids: Sequence[str]) -> dict[str, StoredTask]:
        packed = [pack_id(uuid) for uuid in uuids]
        found: dict[str, StoredTask] = {}
        for number, indexes in self._segments.files.bloom_filters.iter_candidates(bloom_hashes(packed)):
            file = None
            for index in indexes:
                if uuids[index] not in found:
                    file = file or self._segments.segment(number)
                    stored = file.find(packed[index])
                    if stored is not None:
                        found[uuids[index]] = stored
        return found

    def _write(self, batch: Batch) -> list[int]:
        known: dict[str, StoredTask] = {}
        new = batch.new
        while True:
            transaction = Transaction(self._segments)
            try:
                keys = self._apply_batch(transaction, new, batch.changed, known)
                transaction.commit(
                    [*known, *(change.after.uuid for change in batch.changed)],
                    batch.workers,
                    batch.gaps,
                    parked=batch.parked,
                    batch=batch,
                )
                return [keys[task.uuid] for task in batch.new]
            except apsw.ConstraintError:
                transaction.rollback()
                if known or new is not batch.new:
                    raise
                # a "new" task is stored already, or twice in the batch: the last one is valid
                known = self._load([task.uuid for task in new])
                new = tuple({task.uuid: task for task in new}.values())
            except BaseException:
                transaction.rollback()
                raise

    def _apply_batch(
        self,
        transaction: Transaction,
        new: Sequence[Task],
        changed: Sequence[TaskChange],
        known: Mapping[str, StoredTask],
    ) -> dict[str, int]:
        """Apply the batch without committing. Return the keys of the new tasks."""
        missing = self._update(transaction, changed)
        # their rows were moved or removed since the caller read them
        reloaded = self._load([change.after.uuid for change in missing]) if missing else {}
        reinserted = self._replace(transaction, [change.after for change in missing], reloaded)
        unstored = self._replace(transaction, new, known) if known else new
        keys = transaction.insert([*unstored, *reinserted])
        new_keys = {task.uuid: key for task, key in zip(unstored, keys, strict=False)}
        new_keys.update((uuid, _require_key(stored)) for uuid, stored in known.items())
        return new_keys

    def _replace(
        self, transaction: Transaction, tasks: Sequence[Task], stored: Mapping[str, StoredTask]
    ) -> Sequence[Task]:
        """Overwrite stored tasks. Return those that are not stored."""
        changes = [
            TaskChange(_require_key(stored[task.uuid]), stored[task.uuid].task, task)
            for task in tasks
            if task.uuid in stored
        ]
        self._update(transaction, changes)
        return [task for task in tasks if task.uuid not in stored]

    def _update(self, transaction: Transaction, changes: Sequence[TaskChange]) -> list[TaskChange]:
        """Return the changes whose rows have moved or were removed."""
        missing: list[TaskChange] = []
        by_segment: dict[int, list[TaskChange]] = {}
        for change in changes:
            entry = self._segments.catalog.covering(change.key)
            if entry is None:
                missing.append(change)
            else:
                by_segment.setdefault(entry.number, []).append(change)
        for number, group in sorted(by_segment.items()):
            missing += transaction.update(number, group)
        return missing

    def _prune(self, retention: Retention, now: float) -> int:
        transaction = Transaction(self._segments)
        try:
            return self._pruner.prune_step(transaction, retention, now)
        except BaseException:
            transaction.rollback()
            raise


def _require_key(stored: StoredTask) -> int:
    assert stored.key is not None
    return stored.key
