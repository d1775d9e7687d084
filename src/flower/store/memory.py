"""The reference: a store that is a dict, and a search that is `match`. Slow and plainly right; the store on
disk is compared with it."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from flower.errors import Invalid
from flower.records import FINAL_STATES, Gap, Task, Worker
from flower.search.match import predicate
from flower.search.tree import EVERYTHING, Node
from flower.store.port import SORT_KEYS, Batch, Changes, Query, Retention, Sort, Stored, StoreStatus

_ATTRIBUTE = {"worker": "hostname"}
_FOLDED = frozenset({"name", "state", "worker", "uuid"})


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
        if not (batch.new or batch.changed or batch.workers or batch.gaps):
            return []
        store = self._store
        with store.lock:
            for change in batch.changed:
                self._put(change.after)
            keys = [self._put(task) for task in batch.new]
            store.workers.update((worker.hostname, worker) for worker in batch.workers)
            store.gaps.update(((gap.start, gap.reason), gap) for gap in batch.gaps)
            touched = [*(task.uuid for task in batch.new), *(change.after.uuid for change in batch.changed)]
            store.batches.append(tuple(dict.fromkeys(touched)))
            return keys

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

    def workers(self) -> Mapping[str, Worker]:
        with self._store.lock:
            return dict(sorted(self._store.workers.items()))

    def set_status(self, status: Mapping[str, Any]) -> None:
        self._store.status = dict(status)

    def close(self) -> None:
        pass


class MemoryReader:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def task(self, uuid: str) -> Task | None:
        with self._store.lock:
            key = self._store.keys.get(uuid)
            return None if key is None else self._store.tasks[key]

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0) -> Iterator[Task]:
        holds = predicate(query.where)
        unknown = [sort.key for sort in query.sort if sort.key not in SORT_KEYS]
        if unknown:
            raise Invalid(f"Tasks cannot be sorted by '{unknown[0]}'", hint=f"there are {', '.join(SORT_KEYS)}")
        if limit is not None and limit <= 0:
            return iter(())
        with self._store.lock:
            found = [(key, task) for key, task in self._store.tasks.items() if holds(task)]
        found.sort(key=lambda item: item[0], reverse=bool(query.sort) and query.sort[0].descending)
        for sort in reversed(query.sort):
            found = _sorted(found, sort)
        return islice((task for _, task in found), max(0, offset), None if limit is None else max(0, offset) + limit)

    def count(self, where: Node = EVERYTHING) -> int:
        holds = predicate(where)
        with self._store.lock:
            return sum(map(holds, self._store.tasks.values()))

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        wanted = set(uuids)
        found: dict[str, list[str]] = {}
        with self._store.lock:
            for _, task in sorted(self._store.tasks.items()):
                if task.parent_id in wanted and task.parent_id is not None:
                    found.setdefault(task.parent_id, []).append(task.uuid)
        return found

    def names(self) -> Sequence[str]:
        with self._store.lock:
            return sorted({task.name for task in self._store.tasks.values() if task.name is not None})

    def workers(self) -> Mapping[str, Worker]:
        return MemoryWriter(self._store).workers()

    def gaps(self) -> Sequence[Gap]:
        with self._store.lock:
            return tuple(gap for _, gap in sorted(self._store.gaps.items()))

    def changes(self, after: int) -> Changes:
        with self._store.lock:
            newest = len(self._store.batches)
            if after > newest or after < 0:
                return Changes(newest, (), complete=False)
            touched = (uuid for batch in self._store.batches[after:] for uuid in batch)
            return Changes(newest, tuple(dict.fromkeys(touched)))

    def status(self) -> StoreStatus:
        with self._store.lock:
            return StoreStatus(len(self._store.batches), len(self._store.tasks), 0, 1)

    def recorder_status(self) -> Mapping[str, Any]:
        return self._store.status

    def close(self) -> None:
        pass


def _sorted(found: list[tuple[int, Task]], sort: Sort) -> list[tuple[int, Task]]:
    """By one key, stably; those without a value last."""
    value = _value(sort.key)
    there = [item for item in found if value(item[1]) is not None]
    missing = [item for item in found if value(item[1]) is None]
    # sorted(reverse=True) keeps equal items in their order
    return sorted(there, key=lambda item: value(item[1]), reverse=sort.descending) + missing


def _value(key: str) -> Callable[[Task], Any]:
    attribute = _ATTRIBUTE.get(key, key)
    if key in _FOLDED:
        return lambda task: None if getattr(task, attribute) is None else getattr(task, attribute).casefold()
    return lambda task: getattr(task, attribute)
