"""The Reader on a directory of segments. Sees the changes of a writer in any process, and may be opened before a writer
has created the store."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from flower.counters import CounterDelta, InFlight, LiveWorkers
from flower.errors import DeadlineExceeded, StoreDamaged
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
from flower.store.sqlite.migration_progress import read_migration
from flower.store.sqlite.query import aggregations, failure_groups, merge
from flower.store.sqlite.query.aggregations import scan_slow_thresholds
from flower.store.sqlite.query.column_cache import ColumnCache, MappedMemoryLimiter
from flower.store.sqlite.query.context import QueryContext, QueryResources
from flower.store.sqlite.query.evaluate import can_skip_segment, count_matches
from flower.store.sqlite.query.failure_groups import StoredNameResolver, scan_failures_seen
from flower.store.sqlite.query.in_flight import count_in_flight
from flower.store.sqlite.query.limits import DEFAULT_LIMITS, QueryLimits
from flower.store.sqlite.query.offsets import find_offset
from flower.store.sqlite.query.relations import RelationBloom, RelationIndex
from flower.store.sqlite.query.result_cache import ResultCache
from flower.store.sqlite.query.text_candidates import TextCandidates
from flower.store.sqlite.query.text_templates import TemplateCache
from flower.store.sqlite.query.workflows import RootBloom, find_workflows
from flower.store.sqlite.row_codec import pack_id
from flower.store.sqlite.schema import SELECT_TASKS
from flower.store.sqlite.sql_where import validate_query
from flower.store.sqlite.text import TextReader

_MAX_NAMES: Final = 10**9

T = TypeVar("T")
PartialResult = TypeVar("PartialResult", Page, Count, Facets, Histogram, Summaries, Failures, TaskFamily, Workflows)


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
            self._pool,
            self._column_cache,
            ResultCache(),
            mapped_memory,
            TemplateCache(directory.text_path),
            self._slow_thresholds,
            limits,
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
                    task = segment.decode_task(rows[0]) if rows else None
                    if task is not None:
                        return rows[0][0], task
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

    def tasks(self, query: Query, *, limit: int | None = None, offset: int = 0, strict: bool = False) -> Iterator[Task]:
        validate_query(query.where)
        validate_sort(query.sort)
        if limit is not None and limit <= 0:
            return iter(())
        return self._tasks(query, limit, max(0, offset), strict=strict)

    def _tasks(self, query: Query, limit: int | None, offset: int, *, strict: bool) -> Iterator[Task]:
        known_damage = self._final_damage()

        def find_start(ctx: QueryContext, catalog: Catalog) -> tuple[QueryContext, Catalog, Position | None, int]:
            return ctx, catalog, *find_offset(ctx, catalog.segments, query.sort, offset)

        ctx, catalog, after, skip = self._run(query.where, find_start)
        max_rows = self._limits.fetched_rows
        wanted = max_rows if limit is None else limit
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
        if strict:
            self._raise_if_damaged(query.where, known_damage)

    def task_page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        validate_query(query.where)
        validate_sort(query.sort)
        after = None if cursor is None else cursors.decode_cursor(query, cursor)
        if limit <= 0:
            return Page(())

        def read(ctx: QueryContext, catalog: Catalog) -> Page:
            ids, reason = self._read_ids(ctx, catalog, query.sort, after, limit + 1)
            page = list(self._load_tasks(catalog, ids[:limit], Deadline(self._time_limit)))
            next_cursor = None
            if page and (len(ids) > limit or reason is not None):
                next_cursor = cursors.encode_cursor(query, *sort_position(page[-1], query.sort))
            return Page(tuple(task for _, task in page), next_cursor, reason)

        return self._complete(query.where, self._run(query.where, read))

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
            try:
                with self._pool.acquire(entry, deadline) as segment:
                    for row in segment.rows_by_id(SELECT_TASKS, group):
                        task = segment.decode_task(row)
                        if task is not None:
                            tasks[row[0]] = task
            except SegmentUnavailable:
                continue
        for key in ids:
            if key in tasks:
                yield key, tasks[key]

    # --- statistics

    def count(self, where: Node = EVERYTHING) -> int:
        return self._run(where, lambda ctx, catalog: sum(count_matches(ctx, entry, where) for entry in catalog))

    def count_until_deadline(self, where: Node = EVERYTHING) -> Count:
        return self._complete(
            where, self._run(where, lambda ctx, catalog: aggregations.scan_count(ctx, catalog.segments))
        )

    def facets(self, where: Node, facets: Sequence[Facet], *, limit: int = 20, containing: str | None = None) -> Facets:
        wanted = validate_facets(facets)

        def scan(ctx: QueryContext, catalog: Catalog) -> Facets:
            names = StoredNameResolver(ctx, catalog.segments)
            return aggregations.scan_facets(ctx, catalog.segments, wanted, names, limit=limit, containing=containing)

        return self._complete(where, self._run(where, scan))

    def histogram(self, where: Node, span: BucketSpan) -> Histogram:
        valid_span = validate_span(span)
        return self._complete(
            where,
            self._run(where, lambda ctx, catalog: aggregations.scan_histogram(ctx, catalog.segments, valid_span)),
        )

    def summaries(self, where: Node, *, by: Facet | None = None, limit: int = 20) -> Summaries:
        if by is not None:
            validate_facets([by])

        def scan(ctx: QueryContext, catalog: Catalog) -> Summaries:
            names = StoredNameResolver(ctx, catalog.segments)
            return aggregations.scan_summaries(ctx, catalog.segments, by, names, limit=limit)

        return self._complete(where, self._run(where, scan))

    def timeline(self, where: Node, span: BucketSpan) -> Summaries:
        valid_span = validate_span(span)
        return self._complete(
            where, self._run(where, lambda ctx, catalog: aggregations.scan_timeline(ctx, catalog.segments, valid_span))
        )

    def failures(self, where: Node, *, limit: int = 20, span: BucketSpan | None = None) -> Failures:
        valid_span = None if span is None else validate_span(span)

        def scan(ctx: QueryContext, catalog: Catalog) -> Failures:
            return failure_groups.scan_failures(ctx, catalog.segments, limit=limit, span=valid_span)

        return self._complete(where, self._run(where, scan))

    def failures_seen(self, failures: Collection[str] | None = None) -> Mapping[str, SeenRange]:
        return self._run(EVERYTHING, lambda ctx, catalog: scan_failures_seen(ctx, catalog.segments, failures))

    def slow_thresholds(self) -> Mapping[str, float]:
        return self._slow_thresholds(Deadline(self._time_limit))

    def _slow_thresholds(self, deadline: Deadline) -> Mapping[str, float]:
        return self._run(EVERYTHING, lambda ctx, catalog: scan_slow_thresholds(ctx, catalog.segments), deadline)

    def names(self) -> Sequence[str]:
        counts = self.facets(EVERYTHING, ["name"], limit=_MAX_NAMES).facets["name"]
        return sorted(value.value for value in counts.values if value.value is not None)

    # --- relations

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        family = self._run(EVERYTHING, lambda ctx, catalog: self._read_family(ctx, catalog, uuid, limit))
        return None if family is None else self._complete(EVERYTHING, family)

    def _read_family(self, ctx: QueryContext, catalog: Catalog, uuid: str, limit: int) -> TaskFamily | None:
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
        parents = list(dict.fromkeys(uuids))
        return self._run(
            EVERYTHING,
            lambda ctx, catalog: RelationIndex(ctx, catalog.segments, self._relation_bloom).find_children(parents),
        )

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        query = Query(where, ())
        before = None if cursor is None else cursors.decode_cursor(query, cursor).key
        if limit <= 0:
            return Workflows(())

        def read(ctx: QueryContext, catalog: Catalog) -> Workflows:
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

        return self._complete(where, self._run(where, read))

    # --- data of meta.db

    def workers(self) -> Mapping[str, Worker]:
        return self._meta_reader.query(meta_db.read_workers, {})

    def worker_history(self, hostname: str | None = None, *, limit: int = 1_000) -> Sequence[WorkerSnapshot]:
        return self._meta_reader.query(lambda db: meta_db.read_worker_history(db, hostname, limit), [])

    def counters(self, after: int = 0) -> CounterDelta:
        return self._meta_reader.query(lambda db: read_counters(db, after), CounterDelta(0, (), is_snapshot=True))

    def in_flight(self, live_workers: LiveWorkers) -> Sequence[InFlight]:
        return self._run(EVERYTHING, lambda ctx, catalog: count_in_flight(ctx, catalog.segments, live_workers))

    def gaps(self) -> Sequence[Gap]:
        return self._meta_reader.query(meta_db.read_gaps, ())

    @property
    def change_signal_path(self) -> Path | None:
        return self._directory.change_signal_path

    def changes(self, after: int) -> Changes:
        return self._meta_reader.query(lambda db: meta_db.read_changes(db, after), Changes(0, (), complete=after == 0))

    def status(self) -> StoreStatus:
        catalog = self._meta_reader.catalog()
        reported = {report.file for report in self._pool.reports.current()}
        damaged = {*self._directory.quarantined_files(), *reported}
        return StoreStatus(
            sequence=self._meta_reader.query(meta_db.read_sequence, 0),
            tasks=catalog.rows,
            size_bytes=self._directory.total_bytes(),
            segments=len(catalog),
            damaged=tuple(sorted(damaged)),
            free_bytes=self._directory.free_bytes(),
            migration=self._meta_reader.query(read_migration, None),
        )

    def recorder_status(self) -> dict[str, Any]:
        return self._directory.read_status()

    def close(self) -> None:
        self._meta_reader.close()
        self._pool.close()
        self._column_cache.close()
        self._text_reader.close()

    # --- damage

    def explain_missing(self, where: Node = EVERYTHING) -> str | None:
        if self._pool.take_missing_files():
            self._meta_reader.read_again()
            self._meta_reader.catalog()
        return self._pool.reports.explain(lambda entry: bool(entry.rows) and can_skip_segment(entry, where))

    def _complete(self, where: Node, result: PartialResult) -> PartialResult:
        """The result, with the reason why it is incomplete if tasks are missing because of damage."""
        if result.partial is not None:
            return result
        reason = self.explain_missing(where)
        return result if reason is None else msgspec.structs.replace(result, partial=reason)

    def _final_damage(self) -> frozenset[str]:
        return frozenset(report.file for report in self._pool.reports.current() if report.is_final)

    def _raise_if_damaged(self, where: Node, known_damage: frozenset[str]) -> None:
        """Raise StoreDamaged if tasks of this filter could not be read, except those in files that were moved away
        before the reading began."""
        if self.explain_missing(where) is None:
            return
        for report in self._pool.reports.current():
            entry = report.segment
            if report.file in known_damage or report.lost == 0 or entry is None:
                continue
            if not (entry.rows and can_skip_segment(entry, where)):
                raise StoreDamaged(
                    f"Tasks in {self._directory.path / report.file} cannot be read ({report.reason})",
                    hint="the result lacks only these tasks; see the health check",
                )

    def _run(self, where: Node, work: Callable[[QueryContext, Catalog], T], deadline: Deadline | None = None) -> T:
        """The result of a query. If a segment that it needs turns out to be unreadable, the query is repeated without
        it."""
        validate_query(where)
        excluded: set[int] = set()
        while True:
            catalog = self._meta_reader.catalog()
            if excluded:
                catalog = Catalog(entry for entry in catalog if entry.number not in excluded)
            ctx = QueryContext(
                where,
                self._resources,
                deadline or Deadline(self._time_limit),
                TextCandidates(self._text_reader, self._limits),
            )
            try:
                return work(ctx, catalog)
            except SegmentUnavailable as error:
                excluded.add(error.number)
            except (LookupError, ValueError, ArithmeticError, MemoryError):  # numpy raises them for impossible values
                try:
                    if not ctx.reject_damaged_columns():
                        raise
                except SegmentUnavailable as damage:
                    excluded.add(damage.number)
