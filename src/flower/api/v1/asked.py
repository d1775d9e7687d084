"""The parameters of every route, each declared once: name, type, limits, default, sentence, example.

A field that is in a route's path is a path parameter, every other one is of the query string. Lists are written with
commas. An empty value is as if it were not given.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api.asking import WRITTEN, Window
from flower.api.failure_states import FailureStatus
from flower.api.v1.rows import COLUMNS, DEFAULT_COLUMNS, WHOLE
from flower.search.syntax import MAX_LENGTH
from flower.store.answers import FACETS, Facet, TimeKey
from flower.store.port import SORT_KEYS

_SORTS = [WRITTEN, *(f"{sign}{key}" for key in SORT_KEYS for sign in ("", "-"))]

Order: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": _SORTS})]
Column: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*COLUMNS, "all"]})]
Shown: TypeAlias = Annotated[
    tuple[Column, ...],
    Meta(
        description="What to tell of each task, or `all`. `uuid` always comes along.", examples=["name,state,runtime"]
    ),
]
TextLimit: TypeAlias = Annotated[
    int,
    Meta(
        ge=1,
        le=WHOLE,
        description="Characters of `args`, `kwargs`, `result`, `exception` and `traceback`: a longer one is cut there "
        "and ends with `…`. Default: more than any has.",
        examples=[1_000],
    ),
]
GroupBy: TypeAlias = Annotated[str, Meta(extra_json_schema={"enum": [*FACETS, "time"]})]
Buckets: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=1_000, description="About how many stretches of time; they get a round width.", examples=[24]),
]
Width: TypeAlias = Annotated[
    float, Meta(ge=1, le=3_153_600_000, description="The width of each stretch in seconds, instead of `buckets`.")
]
Topic: TypeAlias = Literal["tasks", "workers", "status"]
Uuid: TypeAlias = Annotated[str, Meta(description="The task's id.", examples=["order-17"])]
Hostname: TypeAlias = Annotated[str, Meta(description="The worker's node name.", examples=["celery@w1"])]


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """No parameters."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks: what every question about many of them takes."""

    query: Annotated[
        str,
        Meta(
            description=f"A query of the search language, at most {MAX_LENGTH} characters. Nothing is everything.",
            examples=["state:FAILURE name:shop.*"],
        ),
    ] = ""
    start: Annotated[
        str,
        Meta(
            description="Only tasks from then on: `-1h`, `today`, `2026-11-22`, `2026-11-22T10:15Z`, epoch seconds. "
            "Without a zone it is a time of `tz`.",
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


class Tasks(Found, frozen=True, kw_only=True):
    columns: Shown = DEFAULT_COLUMNS
    text_limit: TextLimit = WHOLE
    sort: Annotated[
        tuple[Order, ...],
        Meta(
            description="What to order by, `-` is descending; tasks without the value come last. `written`, alone, is "
            "the order in which tasks were first seen, in which every task keeps its place. Default: newest received.",
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


class OneTask(msgspec.Struct, frozen=True, kw_only=True):
    uuid: Uuid


class OneFamily(OneTask, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Tasks of the workflow.")] = 1_000


class Workflows(Found, frozen=True, kw_only=True):
    columns: Annotated[
        tuple[Column, ...],
        Meta(description="What to tell of each root in `root`, or `all`. Default: nothing.", examples=["args,worker"]),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Workflows on a page.", examples=[2])] = 50
    cursor: Annotated[str, Meta(description="The `cursor` of the page before.")] = ""


class Faceted(Found, frozen=True, kw_only=True):
    facets: Annotated[
        tuple[Facet, ...], Meta(description="What to group by.", examples=["state,name"], min_length=1)
    ] = ("state", "name", "worker", "queue", "exception")
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Values of each facet.", examples=[5])] = 20
    containing: Annotated[str, Meta(description="Only values with this text in them, ignoring case.")] = ""


class Names(Found, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Names at most.")] = 1_000
    containing: Annotated[str, Meta(description="Only names with this text in them, ignoring case.")] = ""


class Bucketed(Found, frozen=True, kw_only=True):
    buckets: Buckets = 60
    width: Width | UnsetType = UNSET

    @property
    def seconds(self) -> float | None:
        return None if self.width is UNSET else self.width


class Figured(Bucketed, frozen=True, kw_only=True):
    by: Annotated[
        GroupBy | UnsetType,
        Meta(description="Figures of each value of this, or of each stretch of time.", examples=["name"]),
    ] = UNSET
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Groups, unless they are stretches of time.")] = 20


class Failed(Bucketed, frozen=True, kw_only=True):
    status: Annotated[
        tuple[FailureStatus, ...],
        Meta(description="Only groups that stand so. Default: all.", examples=["new,open,returning"]),
    ] = ()
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Groups at most.")] = 20


class OneFailure(Bucketed, frozen=True, kw_only=True):
    columns: Shown = DEFAULT_COLUMNS
    text_limit: TextLimit = WHOLE
    id: Annotated[str, Meta(description="The id of the group's fingerprint.", examples=["59fb2e5b6085582f"])]
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Latest tasks of the group.")] = 20


class Slowest(Found, frozen=True, kw_only=True):
    columns: Shown = DEFAULT_COLUMNS
    text_limit: TextLimit = WHOLE
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Tasks at most.", examples=[2])] = 20


class Waiting(Slowest, frozen=True, kw_only=True):
    still: Annotated[
        bool,
        Meta(
            description="Tasks that have not been started yet, the oldest first, instead of those that waited longest."
        ),
    ] = False


class OneWorker(msgspec.Struct, frozen=True, kw_only=True):
    name: Hostname


class History(OneWorker, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Lines at most, the newest ones.")] = 1_000


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    text: Annotated[str, Meta(description="A query as far as it is written.", examples=["state:FAILURE name:sh"])] = ""
    position: (
        Annotated[
            int, Meta(ge=0, le=MAX_LENGTH, description="Where the cursor is, in characters from 0. Default: the end.")
        ]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=100, description="Completions at most.", examples=[5])] = 20


class Followed(Found, frozen=True, kw_only=True):
    columns: Shown = DEFAULT_COLUMNS
    text_limit: TextLimit = WHOLE
    topics: Annotated[
        tuple[Topic, ...], Meta(description="What to be told of.", examples=["tasks,status"], min_length=1)
    ] = ("tasks", "workers", "status")
    after: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2**53,
                description="Go on after this number of the change sequence, the `sequence` or `id` of an event. The "
                "header `Last-Event-ID` says the same, and goes first. Default: from now on.",
                examples=[1234],
            ),
        ]
        | UnsetType
    ) = UNSET
    seconds: (
        Annotated[
            float, Meta(ge=0, le=86_400, description="The stream ends after so long. Default: never.", examples=[60])
        ]
        | UnsetType
    ) = UNSET


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    query: Annotated[
        str, Meta(description="The query to explain.", examples=["state:FAILURE -worker:mail-1 runtime:>2s"])
    ] = ""
    tz: Annotated[str, Meta(description="The zone of its times; default: the server's.", examples=["UTC"])] = ""
