"""What is in the store, and who writes it."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flower.records import FINAL_STATES, Gap, Task, Worker
from flower.store.answers import WorkerMoment
from flower.store.history import MAX_MOMENTS, WorkerLog
from flower.store.port import Batch, Retention, Stored
from flower.tallies import Key, Tally


class MemoryStore:
    """What a writer and its readers share."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tasks: dict[int, Task] = {}
        self.keys: dict[str, int] = {}
        self.workers: dict[str, Worker] = {}
        self.gaps: dict[tuple[float, str], Gap] = {}
        #: the ids that each write touched
        self.batches: list[tuple[str, ...]] = []
        self.status: dict[str, Any] = {}
        self.next_key = 1
        self.held: tuple[Task, ...] = ()
        self.worker_log = WorkerLog({}, {})
        self.moments: list[WorkerMoment] = []
        #: each with the number of the write that changed it
        self.tallies: dict[Key, tuple[int, Tally]] = {}
        #: the write that forgot tallies last
        self.forgot = 0
        self.marks = b""

    def put(self, key: int, task: Task) -> None:
        self.tasks[key] = task
        self.keys[task.uuid] = key

    def forget(self, key: int) -> None:
        del self.keys[self.tasks.pop(key).uuid]


class MemoryWriter:
    identity = "memory"

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def held(self) -> Sequence[Task]:
        return self._store.held

    def load(self, uuids: Iterable[str]) -> Mapping[str, Stored]:
        store = self._store
        with store.lock:
            keys = {uuid: store.keys[uuid] for uuid in uuids if uuid in store.keys}
            return {uuid: Stored(key, store.tasks[key]) for uuid, key in keys.items()}

    def write(self, batch: Batch) -> Sequence[int]:
        if batch.held is not None:
            self._store.held = tuple(batch.held)
        if batch.marks is not None:
            self._store.marks = batch.marks
        if batch.is_empty:
            return []
        store = self._store
        with store.lock:
            for change in batch.changed:
                self._put(change.after)
            keys = [self._put(task) for task in batch.new]
            store.moments += store.worker_log.take(batch.workers)
            del store.moments[:-MAX_MOMENTS]
            store.workers.update((worker.hostname, worker) for worker in batch.workers)
            store.gaps.update(((gap.start, gap.reason), gap) for gap in batch.gaps)
            touched = [*(task.uuid for task in batch.new), *(change.after.uuid for change in batch.changed)]
            store.batches.append(tuple(dict.fromkeys(touched)))
            self._put_tallies(batch)
            return keys

    def _put_tallies(self, batch: Batch) -> None:
        store, sequence = self._store, len(self._store.batches)
        for key in batch.forgotten:
            store.tallies.pop(key, None)
            store.forgot = sequence
        store.tallies.update((tally.key, (sequence, tally)) for tally in batch.tallies)

    def _put(self, task: Task) -> int:
        store = self._store
        key = store.keys.get(task.uuid)
        if key is None:
            key, store.next_key = store.next_key, store.next_key + 1
        store.put(key, task)
        return key

    def prune(self, retention: Retention, now: float) -> int:
        """A dict has no size on disk: that limit is not looked at."""
        store = self._store
        with store.lock:
            going: list[int] = []
            if retention.max_age is not None:
                going = self._expired(now - retention.max_age)
            if not going and retention.max_tasks is not None:
                excess = len(store.tasks) - max(0, retention.max_tasks)
                going = self._oldest()[: max(0, excess)]
            for key in going:
                store.forget(key)
            if going:
                store.batches.append(())
            return len(going)

    def _oldest(self) -> list[int]:
        """Those that have ended first."""
        tasks = self._store.tasks
        return sorted(tasks, key=lambda key: (tasks[key].state not in FINAL_STATES, key))

    def _expired(self, cutoff: float) -> list[int]:
        old = [key for key, task in self._store.tasks.items() if task.timestamp is not None and task.timestamp < cutoff]
        ended = [key for key in old if self._store.tasks[key].state in FINAL_STATES]
        any_ended = any(task.state in FINAL_STATES for task in self._store.tasks.values())
        return ended if any_ended else old

    def maintain(self) -> bool:
        return False

    def workers(self) -> Mapping[str, Worker]:
        with self._store.lock:
            return dict(sorted(self._store.workers.items()))

    def tallies(self) -> Sequence[Tally]:
        return [tally for _, tally in self._store.tallies.values()]

    def marks(self) -> bytes:
        return self._store.marks

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._store.status = dict(status)

    def close(self) -> None:
        pass
