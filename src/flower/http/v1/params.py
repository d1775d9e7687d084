"""The parameters of every route, each declared once: name, type, limits, default, sentence, example.

A field that is in a route's path is a path parameter, every other one is of the query string. Lists are written with
commas. An empty value is as if it were not given.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.failures import FailureStatus
from flower.api.query_params import WRITTEN_ORDER, Window
from flower.http.v1.task_rows import COLUMNS, DEFAULT_COLUMNS, MAX_TEXT_LIMIT
from flower.search.parser import MAX_QUERY_LENGTH
from flower.store.protocols import SORT_KEYS
from flower.store.query_results import FACETS, Facet, TimeKey

_SORT_KEYS = [WRITTEN_ORDER, *(f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-"))]

SortKeyParam: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": _SORT_KEYS})]
ColumnParam: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*COLUMNS, "all"]})]
ColumnsParam: TypeAlias = Annotated[
    tuple[ColumnParam, ...],
    Meta(
        description="What to tell of each task, or `all`. `uuid` always comes along.", examples=["name,state,runtime"]
    ),
]
TextLimitParam: TypeAlias = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_TEXT_LIMIT,
        description=(
            "Characters of `args`, `kwargs`, `result`, `exception` and `traceback`: a longer one is cut there "
            "and ends with `…`. Default: more than any has."
        ),
        examples=[1_000],
    ),
]
GroupByParam: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*FACETS, "time"]})]
BucketCountParam: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=1_000, description="About how many stretches of time; they get a round width.", examples=[24]),
]
BucketWidthParam: TypeAlias = Annotated[
    float, Meta(ge=1, le=3_153_600_000, description="The width of each stretch in seconds, instead of `buckets`.")
]
StreamTopic: TypeAlias = Literal["tasks", "workers", "status"]
TaskIdParam: TypeAlias = Annotated[str, Meta(description="The task's id.", examples=["order-17"])]
WorkerNameParam: TypeAlias = Annotated[str, Meta(description="The worker's node name.", examples=["celery@w1"])]


class EmptyParams(msgspec.Struct, frozen=True, kw_only=True):
    """No parameters."""


class QueryParams(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks: what every question about many of them takes."""

    query: Annotated[
        str,
        Meta(
            description=(
                f"A query of the search language, at most {MAX_QUERY_LENGTH} characters. Nothing is everything."
            ),
            examples=["state:FAILURE name:shop.*"],
        ),
    ] = ""
    start: Annotated[
        str,
        Meta(
            description=(
                "Only tasks from then on: `-1h`, `today`, `2026-11-22`, `2026-11-22T10:15Z`, epoch seconds. "
                "Without a zone it is a time of `tz`."
            ),
            examples=["2026-11-22T09:00Z"],
        ),
    ] = ""
    end: Annotated[
        str,
        Meta(
            description="Only tasks until then, inclusive: a day means its last moment.",
            examples=["2026-11-22T12:00Z"],
        ),
    ] = ""
    time: Annotated[
        TimeKey,
        Meta(description="The time of a task that `start` and `end` are about, and that histograms are laid by."),
    ] = "received"
    tz: Annotated[
        str,
        Meta(
            description="The zone of times that name none, and of days: `UTC`, `Europe/Berlin`. Default: the server's.",
            examples=["Europe/Berlin"],
        ),
    ] = ""

    def window(self) -> Window:
        return {"start": self.start, "end": self.end, "time": self.time, "tz": self.tz}


class TaskListParams(QueryParams, frozen=True, kw_only=True):
    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    sort: Annotated[
        tuple[SortKeyParam, ...],
        Meta(
            description=(
                "What to order by, `-` is descending; tasks without the value come last. `written`, alone, is the order"
                " in which tasks were first seen, in which every task keeps its place. Default: newest received."
            ),
            examples=["-runtime,name"],
        ),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Tasks on a page.", examples=[2])] = 100
    cursor: Annotated[
        str,
        Meta(description="The `cursor` of the page before. Pages neither repeat nor skip tasks while more come in."),
    ] = ""
    offset: Annotated[
        int,
        Meta(ge=0, le=2**53, description="Tasks to leave out, instead of `cursor`; places move while tasks come in."),
    ] = 0


class TaskParams(msgspec.Struct, frozen=True, kw_only=True):
    uuid: TaskIdParam


class TaskWorkflowParams(TaskParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Tasks of the workflow.")] = 1_000


class WorkflowListParams(QueryParams, frozen=True, kw_only=True):
    columns: Annotated[
        tuple[ColumnParam, ...],
        Meta(description="What to tell of each root in `root`, or `all`. Default: nothing.", examples=["args,worker"]),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Workflows on a page.", examples=[2])] = 50
    cursor: Annotated[str, Meta(description="The `cursor` of the page before.")] = ""


class FacetParams(QueryParams, frozen=True, kw_only=True):
    facets: Annotated[
        tuple[Facet, ...], Meta(description="What to group by.", examples=["state,name"], min_length=1)
    ] = ("state", "name", "worker", "queue", "exception")
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Values of each facet.", examples=[5])] = 20
    contains: Annotated[str, Meta(description="Only values with this text in them, ignoring case.")] = ""


class TaskTypeListParams(QueryParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Names at most.")] = 1_000
    contains: Annotated[str, Meta(description="Only names with this text in them, ignoring case.")] = ""


class HistogramParams(QueryParams, frozen=True, kw_only=True):
    buckets: BucketCountParam = 60
    width: BucketWidthParam | UnsetType = UNSET

    @property
    def bucket_width(self) -> float | None:
        return None if self.width is UNSET else self.width


class StatisticsParams(HistogramParams, frozen=True, kw_only=True):
    group_by: Annotated[
        GroupByParam | UnsetType,
        Meta(description="Figures of each value of this, or of each stretch of time.", examples=["name"]),
    ] = UNSET
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Groups, unless they are stretches of time.")] = 20


class FailureListParams(HistogramParams, frozen=True, kw_only=True):
    status: Annotated[
        tuple[FailureStatus, ...],
        Meta(description="Only groups that stand so. Default: all.", examples=["new,open,returning"]),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Groups at most.")] = 20


class FailureDetailParams(HistogramParams, frozen=True, kw_only=True):
    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    id: Annotated[str, Meta(description="The id of the group's fingerprint.", examples=["59fb2e5b6085582f"])]
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Latest tasks of the group.")] = 20


class SlowestTasksParams(QueryParams, frozen=True, kw_only=True):
    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Tasks at most.", examples=[2])] = 20


class WaitingTasksParams(SlowestTasksParams, frozen=True, kw_only=True):
    unstarted_only: Annotated[
        bool,
        Meta(
            description="Tasks that have not been started yet, the oldest first, instead of those that waited longest."
        ),
    ] = False


class WorkerParams(msgspec.Struct, frozen=True, kw_only=True):
    name: WorkerNameParam


class WorkerHistoryParams(WorkerParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Lines at most, the newest ones.")] = 1_000


class CompletionParams(msgspec.Struct, frozen=True, kw_only=True):
    text: Annotated[str, Meta(description="A query as far as it is written.", examples=["state:FAILURE name:sh"])] = ""
    position: (
        Annotated[
            int,
            Meta(ge=0, le=MAX_QUERY_LENGTH, description="Where the cursor is, in characters from 0. Default: the end."),
        ]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=100, description="Completions at most.", examples=[5])] = 20


class StreamParams(QueryParams, frozen=True, kw_only=True):
    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    topics: Annotated[
        tuple[StreamTopic, ...], Meta(description="What to be told of.", examples=["tasks,status"], min_length=1)
    ] = ("tasks", "workers", "status")
    after: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2**53,
                description=(
                    "Go on after this number of the change sequence, the `sequence` or `id` of an event. The "
                    "header `Last-Event-ID` says the same, and goes first. Default: from now on."
                ),
                examples=[1234],
            ),
        ]
        | UnsetType
    ) = UNSET
    duration: (
        Annotated[
            float, Meta(ge=0, le=86_400, description="The stream ends after so long. Default: never.", examples=[60])
        ]
        | UnsetType
    ) = UNSET


class ParseQueryParams(msgspec.Struct, frozen=True, kw_only=True):
    query: Annotated[
        str, Meta(description="The query to explain.", examples=["state:FAILURE -worker:mail-1 runtime:>2s"])
    ] = ""
    tz: Annotated[str, Meta(description="The zone of its times; default: the server's.", examples=["UTC"])] = ""
