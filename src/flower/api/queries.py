"""What can be asked of the records, as plain functions: the HTTP API and the command line call these very ones.

Each is named for what it gives. The first argument says whose records: a store, the `Events` that keep one, or None
for those last started in this process. `query` is a text of the search language; `**window` is `asking.Window`: start,
end, time, tz, now. All raise Invalid, SearchError, NotFound and WaitedTooLong; where an answer has `partial`, what was
found in time is given instead of the latter.
"""

from collections.abc import Sequence
from typing import Unpack, get_args

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
from flower.api.statistics import FailureDetail, FailureGroupList, Stats, build_stats
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
    Histogram,
    Page,
    TimeKey,
    WorkerSnapshot,
    Workflows,
)

#: Stretches of time that a histogram has, about, if nobody says otherwise.
DEFAULT_BUCKETS = 60

#: Seconds that the axis shows if neither the window nor any task says which.
DEFAULT_WINDOW_SECONDS = 3_600.0


def task_page(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    sort: SortParam = None,
    limit: int = 100,
    cursor: str | None = None,
    **window: Unpack[Window],
) -> Page:
    """One page of tasks and the cursor of the next; see `asking.order_of` for `sort`."""
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
    """The tasks in places `offset` … `offset + limit - 1`. Those move while tasks come in: for all pages in turn,
    rather use `task_page`."""
    return tuple(get_reader(source).tasks(build_query(query, sort, **window), limit=limit, offset=offset))


def task_count(source: ReaderLike = None, query: str | None = None, **window: Unpack[Window]) -> Count:
    return get_reader(source).count_until_deadline(build_filter(query, **window))


def task_facets(
    source: ReaderLike = None,
    query: str | None = None,
    facets: Sequence[str] = ("state", "name", "worker", "queue", "exception"),
    *,
    limit: int = 20,
    containing: str | None = None,
    **window: Unpack[Window],
) -> Facets:
    """How many tasks have each value; `containing` a text, if one is given."""
    wanted = [_parse_facet(name) for name in facets]
    return get_reader(source).facets(build_filter(query, **window), wanted, limit=limit, containing=containing or None)


def task_names(
    source: ReaderLike = None, query: str | None = None, *, limit: int = 1_000, **window: Unpack[Window]
) -> Facets:
    """The task types and how many tasks each has, the most frequent first."""
    return task_facets(source, query, ("name",), limit=limit, **window)


def task_histogram(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    buckets: int = DEFAULT_BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> Histogram:
    """How many tasks of each state there were in each stretch of time: of `width` seconds, or of a round width that
    makes about `buckets` of them. A side of the window that is open is where the tasks found end."""
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
    """Throughput, failure rate, percentiles of wait and run time: over all tasks found and, if `by` is a facet, by its
    `limit` most frequent values; with `by="time"` in each stretch of time, as `task_histogram` lays them."""
    reader, where = get_reader(source), build_filter(query, **window)
    if by == "time":
        span = _choose_span(reader, where, buckets=buckets, width=width, **window)
        return build_stats(reader.timeline(where, span), seconds=_window_seconds(**window), span=span)
    group = None if by is None else _parse_facet(by, "time")
    return build_stats(reader.summaries(where, by=group, limit=limit), seconds=_window_seconds(**window))


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
    """The failures, those of a kind together, the largest group first, each with its course over time. `also` is a
    further condition, as a search tree."""
    reader, where = get_reader(source), build_filter(query, **window)
    if extra_filter is not None:
        where = all_of([where, extra_filter])
    span = _choose_span(reader, where, buckets=buckets, width=width, **window)
    found = reader.failures(where, limit=limit, span=span)
    return FailureGroupList(found.groups, found.count, found.more, span, found.partial)


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
    found = reader.failures(where, limit=1, span=span).groups
    if not found:
        raise NotFound(f"There is no failure '{group}'", hint="no task on record that the query lets through is in it")
    latest = reader.tasks(Query(where, parse_order("-timestamp")), limit=limit)
    return FailureDetail(found[0], span, tuple(latest))


def related_tasks(source: ReaderLike, uuid: str, *, limit: int = 1_000) -> WorkflowTree:
    """The workflow of a task as a tree with times. Raises NoSuchTask."""
    family = get_reader(source).family(uuid, limit=limit)
    if family is None:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint="no such task was recorded")
    return build_workflow_tree(family, uuid)


def workflow_page(
    source: ReaderLike = None,
    query: str | None = None,
    *,
    limit: int = 50,
    cursor: str | None = None,
    **window: Unpack[Window],
) -> Workflows:
    """Workflows, the newest first: the tasks found that others name as their root. Query and window are about the root
    alone; `related_tasks` gives all of one."""
    return get_reader(source).workflows(build_filter(query, **window), limit=limit, cursor=cursor)


def slowest_tasks(
    source: ReaderLike = None, query: str | None = None, *, limit: int = 20, **window: Unpack[Window]
) -> tuple[Task, ...]:
    """Those that ran longest, the longest first."""
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
    """Those that waited longest between being sent and being started, the longest first; with `still` those that have
    not been started yet, the oldest first."""
    reader, where = get_reader(source), build_filter(query, **window)
    if not unstarted_only:
        where = all_of([where, Term("wait", "range", (None, None))])
        return tuple(reader.tasks(Query(where, (Sort("wait", descending=True),)), limit=limit))
    waits = any_of([Term("state", "equals", state) for state in (PENDING, RECEIVED)])
    unstarted = Not(Term("started", "range", (None, None)))
    return tuple(reader.tasks(Query(all_of([where, waits, unstarted]), parse_order("sent,received")), limit=limit))


def worker_history(
    source: ReaderLike = None, hostname: str | None = None, *, limit: int = 1_000
) -> tuple[WorkerSnapshot, ...]:
    """When workers came, went and how they were, newest first. Raises NotFound for a worker that nobody knows."""
    reader = get_reader(source)
    found = tuple(reader.worker_history(hostname, limit=limit))
    if hostname is not None and not found and hostname not in reader.workers():
        raise NotFound(f"Unknown worker '{hostname}'", hint=did_you_mean(hostname, sorted(reader.workers())[:20]))
    return found


def suggestions(source: ReaderLike, text: str, position: int | None = None, *, limit: int = 20) -> Completions:
    """What may come next in a query, at `position` (None: at its end)."""
    return find_completions(get_reader(source), text, position, limit)


def _choose_span(
    reader: Reader, where: Node, *, buckets: int, width: float | None, **window: Unpack[Window]
) -> BucketSpan:
    """The stretches over a window; where it is open, over the times of the tasks that `where` lets through."""
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
    """How long the window is; an open end is now. None without a start."""
    start, end = _window_bounds(window)
    if start is None:
        return None
    return max(0.0, (get_evaluation_time(window) if end is None else end) - start) or None


def _window_bounds(window: Window) -> tuple[float | None, float | None]:
    zone, now = parse_time_zone(window.get("tz")), get_evaluation_time(window)
    return parse_time_bound(window.get("start"), "start", zone, now), parse_time_bound(
        window.get("end"), "end", zone, now
    )


def _find_min_or_max(reader: Reader, where: Node, key: TimeKey, *, descending: bool) -> float | None:
    """The first or last time of these tasks; None if none has one."""
    there = all_of([where, Term(key, "range", (None, None))])
    first = next(reader.tasks(Query(there, (Sort(key, descending=descending),)), limit=1), None)
    found: float | None = getattr(first, key, None)
    return found


def _parse_facet(name: str, *others: str) -> Facet:
    found = next((facet for facet in FACETS if facet == name), None)
    if found is None:
        raise InvalidRequest(
            f"Tasks cannot be grouped by '{name}'", hint=did_you_mean(name, (*get_args(Facet), *others))
        )
    return found
