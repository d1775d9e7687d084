"""Read operations on the records, as plain functions that the HTTP API, the command line and Python programs call.

The first argument is the source: a store, an `Events` object, or None for the `Events` last started in this process.
`query` is a query of the search language; `**window` is a `query_params.Window`: start, end, time, tz, now. All
functions raise InvalidRequest, SearchError, NotFound and DeadlineExceeded; a result with `partial` contains what was
found within the time limit instead of raising the latter.
"""

from collections.abc import Sequence
from typing import Unpack, get_args

import msgspec

from flower.api.completion import Completions, find_completions
from flower.api.query_params import (
    ReaderLike,
    SortParam,
    Window,
    build_filter,
    build_query,
    choose_buckets,
    get_evaluation_time,
    get_reader,
    get_time_key,
    parse_order,
    parse_time_bound,
    parse_time_zone,
)
from flower.api.statistics import Stats, StatsWindow, build_stats
from flower.api.workflow_tree import WorkflowTree, build_workflow_tree
from flower.errors import InvalidRequest, NoSuchTask, NotFound
from flower.records import PENDING, RECEIVED, Task
from flower.search.did_you_mean import did_you_mean
from flower.search.tree import Node, Not, Term, all_of, any_of
from flower.store.protocols import Query, Reader, Sort
from flower.store.query_results import (
    FACETS,
    BucketSpan,
    Count,
    Facet,
    Facets,
    FailureGroup,
    Histogram,
    Page,
    TimeKey,
    WorkerSnapshot,
    Workflows,
)

#: Approximate number of buckets by default.
DEFAULT_BUCKETS = 60

#: Seconds that a time axis covers if neither the window nor the tasks determine it.
DEFAULT_WINDOW_SECONDS = 3_600.0


class FailureGroupList(msgspec.Struct, frozen=True):
    """Failures grouped by fingerprint, largest group first. `count`: tasks in all groups; `more`: groups that were left
    out; `span`: the buckets of each `trend`."""

    failures: tuple[FailureGroup, ...]
    count: int
    more: int
    span: BucketSpan
    partial: str | None = None


class FailureDetail(msgspec.Struct, frozen=True):
    """A failure group and its latest tasks."""

    group: FailureGroup
    span: BucketSpan
    tasks: tuple[Task, ...]


def task_page(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    sort: SortParam = None,
    limit: int = 100,
    cursor: str | None = None,
    **window: Unpack[Window],
) -> Page:
    """One page of tasks, and the cursor of the next one; for `sort` see `query_params.parse_order`."""
    return get_reader(source).task_page(build_query(query, sort, **window), limit=limit, cursor=cursor)


def task_slice(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    sort: SortParam = None,
    limit: int | None = 100,
    offset: int = 0,
    **window: Unpack[Window],
) -> tuple[Task, ...]:
    """The tasks at positions `offset` … `offset + limit - 1`. Positions change while tasks are recorded; to read all
    pages in turn, use `task_page`."""
    return tuple(get_reader(source).tasks(build_query(query, sort, **window), limit=limit, offset=offset))


def task_count(source: ReaderLike = None, query: str | None = None, **window: Unpack[Window]) -> Count:
    return get_reader(source).count_until_deadline(build_filter(query, **window))


def explain_missing(source: ReaderLike = None, query: str | None = None, **window: Unpack[Window]) -> str | None:
    """Why results of this query lack tasks, for results without `partial`; None if no task is missing."""
    return get_reader(source).explain_missing(build_filter(query, **window))


def task_facets(
    source: ReaderLike = None,
    query: str | None = None,
    facets: Sequence[str] = ("state", "name", "worker", "queue", "exception"),
    *,
    limit: int = 20,
    containing: str | None = None,
    **window: Unpack[Window],
) -> Facets:
    """The number of tasks by value of each facet; only values that contain the text `containing`, if given."""
    names = [_parse_facet(name) for name in facets]
    return get_reader(source).facets(build_filter(query, **window), names, limit=limit, containing=containing or None)


def task_names(
    source: ReaderLike = None, query: str | None = None, *, limit: int = 1_000, **window: Unpack[Window]
) -> Facets:
    """The task types with their number of tasks, most frequent first."""
    return task_facets(source, query, ("name",), limit=limit, **window)


def task_histogram(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    buckets: int = DEFAULT_BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> Histogram:
    """The number of tasks by state and time bucket: of `width` seconds, or of a round width that gives about `buckets`
    buckets. A window without start or end ends with the first or last matching task."""
    reader, where = get_reader(source), build_filter(query, **window)
    return reader.histogram(where, _choose_span(reader, where, buckets=buckets, width=width, **window))


def task_stats(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    by: str | None = None,
    limit: int = 20,
    buckets: int = DEFAULT_BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> Stats:
    """Throughput, failure rate and percentiles of wait and run time: over all matching tasks; by the `limit` most
    frequent values of a facet; or with `by="time"` by time bucket, as in `task_histogram`."""
    reader, where = get_reader(source), build_filter(query, **window)
    start, end = _window_bounds(window)
    seconds, bounds = _window_seconds(**window), StatsWindow(start, end, get_time_key(window))
    if by == "time":
        span = _choose_span(reader, where, buckets=buckets, width=width, **window)
        return build_stats(reader.timeline(where, span), seconds=seconds, window=bounds, span=span)
    group = None if by is None else _parse_facet(by, "time")
    return build_stats(reader.summaries(where, by=group, limit=limit), seconds=seconds, window=bounds)


def failure_groups(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    extra_filter: Node | None = None,
    limit: int = 20,
    buckets: int = DEFAULT_BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> FailureGroupList:
    """Failures grouped by fingerprint, largest group first, each with its trend over time. `extra_filter` is an
    additional condition, as a search tree."""
    reader, where = get_reader(source), build_filter(query, **window)
    if extra_filter is not None:
        where = all_of([where, extra_filter])
    span = _choose_span(reader, where, buckets=buckets, width=width, **window)
    result = reader.failures(where, limit=limit, span=span)
    return FailureGroupList(result.groups, result.count, result.more, span, result.partial)


def failure_group(
    source: ReaderLike,
    group: str,
    query: str | None = None,
    *,
    limit: int = 20,
    buckets: int = DEFAULT_BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> FailureDetail:
    """One group by the id of its fingerprint, and its `limit` latest tasks. Raises NotFound."""
    reader = get_reader(source)
    where = all_of([Term("failure", "equals", group), build_filter(query, **window)])
    span = _choose_span(reader, where, buckets=buckets, width=width, **window)
    groups = reader.failures(where, limit=1, span=span).groups
    if not groups:
        raise NotFound(f"Unknown failure group '{group}'", hint="no recorded task that matches the query belongs to it")
    latest = reader.tasks(Query(where, parse_order("-timestamp")), limit=limit)
    return FailureDetail(groups[0], span, tuple(latest))


def related_tasks(source: ReaderLike, uuid: str, *, limit: int = 1_000) -> WorkflowTree:
    """The workflow of a task, as a tree with times. Raises NoSuchTask."""
    family = get_reader(source).family(uuid, limit=limit)
    if family is None:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint="no task with this id is recorded")
    return build_workflow_tree(family, uuid)


def workflow_page(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    limit: int = 50,
    cursor: str | None = None,
    **window: Unpack[Window],
) -> Workflows:
    """Workflows, newest first: tasks that other tasks name as their root. Query and window apply to the root; for all
    tasks of one workflow see `related_tasks`."""
    return get_reader(source).workflows(build_filter(query, **window), limit=limit, cursor=cursor)


def slowest_tasks(
    source: ReaderLike = None, query: str | None = None, *, limit: int = 20, **window: Unpack[Window]
) -> tuple[Task, ...]:
    """The tasks with the longest run time, longest first."""
    where = all_of([build_filter(query, **window), Term("runtime", "range", (None, None))])
    return tuple(get_reader(source).tasks(Query(where, parse_order("-runtime")), limit=limit))


def waiting_tasks(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    unstarted_only: bool = False,
    limit: int = 20,
    **window: Unpack[Window],
) -> tuple[Task, ...]:
    """The tasks with the longest time between sent and started, longest first; with `unstarted_only` the tasks that
    have not been started, oldest first."""
    reader, where = get_reader(source), build_filter(query, **window)
    if not unstarted_only:
        where = all_of([where, Term("wait", "range", (None, None))])
        return tuple(reader.tasks(Query(where, (Sort("wait", descending=True),)), limit=limit))
    is_waiting = any_of([Term("state", "equals", state) for state in (PENDING, RECEIVED)])
    is_unstarted = Not(Term("started", "range", (None, None)))
    where = all_of([where, is_waiting, is_unstarted])
    return tuple(reader.tasks(Query(where, parse_order("sent,received")), limit=limit))


def worker_history(
    source: ReaderLike = None, hostname: str | None = None, *, limit: int = 1_000
) -> tuple[WorkerSnapshot, ...]:
    """When workers went online and offline, and samples of their state, newest first. Raises NotFound for an unknown
    worker."""
    reader = get_reader(source)
    history = tuple(reader.worker_history(hostname, limit=limit))
    if hostname is not None and not history and hostname not in reader.workers():
        raise NotFound(f"Unknown worker '{hostname}'", hint=did_you_mean(hostname, sorted(reader.workers())[:20]))
    return history


def suggestions(source: ReaderLike, text: str, position: int | None = None, *, limit: int = 20) -> Completions:
    """Completions of a query at `position` (None: at its end)."""
    return find_completions(get_reader(source), text, position, limit)


def _choose_span(
    reader: Reader, where: Node, *, buckets: int, width: float | None, **window: Unpack[Window]
) -> BucketSpan:
    """The buckets of a window; where the window has no start or end, it is that of the tasks that match `where`."""
    zone, key = parse_time_zone(window.get("tz")), get_time_key(window)
    start, end = _window_bounds(window)
    if end is None:
        end = _find_min_or_max(reader, where, key, descending=True)
    if start is None:
        start = _find_min_or_max(reader, where, key, descending=False)
    end = get_evaluation_time(window) if end is None else end
    start = end - DEFAULT_WINDOW_SECONDS if start is None else start
    return choose_buckets(start, end, buckets=buckets, width=width, zone=zone, key=key)


def _window_seconds(**window: Unpack[Window]) -> float | None:
    """The length of the window, until now if it has no end; None if it has no start."""
    start, end = _window_bounds(window)
    if start is None:
        return None
    return max(0.0, (get_evaluation_time(window) if end is None else end) - start) or None


def _window_bounds(window: Window) -> tuple[float | None, float | None]:
    zone, now = parse_time_zone(window.get("tz")), get_evaluation_time(window)
    return (
        parse_time_bound(window.get("start"), "start", zone, now),
        parse_time_bound(window.get("end"), "end", zone, now),
    )


def _find_min_or_max(reader: Reader, where: Node, key: TimeKey, *, descending: bool) -> float | None:
    """The first or last time of the tasks; None if none has this time."""
    has_time = all_of([where, Term(key, "range", (None, None))])
    first = next(reader.tasks(Query(has_time, (Sort(key, descending=descending),)), limit=1), None)
    value: float | None = getattr(first, key, None)
    return value


def _parse_facet(name: str, *others: str) -> Facet:
    facet = next((facet for facet in FACETS if facet == name), None)
    if facet is None:
        raise InvalidRequest(f"Unknown facet '{name}'", hint=did_you_mean(name, (*get_args(Facet), *others)))
    return facet
