"""A store in a list, as small as reading needs: the oracle of what the API asks for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from flower.records import Gap, Task, Worker
from flower.search.matcher import matches
from flower.search.tree import EVERYTHING, Node
from flower.store.protocols import Changes, Query, StoreStatus


class ListStore:
    """A `store.port.Reader` over a list. `pulled` counts the tasks that were taken out of `tasks`."""

    def __init__(self, tasks: Sequence[Task], workers: Sequence[Worker] = ()) -> None:
        self._tasks = list(tasks)
        self._workers = {worker.hostname: worker for worker in workers}
        self.pulled = 0

    def task(self, uuid: str) -> Task | None:
        return next((task for task in self._tasks if task.uuid == uuid), None)

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0) -> Iterator[Task]:
        found = [task for task in self._tasks if matches(query.where, task)]
        if query.sort[0].descending:
            found.reverse()
        for sort in reversed(query.sort):
            found = _ordered(found, sort.key, sort.descending)
        last = None if limit is None else offset + max(limit, 0)
        for task in found[offset:last]:
            self.pulled += 1
            yield task

    def count(self, where: Node = EVERYTHING) -> int:
        return sum(matches(where, task) for task in self._tasks)

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        wanted = set(uuids)
        found: dict[str, list[str]] = {}
        for task in self._tasks:
            if task.parent_id in wanted:
                found.setdefault(str(task.parent_id), []).append(task.uuid)
        return found

    def names(self) -> Sequence[str]:
        return sorted({task.name for task in self._tasks if task.name})

    def workers(self) -> Mapping[str, Worker]:
        return self._workers

    def gaps(self) -> Sequence[Gap]:
        return ()

    def changes(self, after: int) -> Changes:
        return Changes(sequence=after, uuids=())

    def status(self) -> StoreStatus:
        return StoreStatus(sequence=0, tasks=len(self._tasks), size_bytes=0, segments=0)

    def recorder_status(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None:
        pass


def _ordered(tasks: list[Task], key: str, descending: bool) -> list[Task]:
    attribute = "hostname" if key == "worker" else key

    def value(task: Task) -> str | float | None:
        found: str | float | None = getattr(task, attribute)
        return found.casefold() if isinstance(found, str) else found

    there = [task for task in tasks if value(task) is not None]
    missing = [task for task in tasks if value(task) is None]
    return sorted(there, key=value, reverse=descending) + missing  # type: ignore[arg-type]


class Watch:
    """As much of `Events` as reading needs."""

    def __init__(self, store: ListStore) -> None:
        self.store = store
