"""The table of routes of `/api/v1`: address, parameters, answer, and a sentence. The server mounts it, the OpenAPI
document and docs/api.md are printed from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from flower.api.completing import Suggestions
from flower.api.exporting import MEDIA_TYPES
from flower.api.families import FamilyTree
from flower.api.figures import Stats
from flower.api.v1 import answers, asked, handlers
from flower.api.v1.exports import Exported, export
from flower.api.v1.rows import TaskRow
from flower.api.v1.showing import EVENTS, sample
from flower.api.v1.streamed import Streamed
from flower.live.wire import MEDIA_TYPE
from flower.store.answers import Count, Facets, Histogram
from flower.store.port import Reader

PREFIX = "/api/v1"

#: Under which heading a route is shown.
Group: TypeAlias = Literal["tasks", "figures", "workflows", "workers", "search", "status"]


@dataclass(frozen=True, slots=True)
class Route:
    """`answer` is called in a thread with the store and an `asked`, and gives an `answers`. The last element of a path
    may hold slashes if it is written `{name:path}`. `example` is an address that is answered from the examples' store.
    A route that streams has no `answers`; it names the `media_types` of what it gives as `Streamed`. One that has
    `events` goes on as long as somebody listens (`live.follow`): its `answer` is only how such a stream begins."""

    path: str
    name: str
    group: Group
    summary: str
    asked: type[msgspec.Struct]
    answers: type[msgspec.Struct] | None
    answer: Callable[[Reader, Any], msgspec.Struct | Streamed]
    example: str
    media_types: tuple[str, ...] = ()
    #: what comes in the stream, by name
    events: Mapping[str, type[msgspec.Struct]] = field(default_factory=dict)

    @property
    def plain_path(self) -> str:
        return self.path.replace(":path}", "}")


ROUTES: tuple[Route, ...] = (
    Route(
        "/tasks",
        "listTasks",
        "tasks",
        "Tasks, page by page",
        asked.Tasks,
        answers.TaskList,
        handlers.tasks,
        "tasks?query=state:FAILURE&sort=-received&limit=1",
    ),
    Route(
        "/tasks/{uuid:path}/family",
        "getFamily",
        "tasks",
        "The workflow of a task as a tree with times",
        asked.OneFamily,
        FamilyTree,
        handlers.family,
        "tasks/order-17/family",
    ),
    Route(
        "/tasks/{uuid:path}",
        "getTask",
        "tasks",
        "One task, with all that is known",
        asked.OneTask,
        TaskRow,
        handlers.task,
        "tasks/charge-17",
    ),
    Route(
        "/slowest",
        "listSlowest",
        "tasks",
        "The tasks that ran longest",
        asked.Slowest,
        answers.TopTasks,
        handlers.slowest,
        "slowest?limit=2&columns=name,runtime",
    ),
    Route(
        "/waiting",
        "listWaiting",
        "tasks",
        "The tasks that waited longest for a worker, or still do",
        asked.Waiting,
        answers.TopTasks,
        handlers.waiting,
        "waiting?limit=2&columns=name,state,wait",
    ),
    Route(
        "/count",
        "countTasks",
        "figures",
        "How many tasks",
        asked.Found,
        Count,
        handlers.count,
        "count?query=name:shop.charge",
    ),
    Route(
        "/export",
        "exportTasks",
        "tasks",
        "All tasks of a query as a file",
        Exported,
        None,
        export,
        "export?query=state:FAILURE&format=csv&columns=uuid,name,exception",
        tuple(MEDIA_TYPES.values()),
    ),
    Route(
        "/facets",
        "getFacets",
        "figures",
        "How many tasks have each value",
        asked.Faceted,
        Facets,
        handlers.facets,
        "facets?facets=state,name&limit=2",
    ),
    Route(
        "/histogram",
        "getHistogram",
        "figures",
        "How many tasks of each state over time",
        asked.Bucketed,
        Histogram,
        handlers.histogram,
        "histogram?buckets=4&tz=UTC",
    ),
    Route(
        "/stats",
        "getStats",
        "figures",
        "Throughput, failure rate, percentiles of wait and run time: overall, by value, over time",
        asked.Figured,
        Stats,
        handlers.stats,
        "stats?by=name&limit=1",
    ),
    Route(
        "/workflows",
        "listWorkflows",
        "workflows",
        "Workflows, newest first, and how far each is",
        asked.Workflows,
        answers.WorkflowList,
        handlers.workflows,
        "workflows?limit=2",
    ),
    Route(
        "/workers",
        "listWorkers",
        "workers",
        "All workers on record",
        asked.Nothing,
        answers.WorkerList,
        handlers.workers,
        "workers",
    ),
    Route(
        "/workers/{name}",
        "getWorker",
        "workers",
        "One worker and the states of its tasks",
        asked.OneWorker,
        answers.WorkerDetail,
        handlers.worker,
        "workers/celery@w1",
    ),
    Route(
        "/workers/{name}/history",
        "getWorkerHistory",
        "workers",
        "When a worker came, went and how it was",
        asked.History,
        answers.WorkerHistory,
        handlers.worker_history,
        "workers/celery@w1/history?limit=2",
    ),
    Route(
        "/names",
        "listNames",
        "search",
        "The task types, with how many tasks each has",
        asked.Names,
        answers.NameList,
        handlers.names,
        "names",
    ),
    Route(
        "/suggest",
        "suggest",
        "search",
        "What may come next in a query",
        asked.Typed,
        Suggestions,
        handlers.suggest,
        "suggest?text=state:F",
    ),
    Route(
        "/search",
        "explainSearch",
        "search",
        "How a query is understood, or what is wrong with it and where",
        asked.Explained,
        answers.Explanation,
        handlers.search,
        "search?query=state:FAILURE -worker:mail-1",
    ),
    Route(
        "/status",
        "getStatus",
        "status",
        "How store and recorder are",
        asked.Nothing,
        answers.StatusAnswer,
        handlers.status,
        "status",
    ),
    Route(
        "/live",
        "followTasks",
        "status",
        "What changes, as it happens: tasks, workers and how the recorder is, as server-sent events",
        asked.Followed,
        None,
        sample,
        "live?query=state:FAILURE&columns=name,state&topics=tasks&after=0",
        (MEDIA_TYPE,),
        EVENTS,
    ),
)
