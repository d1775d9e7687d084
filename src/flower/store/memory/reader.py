"""The Reader of the reference store: every method iterates over all tasks."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from flower.counters import CounterDelta, InFlight, LiveWorkers
from flower.records import Gap, Task, Worker
from flower.search.matcher import compile_predicate, needs_slow_thresholds
from flower.search.tree import EVERYTHING, Node
from flower.store import cursor as cursors
from flower.store.aggregation import validate_facets, validate_span
from flower.store.memory import aggregates
from flower.store.memory.writer import MemoryStore, MemoryWriter
from flower.store.protocols import Changes, Query, StoreStatus
from flower.store.query_results import (
    BucketSpan,
    Count,
    Facet,
    Facets,
    Failures,
    Histogram,
    Page,
    SeenRange,
    Summaries,
    TaskFamily,
    WorkerSnapshot,
    Workflows,
)
from flower.store.sorting import KeyedTask, is_after, sort_keyed_tasks, sort_position, validate_sort


class MemoryReader:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def task(self, uuid: str) -> Task | None:
        with self._store.lock:
            key = self._store.keys.get(uuid)
            return None if key is None else self._store.tasks[key]

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0, strict: bool = False) -> Iterator[Task]:
        validate_sort(query.sort)
        items = self._matching_items(query.where)
        if limit is not None and limit <= 0:
            return iter(())
        items = sort_keyed_tasks(items, query.sort)
        return islice((task for _, task in items), max(0, offset), None if limit is None else max(0, offset) + limit)

    def task_page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        validate_sort(query.sort)
        after = None if cursor is None else cursors.decode_cursor(query, cursor)
        items = sort_keyed_tasks(self._matching_items(query.where), query.sort)
        if limit <= 0:
            return Page(())
        if after is not None:
            items = [item for item in items if is_after(sort_position(item, query.sort), after, query.sort)]
        page_items = items[:limit]
        next_cursor = (
            cursors.encode_cursor(query, *sort_position(page_items[-1], query.sort)) if len(items) > limit else None
        )
        return Page(tuple(task for _, task in page_items), next_cursor)

    def count(self, where: Node = EVERYTHING) -> int:
        return len(self._matching_items(where))

    def count_until_deadline(self, where: Node = EVERYTHING) -> Count:
        return Count(self.count(where))

    def facets(self, where: Node, facets: Sequence[Facet], *, limit: int = 20, containing: str | None = None) -> Facets:
        return aggregates.aggregate_facets(self._matching_items(where), validate_facets(facets), limit, containing)

    def histogram(self, where: Node, span: BucketSpan) -> Histogram:
        return aggregates.aggregate_histogram(self._matching_items(where), validate_span(span))

    def summaries(self, where: Node, *, by: Facet | None = None, limit: int = 20) -> Summaries:
        if by is not None:
            validate_facets([by])
        return aggregates.aggregate_summaries(self._matching_items(where), by, limit)

    def timeline(self, where: Node, span: BucketSpan) -> Summaries:
        return aggregates.aggregate_timeline(self._matching_items(where), validate_span(span))

    def failures(self, where: Node, *, limit: int = 20, span: BucketSpan | None = None) -> Failures:
        return aggregates.aggregate_failures(
            self._matching_items(where), limit, None if span is None else validate_span(span)
        )

    def failures_seen(self, failures: Collection[str] | None = None) -> Mapping[str, SeenRange]:
        seen = aggregates.aggregate_failures_seen(self._all_items())
        return seen if failures is None else {failure: seen[failure] for failure in seen if failure in failures}

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        task = self.task(uuid)
        return None if task is None else aggregates.collect_family(self._all_items(), task, limit)

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        query = Query(where, ())
        before = None if cursor is None else cursors.decode_cursor(query, cursor).key
        if limit <= 0:
            return Workflows(())
        members = aggregates.workflow_members(self._all_items())
        roots = [item for item in reversed(self._matching_items(where)) if item[1].uuid in members]
        if before is not None:
            roots = [item for item in roots if item[0] < before]
        page_roots = roots[:limit]
        next_cursor = cursors.encode_cursor(query, (), page_roots[-1][0]) if len(roots) > limit else None
        return Workflows(
            tuple(aggregates.summarize_workflow(task, members[task.uuid]) for _, task in page_roots), next_cursor
        )

    def slow_thresholds(self) -> Mapping[str, float]:
        return aggregates.aggregate_slow_thresholds(self._all_items())

    def worker_history(self, hostname: str | None = None, *, limit: int = 1_000) -> Sequence[WorkerSnapshot]:
        with self._store.lock:
            snapshots = [
                snapshot for snapshot in reversed(self._store.worker_snapshots) if hostname in (None, snapshot.worker)
            ]
        # with equal times the last written entry comes first, because sorted() is stable
        return sorted(snapshots, key=lambda moment: -moment.recorded_at)[: max(0, limit)]

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        parents = set(uuids)
        children_of: dict[str, list[str]] = {}
        for _, task in self._all_items():
            if task.parent_id in parents and task.parent_id is not None:
                children_of.setdefault(task.parent_id, []).append(task.uuid)
        return children_of

    def names(self) -> Sequence[str]:
        return sorted({task.name for _, task in self._all_items() if task.name is not None})

    def workers(self) -> Mapping[str, Worker]:
        return MemoryWriter(self._store).workers()

    def counters(self, after: int = 0) -> CounterDelta:
        store = self._store
        with store.lock:
            newest = len(store.batches)
            is_snapshot = not store.counters_dropped_at <= after <= newest or after <= 0
            changed = [
                task_counters for sequence, task_counters in store.counters.values() if is_snapshot or sequence > after
            ]
            return CounterDelta(newest, tuple(changed), is_snapshot)

    def in_flight(self, live_workers: LiveWorkers) -> Sequence[InFlight]:
        return aggregates.aggregate_in_flight((task for _, task in self._all_items()), live_workers)

    def gaps(self) -> Sequence[Gap]:
        with self._store.lock:
            return tuple(sorted(self._store.gaps.values(), key=lambda gap: (gap.start, gap.reason)))

    @property
    def change_signal_path(self) -> None:
        return None

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

    def explain_missing(self, where: Node = EVERYTHING) -> str | None:
        return None

    def recorder_status(self) -> Mapping[str, Any]:
        return self._store.status

    def close(self) -> None:
        pass

    def _all_items(self) -> list[KeyedTask]:
        """In the order in which they were first written."""
        with self._store.lock:
            return sorted(self._store.tasks.items())

    def _matching_items(self, where: Node) -> list[KeyedTask]:
        matches = compile_predicate(where, self.slow_thresholds() if needs_slow_thresholds(where) else None)
        return [item for item in self._all_items() if matches(item[1])]
