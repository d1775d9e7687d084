"""Parameters that several routes share: name, type, limits, default, description and example, each declared once.

A field that occurs in the path of a route is a path parameter, every other field a parameter of the query string. Lists
are comma-separated. An empty value is the same as none.
"""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.query_params import WRITTEN_ORDER, Window
from flower.http.v1.task_rows import COLUMNS, DEFAULT_COLUMNS, MAX_TEXT_LIMIT
from flower.search.parser import MAX_QUERY_LENGTH
from flower.store.protocols import SORT_KEYS
from flower.store.query_results import FACETS, TimeKey

_SORT_KEYS = [WRITTEN_ORDER, *(f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-"))]

SortKeyParam: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": _SORT_KEYS})]
ColumnParam: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"anyOf": [{"enum": [*COLUMNS, "all"]}, {"pattern": r"^(args|kwargs|result|data)\..+"}]}),
]
ColumnsParam: TypeAlias = Annotated[
    tuple[ColumnParam, ...],
    Meta(
        description="Members of each task, or `all`; `uuid` is always included. A key path such as `kwargs.order_id` "
        "adds the value to `extracted`.",
        examples=["name,state,runtime"],
    ),
]
TextLimitParam: TypeAlias = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_TEXT_LIMIT,
        description="Maximum number of characters of `args`, `kwargs`, `result`, `exception` and `traceback`. Longer "
        "texts are truncated and end with `…`. Default: no limit.",
        examples=[1_000],
    ),
]
GroupByParam: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*FACETS, "time"]})]
BucketCountParam: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=1_000, description="Approximate number of buckets; the width is rounded.", examples=[24]),
]
BucketWidthParam: TypeAlias = Annotated[
    float, Meta(ge=1, le=3_153_600_000, description="Width of a bucket in seconds, instead of `buckets`.")
]
TaskIdParam: TypeAlias = Annotated[str, Meta(description="The task's id.", examples=["order-17"])]
WorkerNameParam: TypeAlias = Annotated[str, Meta(description="The worker's node name.", examples=["celery@w1"])]

#: Descriptions of `start` and `end` where the routes do not select tasks.
START = "Only entries from this time on: `-1h`, `today`, `2026-11-22T10:15Z`, epoch seconds."
END = "Only entries up to this time."


class QueryParams(msgspec.Struct, frozen=True, kw_only=True):
    """The selection of tasks: parameters of every route on many tasks."""

    query: Annotated[
        str,
        Meta(
            description=f"A search query of at most {MAX_QUERY_LENGTH} characters. An empty query matches all tasks.",
            examples=["state:FAILURE name:shop.*"],
        ),
    ] = ""
    start: Annotated[
        str,
        Meta(
            description="Only tasks from this time on: `-1h`, `today`, `2026-11-22`, `2026-11-22T10:15Z`, epoch "
            "seconds. A time without a zone is in `tz`.",
            examples=["2026-11-22T09:00Z"],
        ),
    ] = ""
    end: Annotated[
        str,
        Meta(
            description="Only tasks up to this time, inclusive; a date means the end of that day.",
            examples=["2026-11-22T12:00Z"],
        ),
    ] = ""
    time: Annotated[
        TimeKey,
        Meta(
            description="The time of a task that `start`, `end` and the buckets of histograms refer to. `time`: when it"
            " was received, else sent, else its first event."
        ),
    ] = "time"
    tz: Annotated[
        str,
        Meta(
            description="Time zone of times without a zone, and of days: `UTC`, `Europe/Berlin`. Default: the "
            "server's time zone.",
            examples=["Europe/Berlin"],
        ),
    ] = ""

    def window(self) -> Window:
        return {"start": self.start, "end": self.end, "time": self.time, "tz": self.tz}


class TaskParams(msgspec.Struct, frozen=True, kw_only=True):
    uuid: TaskIdParam


class WorkerParams(msgspec.Struct, frozen=True, kw_only=True):
    name: WorkerNameParam


class HistogramParams(QueryParams, frozen=True, kw_only=True):
    buckets: BucketCountParam = 60
    width: BucketWidthParam | UnsetType = UNSET

    @property
    def bucket_width(self) -> float | None:
        return None if self.width is UNSET else self.width


class TaskSelectionParams(QueryParams, frozen=True, kw_only=True):
    """`limit` tasks without pages."""

    columns: ColumnsParam = DEFAULT_COLUMNS
    text_limit: TextLimitParam = MAX_TEXT_LIMIT
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Maximum number of tasks.", examples=[2])] = 20
