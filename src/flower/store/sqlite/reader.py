"""The Reader on a directory of segments. Sees the changes of a writer in any process, and may be opened before a writer
has created the store."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from flower.counters import CounterDelta, InFlight, LiveWorkers
from flower.errors import DeadlineExceeded
from flower.records import Gap, Task, Worker
from flower.search.tree import EVERYTHING, Node
from flower.store import cursor as cursors
from flower.store.aggregation import validate_facets, validate_span
from flower.store.cursor import Position
from flower.store.protocols import Changes, Query, Sort, StoreStatus
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
    Workflow,
    Workflows,
)
from flower.store.sorting import sort_position, validate_sort
from flower.store.sqlite import meta_db
from flower.store.sqlite.bloom_filter import BloomFilter, bloom_hash
from flower.store.sqlite.catalog import Catalog, SegmentInfo
from flower.store.sqlite.connection_pool import Deadline, SegmentPool, SegmentUnavailable
from flower.store.sqlite.counters import read_counters
from flower.store.sqlite.directory import StoreDirectory
from flower.store.sqlite.meta_reader import MetaReader
from flower.store.sqlite.query import aggregations, failure_groups, merge
from flower.store.sqlite.query.aggregations import scan_slow_thresholds
from flower.store.sqlite.query.column_cache import ColumnCache, MappedMemoryLimiter
from flower.store.sqlite.query.context import QueryContext, QueryResources
from flower.store.sqlite.query.evaluate import count_matches
from flower.store.sqlite.query.failure_groups import StoredNameResolver, scan_failures_seen
from flower.store.sqlite.query.in_flight import count_in_flight
from flower.store.sqlite.query.limits import DEFAULT_LIMITS, QueryLimits
from flower.store.sqlite.query.offsets import find_offset
from flower.store.sqlite.query.relations import RelationBloom, RelationIndex
from flower.store.sqlite.query.result_cache import ResultCache
from flower.store.sqlite.query.text_candidates import TextCandidates
from flower.store.sqlite.query.workflows import RootBloom, find_workflows
from flower.store.sqlite.row_codec import pack_id
from flower.store.sqlite.schema import SELECT_TASKS
from flower.store.sqlite.sql_where import validate_query
from flower.store.sqlite.text import TextReader

_MAX_NAMES: Final = 10**9


class SqliteReader:
    """The Reader of the store on disk."""

    def __init__(
        self, directory: StoreDirectory, *, time_limit: float | None = None, limits: QueryLimits = DEFAULT_LIMITS
    ) -> None:
        """`time_limit`: maximum time in seconds for a result, or for the next part of one. Raises InvalidStore and
        StoreVersionMismatch."""
        directory.verify()
        self._directory = directory
        self._time_limit = time_limit
        self._pool = SegmentPool(directory)
        self._column_cache = ColumnCache(directory, self._pool)
        self._relation_bloom = RelationBloom()
        self._root_bloom = RootBloom()
        self._meta_reader = MetaReader(directory, self._pool, self._column_cache, self._relation_bloom)
        self._text_reader = TextReader(directory.text_path)
        mapped_memory = MappedMemoryLimiter(self._column_cache.release, self._text_reader.close)
        self._limits = limits
        self._resources = QueryResources(
            self._pool, self._column_cache, ResultCache(), mapped_memory, self.slow_thresholds, limits
        )
        self._bloom_filters: dict[int, BloomFilter] = {}

    # --- one task

    def task(self, uuid: str) -> Task | None:
        deadline = Deadline(self._time_limit)
        catalog = self._meta_reader.catalog()
        row = self._find(uuid, catalog, deadline)
        return None if row is None else row[1]

    def _find(self, uuid: str, catalog: Catalog, deadline: Deadline) -> tuple[int, Task] | None:
        packed = pack_id(uuid)
        hashed = bloom_hash(packed)
        if len(self._bloom_filters) > len(catalog):
            self._bloom_filters = {
                e.number: self._bloom_filters[e.number] for e in catalog if e.number in self._bloom_filters
            }
        for entry in reversed(catalog.segments):
            if entry.number != catalog.segments[-1].number and not self._might_contain(entry, hashed, deadline):
                continue
            try:
                with self._pool.acquire(entry, deadline) as segment:
                    # excludes rows that are on disk, but not yet announced: counts would not include them
                    rows = segment.rows(f"{SELECT_TASKS} WHERE uuid=? AND id<?", (packed, entry.next))
                    if rows:
                        return rows[0][0], segment.decode_task(rows[0])
            except SegmentUnavailable:
                continue
        return None

    def _might_contain(self, entry: SegmentInfo, hashed: int, deadline: Deadline) -> bool:
        bloom_filter = self._bloom_filters.get(entry.number)
        if bloom_filter is None:
            try:
                with self._pool.acquire(entry, deadline) as segment:
                    content = segment.read_bloom_filter(entry.capacity)
            except SegmentUnavailable:
                return False
            if content is None:
                return True
            bloom_filter = self._bloom_filters[entry.number] = BloomFilter.from_bytes(content)
        return bloom_filter.might_contain(hashed)

    # --- many tasks

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0) -> Iterator[Task]:
        validate_query(query.where)
        validate_sort(query.sort)
        if limit is not None and limit <= 0:
            return iter(())
        return self._tasks(query, limit, max(0, offset))

    def _tasks(self, query: Query, limit: int | None, offset: int) -> Iterator[Task]:
        ctx, catalog = self._open_query(query.where)
        max_rows = self._limits.fetched_rows
        wanted = max_rows if limit is None else limit
        after, skip = find_offset(ctx, catalog.segments, query.sort, offset)
        ids = merge.iter_matching_ids(
            ctx, catalog.segments, query.sort, after, min(wanted, max_rows) + min(skip, max_rows)
        )
        remaining_ids = islice(ids, skip, None if limit is None else skip + limit)
        size = min(wanted, 100)
        while page := list(islice(remaining_ids, size)):
            for _, task in self._load_tasks(catalog, page, ctx.deadline):
                yield task
            ctx.deadline.restart()
            size = max_rows

    def task_page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        validate_query(query.where)
        validate_sort(query.sort)
        after = None if cursor is None else cursors.decode_cursor(query, cursor)
        if limit <= 0:
            return Page(())
        ctx, catalog = self._open_query(query.where)
        ids, reason = self._read_ids(ctx, catalog, query.sort, after, limit + 1)
        page = list(self._load_tasks(catalog, ids[:limit], Deadline(self._time_limit)))
        next_cursor = None
        if page and (len(ids) > limit or reason is not None):
            next_cursor = cursors.encode_cursor(query, *sort_position(page[-1], query.sort))
        return Page(tuple(task for _, task in page), next_cursor, reason)

    @staticmethod
    def _read_ids(
        ctx: QueryContext, catalog: Catalog, sorts: Sequence[Sort], after: Position | None, limit: int
    ) -> tuple[list[int], str | None]:
        """Up to `limit` ids and, if the time limit was reached, the reason why there are no more."""
        ids: list[int] = []
        try:
            for key in merge.iter_matching_ids(ctx, catalog.segments, sorts, after, limit):
                ids.append(key)
                if len(ids) == limit:
                    break
        except DeadlineExceeded as error:
            return ids, aggregations.explain_partial(error)
        return ids, None

    def _load_tasks(self, catalog: Catalog, ids: Sequence[int], deadline: Deadline) -> Iterator[tuple[int, Task]]:
        groups: dict[int, tuple[SegmentInfo, list[int]]] = {}
        for key in ids:
            entry = catalog.covering(key)
            if entry is not None:
                groups.setdefault(entry.number, (entry, []))[1].append(key)
        tasks: dict[int, Task] = {}
        for entry, group in groups.values():
            listed = ",".join(map(str, group))
            try:
                with self._pool.acquire(entry, deadline) as segment:
                    for row in segment.rows(f"{SELECT_TASKS} WHERE id IN ({listed})"):
                        tasks[row[0]] = segment.decode_task(row)
            except SegmentUnavailable:
                continue
        for key in ids:
            if key in tasks:
                yield key, tasks[key]

    # --- statistics

    def count(self, where: Node = EVERYTHING) -> int:
        ctx, catalog = self._open_query(where)
        total = 0
        for entry in catalog:
            try:
                total += count_matches(ctx, entry, where)
            except SegmentUnavailable:
                continue
        return total

    def count_until_deadline(self, where: Node = EVERYTHING) -> Count:
        ctx, catalog = self._open_query(where)
        return aggregations.scan_count(ctx, catalog.segments)

    def facets(self, where: Node, facets: Sequence[Facet], *, limit: int = 20, containing: str | None = None) -> Facets:
        wanted = validate_facets(facets)
        ctx, catalog = self._open_query(where)
        names = StoredNameResolver(ctx, catalog.segments)
        return aggregations.scan_facets(ctx, catalog.segments, wanted, names, limit=limit, containing=containing)

    def histogram(self, where: Node, span: BucketSpan) -> Histogram:
        ctx, catalog = self._open_query(where)
        return aggregations.scan_histogram(ctx, catalog.segments, validate_span(span))

    def summaries(self, where: Node, *, by: Facet | None = None, limit: int = 20) -> Summaries:
        if by is not None:
            validate_facets([by])
        ctx, catalog = self._open_query(where)
        return aggregations.scan_summaries(
            ctx, catalog.segments, by, StoredNameResolver(ctx, catalog.segments), limit=limit
        )

    def timeline(self, where: Node, span: BucketSpan) -> Summaries:
        ctx, catalog = self._open_query(where)
        return aggregations.scan_timeline(ctx, catalog.segments, validate_span(span))

    def failures(self, where: Node, *, limit: int = 20, span: BucketSpan | None = None) -> Failures:
        ctx, catalog = self._open_query(where)
        span = None if span is None else validate_span(span)
        return failure_groups.scan_failures(ctx, catalog.segments, limit=limit, span=span)

    def failures_seen(self, failures: Collection[str] | None = None) -> Mapping[str, SeenRange]:
        ctx, catalog = self._open_query(EVERYTHING)
        return scan_failures_seen(ctx, catalog.segments, failures)

    def slow_thresholds(self) -> Mapping[str, float]:
        ctx, catalog = self._open_query(EVERYTHING)
        return scan_slow_thresholds(ctx, catalog.segments)

    def names(self) -> Sequence[str]:
        counts = self.facets(EVERYTHING, ["name"], limit=_MAX_NAMES).facets["name"]
        return sorted(value.value for value in counts.values if value.value is not None)

    # --- relations

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        ctx, catalog = self._open_query(EVERYTHING)
        keyed_task = self._find(uuid, catalog, ctx.deadline)
        if keyed_task is None:
            return None
        root = uuid if keyed_task[1].root_id is None else keyed_task[1].root_id
        ids = RelationIndex(ctx, catalog.segments, self._relation_bloom).find_by_root(root)
        keys = sorted({*ids, keyed_task[0]} if root in (keyed_task[1].root_id, uuid) else ids)
        if root != uuid and (keyed_root := self._find(root, catalog, ctx.deadline)) is not None:
            keys = sorted({*keys, keyed_root[0]})
        page = keys[: max(0, limit)]
        tasks = tuple(
            task for _, task in self._load_tasks(catalog, page, ctx.deadline) if root in (task.root_id, task.uuid)
        )
        return TaskFamily(root, tasks, len(keys) <= max(0, limit))

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        ctx, catalog = self._open_query(EVERYTHING)
        return RelationIndex(ctx, catalog.segments, self._relation_bloom).find_children(list(dict.fromkeys(uuids)))

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        query = Query(where, ())
        before = None if cursor is None else cursors.decode_cursor(query, cursor).key
        if limit <= 0:
            return Workflows(())
        ctx, catalog = self._open_query(where)
        relations = RelationIndex(ctx, catalog.segments, self._relation_bloom)
        progresses, reason = find_workflows(
            ctx, catalog.segments, self._root_bloom, relations, before=before, limit=limit + 1
        )
        page = progresses[:limit]
        has_more = bool(page) and (len(progresses) > limit or reason is not None)
        next_cursor = cursors.encode_cursor(query, (), page[-1].key) if has_more else None
        roots = dict(self._load_tasks(catalog, [progress.key for progress in page], Deadline(self._time_limit)))
        workflows = [
            Workflow(roots[w.key], w.tasks, w.ended, w.failed, w.running, w.started, w.last)
            for w in page
            if w.key in roots
        ]
        return Workflows(tuple(workflows), next_cursor, reason)

    # --- data of meta.db

    def workers(self) -> Mapping[str, Worker]:
        return self._meta_reader.query(meta_db.read_workers, {})

    def worker_history(self, hostname: str | None = None, *, limit: int = 1_000) -> Sequence[WorkerSnapshot]:
        return self._meta_reader.query(lambda db: meta_db.read_worker_history(db, hostname, limit), [])

    def counters(self, after: int = 0) -> CounterDelta:
        return self._meta_reader.query(lambda db: read_counters(db, after), CounterDelta(0, (), is_snapshot=True))

    def in_flight(self, live_workers: LiveWorkers) -> Sequence[InFlight]:
        ctx, catalog = self._open_query(EVERYTHING)
        return count_in_flight(ctx, catalog.segments, live_workers)

    def gaps(self) -> Sequence[Gap]:
        return self._meta_reader.query(meta_db.read_gaps, ())

    def changes(self, after: int) -> Changes:
        return self._meta_reader.query(lambda db: meta_db.read_changes(db, after), Changes(0, (), complete=after == 0))

    def status(self) -> StoreStatus:
        catalog = self._meta_reader.catalog()
        damaged = {
            *self._directory.quarantined_files(),
            *(self._directory.segment_path(number).name for number in self._pool.damaged),
        }
        return StoreStatus(
            sequence=self._meta_reader.query(meta_db.read_sequence, 0),
            tasks=catalog.rows,
            size_bytes=self._directory.total_bytes(),
            segments=len(catalog),
            damaged=tuple(sorted(damaged)),
            free_bytes=self._directory.free_bytes(),
        )

    def recorder_status(self) -> dict[str, Any]:
        return self._directory.read_status()

    def close(self) -> None:
        self._meta_reader.close()
        self._pool.close()
        self._column_cache.close()
        self._text_reader.close()

    def _open_query(self, where: Node) -> tuple[QueryContext, Catalog]:
        validate_query(where)
        catalog = self._meta_reader.catalog()
        return QueryContext(
            where, self._resources, Deadline(self._time_limit), TextCandidates(self._text_reader, self._limits)
        ), catalog
