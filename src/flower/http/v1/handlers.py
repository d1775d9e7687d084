"""The routes as functions: a store and the parameters in, the answer out. They run in threads; what is wrong is
raised."""

import time
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType

from flower.api import queries
from flower.api.completion import Completions
from flower.api.query_params import parse_time_zone
from flower.api.statistics import Stats
from flower.api.workflow_tree import WorkflowTree
from flower.errors import InvalidRequest, NoSuchTask, NotFound
from flower.http.v1 import params as ask
from flower.http.v1.schemas import (
    ParsedQuery,
    QueryWarningRow,
    RecorderState,
    SearchField,
    StatusResponse,
    StoreState,
    TaskList,
    TaskType,
    TaskTypeList,
    TopTasks,
    WorkerDetail,
    WorkerHistory,
    WorkerList,
    WorkflowList,
    WorkflowRow,
    worker_row,
)
from flower.http.v1.task_rows import COLUMNS, TaskRow, task_rows
from flower.recorder_status import RecorderStatus
from flower.search.did_you_mean import did_you_mean
from flower.search.fields import FIELDS
from flower.search.formatter import format_search
from flower.search.parser import find_query_warnings, parse_search
from flower.search.tree import Term
from flower.store.protocols import Reader
from flower.store.query_results import Count, Facets, Histogram, Workflow

T = TypeVar("T")


def list_tasks(store: Reader, asked: ask.TaskListParams) -> TaskList:
    if asked.offset:
        return _list_by_offset(store, asked)
    page = queries.task_page(
        store, asked.query, sort=asked.sort, limit=asked.limit, cursor=asked.cursor or None, **asked.window()
    )
    following = _next_url(asked, cursor=page.cursor) if page.cursor else None
    return TaskList(task_rows(store, page.tasks, asked.columns, asked.text_limit), following, page.cursor, page.partial)


def _list_by_offset(store: Reader, asked: ask.TaskListParams) -> TaskList:
    if asked.cursor:
        raise InvalidRequest("A page begins at a cursor or at an offset, not at both", hint="leave one of them out")
    # One more than asked for tells whether there is a next page.
    found = queries.task_slice(
        store, asked.query, sort=asked.sort, limit=asked.limit + 1, offset=asked.offset, **asked.window()
    )
    more = len(found) > asked.limit
    following = _next_url(asked, offset=asked.offset + asked.limit) if more else None
    return TaskList(task_rows(store, found[: asked.limit], asked.columns, asked.text_limit), following)


def _next_url(asked: ask.TaskListParams, **place: object) -> str:
    """The query string of the next page: what was asked for, from another place on."""
    given = {name: getattr(asked, name) for name in asked.__struct_fields__ if name not in ("cursor", "offset")}
    changed = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value != _DEFAULT_PARAMS[name]
    }
    return f"tasks?{urlencode({**changed, **place}, errors='replace')}"


_DEFAULT_PARAMS = msgspec.structs.asdict(ask.TaskListParams())


def get_task(store: Reader, asked: ask.TaskParams) -> TaskRow:
    found = store.task(asked.uuid)
    if found is None:
        raise NoSuchTask(f"Unknown task '{asked.uuid}'", hint="no such task was recorded")
    return task_rows(store, [found], COLUMNS)[0]


def get_task_workflow(store: Reader, asked: ask.TaskWorkflowParams) -> WorkflowTree:
    return queries.related_tasks(store, asked.uuid, limit=asked.limit)


def count_tasks(store: Reader, asked: ask.QueryParams) -> Count:
    return queries.task_count(store, asked.query, **asked.window())


def get_facets(store: Reader, asked: ask.FacetParams) -> Facets:
    return queries.task_facets(
        store, asked.query, asked.facets, limit=asked.limit, containing=asked.contains, **asked.window()
    )


def get_histogram(store: Reader, asked: ask.HistogramParams) -> Histogram:
    return queries.task_histogram(store, asked.query, buckets=asked.buckets, width=asked.bucket_width, **asked.window())


def get_statistics(store: Reader, asked: ask.StatisticsParams) -> Stats:
    return queries.task_stats(
        store,
        asked.query,
        by=None if asked.group_by is UNSET else asked.group_by,
        limit=asked.limit,
        buckets=asked.buckets,
        width=asked.bucket_width,
        **asked.window(),
    )


def list_workflows(store: Reader, asked: ask.WorkflowListParams) -> WorkflowList:
    found = queries.workflow_page(store, asked.query, limit=asked.limit, cursor=asked.cursor or None, **asked.window())
    roots = task_rows(store, [each.root for each in found.workflows], asked.columns) if asked.columns else None
    return WorkflowList(
        tuple(
            _workflow_row(each, UNSET if roots is None else roots[place]) for place, each in enumerate(found.workflows)
        ),
        found.cursor,
        found.partial,
    )


def _workflow_row(found: Workflow, root: TaskRow | UnsetType) -> WorkflowRow:
    seconds = (
        None if found.started_at is None or found.last_event_at is None else found.last_event_at - found.started_at
    )
    return WorkflowRow(
        uuid=found.root.uuid,
        name=found.root.name,
        state=found.root.state,
        task_count=found.tasks,
        finished_count=found.finished,
        failed_count=found.failed,
        running_count=found.running,
        started_at=found.started_at,
        last_event_at=found.last_event_at,
        duration=seconds,
        root=root,
    )


def list_slowest(store: Reader, asked: ask.SlowestTasksParams) -> TopTasks:
    found = queries.slowest_tasks(store, asked.query, limit=asked.limit, **asked.window())
    return TopTasks(task_rows(store, found, asked.columns, asked.text_limit))


def list_waiting(store: Reader, asked: ask.WaitingTasksParams) -> TopTasks:
    found = queries.waiting_tasks(
        store, asked.query, unstarted_only=asked.unstarted_only, limit=asked.limit, **asked.window()
    )
    return TopTasks(task_rows(store, found, asked.columns, asked.text_limit))


def list_workers(store: Reader, asked: ask.EmptyParams) -> WorkerList:
    now = time.time()
    return WorkerList(tuple(worker_row(worker, now) for worker in store.workers().values()))


def get_worker(store: Reader, asked: ask.WorkerParams) -> WorkerDetail:
    known = store.workers()
    found = known.get(asked.name)
    if found is None:
        raise NotFound(f"Unknown worker '{asked.name}'", hint=did_you_mean(asked.name, sorted(known)[:20]))
    tasks = store.facets(Term("worker", "equals", asked.name), ("state",))
    states = {str(value.value): value.count for value in tasks.facets["state"].values}
    return WorkerDetail(worker_row(found, time.time()), tasks.count, states, tasks.partial)


def get_worker_history(store: Reader, asked: ask.WorkerHistoryParams) -> WorkerHistory:
    return WorkerHistory(queries.worker_history(store, asked.name, limit=asked.limit))


def list_task_types(store: Reader, asked: ask.TaskTypeListParams) -> TaskTypeList:
    found = queries.task_facets(
        store, asked.query, ("name",), limit=asked.limit, containing=asked.contains, **asked.window()
    )
    known = [value for value in found.facets["name"].values if value.value is not None]
    return TaskTypeList(
        tuple(TaskType(str(value.value), value.count) for value in known), found.facets["name"].more, found.partial
    )


def list_query_completions(store: Reader, asked: ask.CompletionParams) -> Completions:
    position = None if asked.position is UNSET else asked.position
    return queries.suggestions(store, asked.text, position, limit=asked.limit)


def parse_query(store: Reader, asked: ask.ParseQueryParams) -> ParsedQuery:
    tree = parse_search(asked.query, zone=parse_time_zone(asked.tz))
    fields = tuple(
        SearchField(field.name, field.kind, field.cost, field.description, field.example) for field in FIELDS.values()
    )
    notices = tuple(QueryWarningRow(notice.message, notice.position) for notice in find_query_warnings(asked.query))
    return ParsedQuery(asked.query, format_search(tree), notices, fields)


def get_status(store: Reader, asked: ask.EmptyParams) -> StatusResponse:
    store_status, now = store.status(), time.time()
    recorder = RecorderStatus.from_dict(store.recorder_status())
    return StatusResponse(
        recorder.is_recording(now),
        StoreState(
            store_status.sequence,
            store_status.tasks,
            store_status.size_bytes,
            store_status.segments,
            store_status.damaged,
        ),
        RecorderState(
            reported_at=recorder.reported_at,
            running=recorder.running,
            connected=recorder.connected,
            events=recorder.events,
            last_event_at=recorder.last_event_at,
            error=recorder.error,
            connection_error=recorder.connection_error,
            lag=recorder.lag,
        ),
        tuple(store.gaps()),
    )
