"""The table of routes of `/api/v1`: address, parameters, answer, and a sentence. The server mounts it, the OpenAPI
document and docs/api.md are printed from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from flower.api.completion import Completions
from flower.api.exporter import EXPORT_MEDIA_TYPES
from flower.api.statistics import Stats
from flower.api.workflow_tree import WorkflowTree
from flower.http.v1 import handlers, schemas
from flower.http.v1 import params as asked
from flower.http.v1.export import ExportParams, export_tasks
from flower.http.v1.stream_backend import STREAM_EVENTS, example_stream
from flower.http.v1.streaming_body import StreamingBody
from flower.http.v1.task_rows import TaskRow
from flower.live.sse import EVENT_STREAM_MEDIA_TYPE
from flower.store.protocols import Reader
from flower.store.query_results import Count, Facets, Histogram

PREFIX = "/api/v1"

#: Under which heading a route is shown.
ReadTag: TypeAlias = Literal["tasks", "figures", "workflows", "workers", "search", "status"]


@dataclass(frozen=True, slots=True)
class ReadRoute:
    """`answer` is called in a thread with the store and an `asked`, and gives an `answers`. The last element of a path
    may hold slashes if it is written `{name:path}`. `example` is an address that is answered from the examples' store.
    A route that streams has no `answers`; it names the `media_types` of what it gives as `Streamed`. One that has
    `events` goes on as long as somebody listens (`live.follow`): its `answer` is only how such a stream begins."""

    path: str
    name: str
    tag: ReadTag
    summary: str
    params: type[msgspec.Struct]
    response: type[msgspec.Struct] | None
    handler: Callable[[Reader, Any], msgspec.Struct | StreamingBody]
    example: str
    media_types: tuple[str, ...] = ()
    #: what comes in the stream, by name
    events: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)

    @property
    def plain_path(self) -> str:
        return self.path.replace(":path}", "}")


READ_ROUTES: tuple[ReadRoute, ...] = (
    ReadRoute(
        "/tasks",
        "listTasks",
        "tasks",
        "Tasks, page by page",
        asked.TaskListParams,
        schemas.TaskList,
        handlers.list_tasks,
        "tasks?query=state:FAILURE&sort=-received&limit=1",
    ),
    ReadRoute(
        "/tasks/{uuid:path}/family",
        "getFamily",
        "tasks",
        "The workflow of a task as a tree with times",
        asked.TaskWorkflowParams,
        WorkflowTree,
        handlers.get_task_workflow,
        "tasks/order-17/family",
    ),
    ReadRoute(
        "/tasks/{uuid:path}",
        "getTask",
        "tasks",
        "One task, with all that is known",
        asked.TaskParams,
        TaskRow,
        handlers.get_task,
        "tasks/charge-17",
    ),
    ReadRoute(
        "/slowest",
        "listSlowest",
        "tasks",
        "The tasks that ran longest",
        asked.SlowestTasksParams,
        schemas.TopTasks,
        handlers.list_slowest,
        "slowest?limit=2&columns=name,runtime",
    ),
    ReadRoute(
        "/waiting",
        "listWaiting",
        "tasks",
        "The tasks that waited longest for a worker, or still do",
        asked.WaitingTasksParams,
        schemas.TopTasks,
        handlers.list_waiting,
        "waiting?limit=2&columns=name,state,wait",
    ),
    ReadRoute(
        "/count",
        "countTasks",
        "figures",
        "How many tasks",
        asked.QueryParams,
        Count,
        handlers.count_tasks,
        "count?query=name:shop.charge",
    ),
    ReadRoute(
        "/export",
        "exportTasks",
        "tasks",
        "All tasks of a query as a file",
        ExportParams,
        None,
        export_tasks,
        "export?query=state:FAILURE&format=csv&columns=uuid,name,exception",
        tuple(EXPORT_MEDIA_TYPES.values()),
    ),
    ReadRoute(
        "/facets",
        "getFacets",
        "figures",
        "How many tasks have each value",
        asked.FacetParams,
        Facets,
        handlers.get_facets,
        "facets?facets=state,name&limit=2",
    ),
    ReadRoute(
        "/histogram",
        "getHistogram",
        "figures",
        "How many tasks of each state over time",
        asked.HistogramParams,
        Histogram,
        handlers.get_histogram,
        "histogram?buckets=4&tz=UTC",
    ),
    ReadRoute(
        "/stats",
        "getStats",
        "figures",
        "Throughput, failure rate, percentiles of wait and run time: overall, by value, over time",
        asked.StatisticsParams,
        Stats,
        handlers.get_statistics,
        "stats?by=name&limit=1",
    ),
    ReadRoute(
        "/workflows",
        "listWorkflows",
        "workflows",
        "Workflows, newest first, and how far each is",
        asked.WorkflowListParams,
        schemas.WorkflowList,
        handlers.list_workflows,
        "workflows?limit=2",
    ),
    ReadRoute(
        "/workers",
        "listWorkers",
        "workers",
        "All workers on record",
        asked.EmptyParams,
        schemas.WorkerList,
        handlers.list_workers,
        "workers",
    ),
    ReadRoute(
        "/workers/{name}",
        "getWorker",
        "workers",
        "One worker and the states of its tasks",
        asked.WorkerParams,
        schemas.WorkerDetail,
        handlers.get_worker,
        "workers/celery@w1",
    ),
    ReadRoute(
        "/workers/{name}/history",
        "getWorkerHistory",
        "workers",
        "When a worker came, went and how it was",
        asked.WorkerHistoryParams,
        schemas.WorkerHistory,
        handlers.get_worker_history,
        "workers/celery@w1/history?limit=2",
    ),
    ReadRoute(
        "/names",
        "listNames",
        "search",
        "The task types, with how many tasks each has",
        asked.TaskTypeListParams,
        schemas.TaskTypeList,
        handlers.list_task_types,
        "names",
    ),
    ReadRoute(
        "/suggest",
        "suggest",
        "search",
        "What may come next in a query",
        asked.CompletionParams,
        Completions,
        handlers.list_query_completions,
        "suggest?text=state:F",
    ),
    ReadRoute(
        "/search",
        "explainSearch",
        "search",
        "How a query is understood, or what is wrong with it and where",
        asked.ParseQueryParams,
        schemas.ParsedQuery,
        handlers.parse_query,
        "search?query=state:FAILURE -worker:mail-1",
    ),
    ReadRoute(
        "/status",
        "getStatus",
        "status",
        "How store and recorder are",
        asked.EmptyParams,
        schemas.StatusResponse,
        handlers.get_status,
        "status",
    ),
    ReadRoute(
        "/live",
        "followTasks",
        "status",
        "What changes, as it happens: tasks, workers and how the recorder is, as server-sent events",
        asked.StreamParams,
        None,
        example_stream,
        "live?query=state:FAILURE&columns=name,state&topics=tasks&after=0",
        (EVENT_STREAM_MEDIA_TYPE,),
        STREAM_EVENTS,
    ),
)
