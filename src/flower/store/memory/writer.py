"""The Writer of the reference store, and the data that it shares with its readers."""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from flower.counters import CounterKey, TaskCounters
from flower.records import FINAL_STATES, Gap, Task, Worker
from flower.store.protocols import Batch, Retention, StoredTask
from flower.store.query_results import WorkerSnapshot
from flower.store.worker_history import MAX_WORKER_SNAPSHOTS, WorkerHistorySampler


class MemoryStore:
    """Data shared by a writer and its readers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tasks: dict[int, Task] = {}
        self.keys: dict[str, int] = {}
        self.workers: dict[str, Worker] = {}
        self.gaps: dict[str, Gap] = {}
        #: the ids of the tasks that each write changed
        self.batches: list[tuple[str, ...]] = []
        self.status: dict[str, Any] = {}
        self.next_key = 1
        self.parked: tuple[Task, ...] = ()
        self.worker_sampler = WorkerHistorySampler({}, {})
        self.worker_snapshots: list[WorkerSnapshot] = []
        #: counters with the number of the write that changed them
        self.counters: dict[CounterKey, tuple[int, TaskCounters]] = {}
        #: number of the last write that removed counters
        self.counters_dropped_at = 0
        self.capture_progress = b""

    def put(self, key: int, task: Task) -> None:
        self.tasks[key] = task
        self.keys[task.uuid] = key

    def remove(self, key: int) -> None:
        del self.keys[self.tasks.pop(key).uuid]


class MemoryWriter:
    identity = "memory"

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def parked_tasks(self) -> Sequence[Task]:
        return self._store.parked

    def load(self, uuids: Iterable[str]) -> Mapping[str, StoredTask]:
        store = self._store
        with store.lock:
            keys = {uuid: store.keys[uuid] for uuid in uuids if uuid in store.keys}
            return {uuid: StoredTask(key, store.tasks[key]) for uuid, key in keys.items()}

    def write(self, batch: Batch) -> Sequence[int]:
        if batch.parked is not None:
            self._store.parked = tuple(batch.parked)
        if batch.capture_progress is not None:
            self._store.capture_progress = batch.capture_progress
        if batch.is_empty:
            return []
        store = self._store
        with store.lock:
            for change in batch.changed:
                self._put(change.after)
            keys = [self._put(task) for task in batch.new]
            store.worker_snapshots += store.worker_sampler.sample(batch.workers)
            del store.worker_snapshots[:-MAX_WORKER_SNAPSHOTS]
            store.workers.update((worker.hostname, worker) for worker in batch.workers)
            store.gaps.update((gap.id, gap) for gap in batch.gaps)
            changed_ids = [*(task.uuid for task in batch.new), *(change.after.uuid for change in batch.changed)]
            store.batches.append(tuple(dict.fromkeys(changed_ids)))
            self._put_counters(batch)
            return keys

    def _put_counters(self, batch: Batch) -> None:
        store, sequence = self._store, len(self._store.batches)
        for key in batch.dropped_counters:
            store.counters.pop(key, None)
            store.counters_dropped_at = sequence
        store.counters.update((task_counters.key, (sequence, task_counters)) for task_counters in batch.counters)

    def _put(self, task: Task) -> int:
        store = self._store
        key = store.keys.get(task.uuid)
        if key is None:
            key, store.next_key = store.next_key, store.next_key + 1
        store.put(key, task)
        return key

    def prune(self, retention: Retention, now: float) -> int:
        """The limit of the size on disk is ignored: a dict has none."""
        store = self._store
        with store.lock:
            expired_keys: list[int] = []
            if retention.max_age is not None:
                expired_keys = self._expired(now - retention.max_age)
            if not expired_keys and retention.max_tasks is not None:
                excess = len(store.tasks) - max(0, retention.max_tasks)
                expired_keys = self._oldest()[: max(0, excess)]
            for key in expired_keys:
                store.remove(key)
            if expired_keys:
                store.batches.append(())
            return len(expired_keys)

    def _oldest(self) -> list[int]:
        """Keys in the order of removal: finished tasks first."""
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

    def remove_workers(self, hostnames: Collection[str]) -> None:
        with self._store.lock:
            for hostname in hostnames:
                self._store.workers.pop(hostname, None)
            self._store.worker_sampler.remove(hostnames)

    def counters(self) -> Sequence[TaskCounters]:
        return [task_counters for _, task_counters in self._store.counters.values()]

    def capture_progress(self) -> bytes:
        return self._store.capture_progress

    def recorder_status(self) -> Mapping[str, Any]:
        return self._store.status

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._store.status = dict(status)

    def close(self) -> None:
        pass
