"""The port's Reader on a directory of segments. Follows whatever a writer in any process does there, and
may be opened before one has made the store."""

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
    def __init__(
        self, folder: StoreDirectory, *, time_limit: float | None = None, limits: QueryLimits = DEFAULT_LIMITS
    ) -> None:
        """`time_limit`: seconds that anyone may wait for an answer, or for the next part of one. Raises NotAStore
        and WrongVersion."""
        folder.verify()
        self._directory = folder
        self._time_limit = time_limit
        self._pool = SegmentPool(folder)
        self._column_cache = ColumnCache(folder, self._pool)
        self._relation_bloom = RelationBloom()
        self._root_bloom = RootBloom()
        self._meta_reader = MetaReader(folder, self._pool, self._column_cache, self._relation_bloom)
        self._text_reader = TextReader(folder.text_path)
        mapped = MappedMemoryLimiter(self._column_cache.release, self._text_reader.close)
        self._limits = limits
        self._resources = QueryResources(
            self._pool, self._column_cache, ResultCache(), mapped, self.slow_thresholds, limits
        )
        self._bloom_filters: dict[int, BloomFilter] = {}

    # --- one task

    def task(self, uuid: str) -> Task | None:
        deadline = Deadline(self._time_limit)
        catalogue = self._meta_reader.catalog()
        found = self._find(uuid, catalogue, deadline)
        return None if found is None else found[1]

    def _find(self, uuid: str, catalogue: Catalog, deadline: Deadline) -> tuple[int, Task] | None:
        packed = pack_id(uuid)
        hashed = bloom_hash(packed)
        if len(self._bloom_filters) > len(catalogue):
            self._bloom_filters = {
                e.number: self._bloom_filters[e.number] for e in catalogue if e.number in self._bloom_filters
            }
        for entry in reversed(catalogue.segments):
            if entry.number != catalogue.segments[-1].number and not self._might_contain(entry, hashed, deadline):
                continue
            try:
                with self._pool.acquire(entry, deadline) as segment:
                    # not one that is on the disk and not yet announced: it would be found here and counted nowhere
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
        question, catalogue = self._open_query(query.where)
        most = self._limits.fetched_rows
        wanted = most if limit is None else limit
        after, skip = find_offset(question, catalogue.segments, query.sort, offset)
        ids = merge.iter_matching_ids(
            question, catalogue.segments, query.sort, after, min(wanted, most) + min(skip, most)
        )
        rest = islice(ids, skip, None if limit is None else skip + limit)
        size = min(wanted, 100)
        while part := list(islice(rest, size)):
            for _, task in self._load_tasks(catalogue, part, question.deadline):
                yield task
            question.deadline.restart()
            size = most

    def task_page(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        validate_query(query.where)
        validate_sort(query.sort)
        after = None if cursor is None else cursors.decode_cursor(query, cursor)
        if limit <= 0:
            return Page(())
        question, catalogue = self._open_query(query.where)
        ids, reason = self._read_ids(question, catalogue, query.sort, after, limit + 1)
        found = list(self._load_tasks(catalogue, ids[:limit], Deadline(self._time_limit)))
        more = None
        if found and (len(ids) > limit or reason is not None):
            more = cursors.encode_cursor(query, *sort_position(found[-1], query.sort))
        return Page(tuple(task for _, task in found), more, reason)

    @staticmethod
    def _read_ids(
        question: QueryContext, catalogue: Catalog, sorts: Sequence[Sort], after: Position | None, most: int
    ) -> tuple[list[int], str | None]:
        """As many ids as are wanted and, if the time was over before, why there are no more."""
        ids: list[int] = []
        try:
            for found in merge.iter_matching_ids(question, catalogue.segments, sorts, after, most):
                ids.append(found)
                if len(ids) == most:
                    break
        except DeadlineExceeded as error:
            return ids, aggregations.explain_partial(error)
        return ids, None

    def _load_tasks(self, catalogue: Catalog, ids: Sequence[int], deadline: Deadline) -> Iterator[tuple[int, Task]]:
        groups: dict[int, tuple[SegmentInfo, list[int]]] = {}
        for found in ids:
            entry = catalogue.covering(found)
            if entry is not None:
                groups.setdefault(entry.number, (entry, []))[1].append(found)
        tasks: dict[int, Task] = {}
        for entry, group in groups.values():
            listed = ",".join(map(str, group))
            try:
                with self._pool.acquire(entry, deadline) as segment:
                    for row in segment.rows(f"{SELECT_TASKS} WHERE id IN ({listed})"):
                        tasks[row[0]] = segment.decode_task(row)
            except SegmentUnavailable:
                continue
        for found in ids:
            if found in tasks:
                yield found, tasks[found]

    # --- figures

    def count(self, where: Node = EVERYTHING) -> int:
        question, catalogue = self._open_query(where)
        total = 0
        for entry in catalogue:
            try:
                total += count_matches(question, entry, where)
            except SegmentUnavailable:
                continue
        return total

    def count_until_deadline(self, where: Node = EVERYTHING) -> Count:
        question, catalogue = self._open_query(where)
        return aggregations.scan_count(question, catalogue.segments)

    def facets(self, where: Node, facets: Sequence[Facet], *, limit: int = 20, containing: str | None = None) -> Facets:
        wanted = validate_facets(facets)
        question, catalogue = self._open_query(where)
        names = StoredNameResolver(question, catalogue.segments)
        return aggregations.scan_facets(question, catalogue.segments, wanted, names, limit=limit, containing=containing)

    def histogram(self, where: Node, span: BucketSpan) -> Histogram:
        question, catalogue = self._open_query(where)
        return aggregations.scan_histogram(question, catalogue.segments, validate_span(span))

    def summaries(self, where: Node, *, by: Facet | None = None, limit: int = 20) -> Summaries:
        if by is not None:
            validate_facets([by])
        question, catalogue = self._open_query(where)
        return aggregations.scan_summaries(
            question, catalogue.segments, by, StoredNameResolver(question, catalogue.segments), limit=limit
        )

    def timeline(self, where: Node, span: BucketSpan) -> Summaries:
        question, catalogue = self._open_query(where)
        return aggregations.scan_timeline(question, catalogue.segments, validate_span(span))

    def failures(self, where: Node, *, limit: int = 20, span: BucketSpan | None = None) -> Failures:
        question, catalogue = self._open_query(where)
        span = None if span is None else validate_span(span)
        return failure_groups.scan_failures(question, catalogue.segments, limit=limit, span=span)

    def failures_seen(self, failures: Collection[str] | None = None) -> Mapping[str, SeenRange]:
        question, catalogue = self._open_query(EVERYTHING)
        return scan_failures_seen(question, catalogue.segments, failures)

    def slow_thresholds(self) -> Mapping[str, float]:
        question, catalogue = self._open_query(EVERYTHING)
        return scan_slow_thresholds(question, catalogue.segments)

    def names(self) -> Sequence[str]:
        found = self.facets(EVERYTHING, ["name"], limit=_MAX_NAMES).facets["name"]
        return sorted(value.value for value in found.values if value.value is not None)

    # --- relations

    def family(self, uuid: str, *, limit: int = 1_000) -> TaskFamily | None:
        question, catalogue = self._open_query(EVERYTHING)
        found = self._find(uuid, catalogue, question.deadline)
        if found is None:
            return None
        root = uuid if found[1].root_id is None else found[1].root_id
        ids = RelationIndex(question, catalogue.segments, self._relation_bloom).find_by_root(root)
        keys = sorted({*ids, found[0]} if root in (found[1].root_id, uuid) else ids)
        if root != uuid and (first := self._find(root, catalogue, question.deadline)) is not None:
            keys = sorted({*keys, first[0]})
        shown = keys[: max(0, limit)]
        tasks = tuple(
            task
            for _, task in self._load_tasks(catalogue, shown, question.deadline)
            if root in (task.root_id, task.uuid)
        )
        return TaskFamily(root, tasks, len(keys) <= max(0, limit))

    def children(self, uuids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        question, catalogue = self._open_query(EVERYTHING)
        return RelationIndex(question, catalogue.segments, self._relation_bloom).find_children(
            list(dict.fromkeys(uuids))
        )

    def workflows(self, where: Node = EVERYTHING, *, limit: int = 50, cursor: str | None = None) -> Workflows:
        query = Query(where, ())
        before = None if cursor is None else cursors.decode_cursor(query, cursor).key
        if limit <= 0:
            return Workflows(())
        question, catalogue = self._open_query(where)
        relations = RelationIndex(question, catalogue.segments, self._relation_bloom)
        found, reason = find_workflows(
            question, catalogue.segments, self._root_bloom, relations, before=before, limit=limit + 1
        )
        shown = found[:limit]
        more = cursors.encode_cursor(query, (), shown[-1].key) if shown and (len(found) > limit or reason) else None
        roots = dict(self._load_tasks(catalogue, [each.key for each in shown], Deadline(self._time_limit)))
        return Workflows(
            tuple(
                Workflow(roots[w.key], w.tasks, w.ended, w.failed, w.running, w.started, w.last)
                for w in shown
                if w.key in roots
            ),
            more,
            reason,
        )

    # --- what meta.db knows

    def workers(self) -> Mapping[str, Worker]:
        return self._meta_reader.query(meta_db.read_workers, {})

    def worker_history(self, hostname: str | None = None, *, limit: int = 1_000) -> Sequence[WorkerSnapshot]:
        return self._meta_reader.query(lambda db: meta_db.read_worker_history(db, hostname, limit), [])

    def counters(self, after: int = 0) -> CounterDelta:
        return self._meta_reader.query(lambda db: read_counters(db, after), CounterDelta(0, (), is_snapshot=True))

    def in_flight(self, live_workers: LiveWorkers) -> Sequence[InFlight]:
        question, catalogue = self._open_query(EVERYTHING)
        return count_in_flight(question, catalogue.segments, live_workers)

    def gaps(self) -> Sequence[Gap]:
        return self._meta_reader.query(meta_db.read_gaps, ())

    def changes(self, after: int) -> Changes:
        return self._meta_reader.query(lambda db: meta_db.read_changes(db, after), Changes(0, (), complete=after == 0))

    def status(self) -> StoreStatus:
        catalogue = self._meta_reader.catalog()
        damaged = {
            *self._directory.quarantined_files(),
            *(self._directory.segment_path(number).name for number in self._pool.damaged),
        }
        return StoreStatus(
            sequence=self._meta_reader.query(meta_db.read_sequence, 0),
            tasks=catalogue.rows,
            size_bytes=self._directory.total_bytes(),
            segments=len(catalogue),
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
        catalogue = self._meta_reader.catalog()
        return QueryContext(
            where, self._resources, Deadline(self._time_limit), TextCandidates(self._text_reader, self._limits)
        ), catalogue
