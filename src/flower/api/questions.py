"""What can be asked of the records, as plain functions: the HTTP API and the command line call these very ones.

Each is named for what it gives. The first argument says whose records: a store, the `Events` that keep one, or None
for those last started in this process. `query` is a text of the search language; `**window` is `asking.Window`: start,
end, time, tz, now. All raise Invalid, SearchError, NotFound and WaitedTooLong; where an answer has `partial`, what was
found in time is given instead of the latter.
"""

from collections.abc import Sequence
from typing import Unpack, get_args

from flower.api.asking import (
    Order,
    Source,
    Window,
    bound,
    now_of,
    order_of,
    query_of,
    reader_of,
    time_key,
    where_of,
    zone_of,
)
from flower.api.completing import Suggestions, suggestions_for
from flower.api.families import FamilyTree, family_tree
from flower.api.figures import FailureDetail, FailureList, Stats, stats_of
from flower.api.spans import span_over
from flower.errors import Invalid, NoSuchTask, NotFound
from flower.records import PENDING, RECEIVED, Task
from flower.search.nearest import did_you_mean
from flower.search.tree import Node, Not, Term, all_of, any_of
from flower.store.answers import (
    FACETS,
    Count,
    Facet,
    Facets,
    Histogram,
    Page,
    Span,
    TimeKey,
    WorkerMoment,
    Workflows,
)
from flower.store.port import Query, Reader, Sort

#: Stretches of time that a histogram has, about, if nobody says otherwise.
BUCKETS = 60

#: Seconds that the axis shows if neither the window nor any task says which.
NOTHING_FOUND = 3_600.0


def task_page(
    source: Source = None,
    query: str | None = None,
    *,
    sort: Order = None,
    limit: int = 100,
    cursor: str | None = None,
    **window: Unpack[Window],
) -> Page:
    """One page of tasks and the cursor of the next; see `asking.order_of` for `sort`."""
    return reader_of(source).page(query_of(query, sort, **window), limit=limit, cursor=cursor)


def task_slice(
    source: Source = None,
    query: str | None = None,
    *,
    sort: Order = None,
    limit: int | None = 100,
    offset: int = 0,
    **window: Unpack[Window],
) -> tuple[Task, ...]:
    """The tasks in places `offset` … `offset + limit - 1`. Those move while tasks come in: for all pages in turn,
    rather use `task_page`."""
    return tuple(reader_of(source).tasks(query_of(query, sort, **window), limit=limit, offset=offset))


def task_count(source: Source = None, query: str | None = None, **window: Unpack[Window]) -> Count:
    return reader_of(source).counted(where_of(query, **window))


def task_facets(
    source: Source = None,
    query: str | None = None,
    facets: Sequence[str] = ("state", "name", "worker", "queue", "exception"),
    *,
    limit: int = 20,
    containing: str | None = None,
    **window: Unpack[Window],
) -> Facets:
    """How many tasks have each value; `containing` a text, if one is given."""
    wanted = [_facet(name) for name in facets]
    return reader_of(source).facets(where_of(query, **window), wanted, limit=limit, containing=containing or None)


def task_names(
    source: Source = None, query: str | None = None, *, limit: int = 1_000, **window: Unpack[Window]
) -> Facets:
    """The task types and how many tasks each has, the most frequent first."""
    return task_facets(source, query, ("name",), limit=limit, **window)


def task_histogram(
    source: Source = None,
    query: str | None = None,
    *,
    buckets: int = BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> Histogram:
    """How many tasks of each state there were in each stretch of time: of `width` seconds, or of a round width that
    makes about `buckets` of them. A side of the window that is open is where the tasks found end."""
    reader, where = reader_of(source), where_of(query, **window)
    return reader.histogram(where, _span(reader, where, buckets=buckets, width=width, **window))


def task_stats(
    source: Source = None,
    query: str | None = None,
    *,
    by: str | None = None,
    limit: int = 20,
    buckets: int = BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> Stats:
    """Throughput, failure rate, percentiles of wait and run time: over all tasks found and, if `by` is a facet, by its
    `limit` most frequent values; with `by="time"` in each stretch of time, as `task_histogram` lays them."""
    reader, where = reader_of(source), where_of(query, **window)
    if by == "time":
        span = _span(reader, where, buckets=buckets, width=width, **window)
        return stats_of(reader.timeline(where, span), seconds=_seconds(**window), span=span)
    group = None if by is None else _facet(by, "time")
    return stats_of(reader.summaries(where, by=group, limit=limit), seconds=_seconds(**window))


def failure_groups(
    source: Source = None,
    query: str | None = None,
    *,
    also: Node | None = None,
    limit: int = 20,
    buckets: int = BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> FailureList:
    """The failures, those of a kind together, the largest group first, each with its course over time. `also` is a
    further condition, as a search tree."""
    reader, where = reader_of(source), where_of(query, **window)
    if also is not None:
        where = all_of([where, also])
    span = _span(reader, where, buckets=buckets, width=width, **window)
    found = reader.failures(where, limit=limit, span=span)
    return FailureList(found.groups, found.count, found.more, span, found.partial)


def failure_group(
    source: Source,
    group: str,
    query: str | None = None,
    *,
    limit: int = 20,
    buckets: int = BUCKETS,
    width: float | None = None,
    **window: Unpack[Window],
) -> FailureDetail:
    """One group by the id of its fingerprint, and its `limit` latest tasks. Raises NotFound."""
    reader = reader_of(source)
    where = all_of([Term("failure", "equals", group), where_of(query, **window)])
    span = _span(reader, where, buckets=buckets, width=width, **window)
    found = reader.failures(where, limit=1, span=span).groups
    if not found:
        raise NotFound(f"There is no failure '{group}'", hint="no task on record that the query lets through is in it")
    latest = reader.tasks(Query(where, order_of("-timestamp")), limit=limit)
    return FailureDetail(found[0], span, tuple(latest))


def related_tasks(source: Source, uuid: str, *, limit: int = 1_000) -> FamilyTree:
    """The workflow of a task as a tree with times. Raises NoSuchTask."""
    family = reader_of(source).family(uuid, limit=limit)
    if family is None:
        raise NoSuchTask(f"Unknown task '{uuid}'", hint="no such task was recorded")
    return family_tree(family, uuid)


def workflow_page(
    source: Source = None,
    query: str | None = None,
    *,
    limit: int = 50,
    cursor: str | None = None,
    **window: Unpack[Window],
) -> Workflows:
    """Workflows, the newest first: the tasks found that others name as their root. Query and window are about the root
    alone; `related_tasks` gives all of one."""
    return reader_of(source).workflows(where_of(query, **window), limit=limit, cursor=cursor)


def slowest_tasks(
    source: Source = None, query: str | None = None, *, limit: int = 20, **window: Unpack[Window]
) -> tuple[Task, ...]:
    """Those that ran longest, the longest first."""
    where = all_of([where_of(query, **window), Term("runtime", "range", (None, None))])
    return tuple(reader_of(source).tasks(Query(where, order_of("-runtime")), limit=limit))


def waiting_tasks(
    source: Source = None,
    query: str | None = None,
    *,
    still: bool = False,
    limit: int = 20,
    **window: Unpack[Window],
) -> tuple[Task, ...]:
    """Those that waited longest between being sent and being started, the longest first; with `still` those that have
    not been started yet, the oldest first."""
    reader, where = reader_of(source), where_of(query, **window)
    if not still:
        where = all_of([where, Term("wait", "range", (None, None))])
        return tuple(reader.tasks(Query(where, (Sort("wait", descending=True),)), limit=limit))
    waits = any_of([Term("state", "equals", state) for state in (PENDING, RECEIVED)])
    unstarted = Not(Term("started", "range", (None, None)))
    return tuple(reader.tasks(Query(all_of([where, waits, unstarted]), order_of("sent,received")), limit=limit))


def worker_history(
    source: Source = None, hostname: str | None = None, *, limit: int = 1_000
) -> tuple[WorkerMoment, ...]:
    """When workers came, went and how they were, newest first. Raises NotFound for a worker that nobody knows."""
    reader = reader_of(source)
    found = tuple(reader.worker_history(hostname, limit=limit))
    if hostname is not None and not found and hostname not in reader.workers():
        raise NotFound(f"Unknown worker '{hostname}'", hint=did_you_mean(hostname, sorted(reader.workers())[:20]))
    return found


def suggestions(source: Source, text: str, position: int | None = None, *, limit: int = 20) -> Suggestions:
    """What may come next in a query, at `position` (None: at its end)."""
    return suggestions_for(reader_of(source), text, position, limit)


def _span(reader: Reader, where: Node, *, buckets: int, width: float | None, **window: Unpack[Window]) -> Span:
    """The stretches over a window; where it is open, over the times of the tasks that `where` lets through."""
    zone, key = zone_of(window.get("tz")), time_key(window)
    start, end = _bounds(window)
    if end is None:
        end = _extreme(reader, where, key, descending=True)
    if start is None:
        start = _extreme(reader, where, key, descending=False)
    end = now_of(window) if end is None else end
    start = end - NOTHING_FOUND if start is None else start
    return span_over(start, end, buckets=buckets, width=width, zone=zone, key=key)


def _seconds(**window: Unpack[Window]) -> float | None:
    """How long the window is; an open end is now. None without a start."""
    start, end = _bounds(window)
    if start is None:
        return None
    return max(0.0, (now_of(window) if end is None else end) - start) or None


def _bounds(window: Window) -> tuple[float | None, float | None]:
    zone, now = zone_of(window.get("tz")), now_of(window)
    return bound(window.get("start"), "start", zone, now), bound(window.get("end"), "end", zone, now)


def _extreme(reader: Reader, where: Node, key: TimeKey, *, descending: bool) -> float | None:
    """The first or last time of these tasks; None if none has one."""
    there = all_of([where, Term(key, "range", (None, None))])
    first = next(reader.tasks(Query(there, (Sort(key, descending=descending),)), limit=1), None)
    found: float | None = getattr(first, key, None)
    return found


def _facet(name: str, *others: str) -> Facet:
    found = next((facet for facet in FACETS if facet == name), None)
    if found is None:
        raise Invalid(f"Tasks cannot be grouped by '{name}'", hint=did_you_mean(name, (*get_args(Facet), *others)))
    return found
