"""Routes of statistics: counts, facets, histograms, percentiles and task types."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api import queries
from flower.api.statistics import Stats
from flower.http.v1.params import GroupByParam, HistogramParams, QueryParams
from flower.http.v1.route import RequestContext, Route
from flower.search.query_tokens import FacetTerms, extract_facet_terms
from flower.store.query_results import Count, Facet, FacetCounts, Facets, FacetValue, Histogram


class FacetParams(QueryParams, frozen=True, kw_only=True):
    facets: Annotated[
        tuple[Facet, ...], Meta(description="Fields to group by.", examples=["state,name"], min_length=1)
    ] = ("state", "name", "worker", "queue", "exception")
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Maximum number of values per facet.", examples=[5])] = 20
    contains: Annotated[str, Meta(description="Only values that contain this text, ignoring case.")] = ""
    exclude_own: Annotated[
        bool, Meta(description="Count each facet without its own term in the query, so that other values appear.")
    ] = False


class TaskTypeListParams(QueryParams, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Maximum number of task types.")] = 1_000
    contains: Annotated[str, Meta(description="Only names that contain this text, ignoring case.")] = ""


class StatisticsParams(HistogramParams, frozen=True, kw_only=True):
    group_by: Annotated[
        GroupByParam | UnsetType,
        Meta(
            description="Field to group by, or `time` for one group per bucket. Default: only the total.",
            examples=["name"],
        ),
    ] = UNSET
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Maximum number of groups, except with `time`.")] = 20


class FacetResult(msgspec.Struct, frozen=True):
    """Values with their task counts, most frequent first; null for tasks without a value. `more` is the number of
    values beyond `limit`. `selected` are the values that the query requires of this facet, and `remaining_query` is the
    query without that term."""

    values: tuple[FacetValue, ...]
    more: int
    selected: tuple[str | None, ...]
    remaining_query: str


class FacetResults(msgspec.Struct, frozen=True):
    """`count` is the number of tasks that match the query."""

    count: int
    facets: dict[str, FacetResult]
    partial: str | None = None


class TaskType(msgspec.Struct, frozen=True):
    name: str
    count: int


class TaskTypeList(msgspec.Struct, frozen=True):
    """Most frequent first. `more` is the number of types beyond `limit`."""

    task_types: tuple[TaskType, ...]
    more: int = 0
    partial: str | None = None


def count_tasks(ctx: RequestContext, params: QueryParams, body: None) -> Count:
    return queries.task_count(ctx.store, params.query, **params.window())


def get_facets(ctx: RequestContext, params: FacetParams, body: None) -> FacetResults:
    terms = {facet: extract_facet_terms(params.query, facet) for facet in params.facets}
    separate = [facet for facet in params.facets if params.exclude_own and terms[facet].selected]
    together = tuple(facet for facet in params.facets if facet not in separate)

    def count(query: str, facets: tuple[Facet, ...]) -> Facets:
        return queries.task_facets(
            ctx.store, query, facets, limit=params.limit, containing=params.contains, **params.window()
        )

    whole = count(params.query, together or params.facets[:1])
    counts: dict[str, FacetCounts] = {facet: whole.facets[facet] for facet in together}
    partial = whole.partial
    for facet in separate:
        result = count(terms[facet].rest, (facet,))
        counts[facet] = result.facets[facet]
        partial = partial or result.partial
    return FacetResults(
        whole.count, {facet: _facet_result(counts[facet], terms[facet]) for facet in params.facets}, partial
    )


def _facet_result(counts: FacetCounts, terms: FacetTerms) -> FacetResult:
    return FacetResult(counts.values, counts.more, terms.selected, terms.rest)


def get_histogram(ctx: RequestContext, params: HistogramParams, body: None) -> Histogram:
    return queries.task_histogram(
        ctx.store, params.query, buckets=params.buckets, width=params.bucket_width, **params.window()
    )


def get_statistics(ctx: RequestContext, params: StatisticsParams, body: None) -> Stats:
    return queries.task_stats(
        ctx.store,
        params.query,
        by=None if params.group_by is UNSET else params.group_by,
        limit=params.limit,
        buckets=params.buckets,
        width=params.bucket_width,
        **params.window(),
    )


def list_task_types(ctx: RequestContext, params: TaskTypeListParams, body: None) -> TaskTypeList:
    result = queries.task_facets(
        ctx.store, params.query, ("name",), limit=params.limit, containing=params.contains, **params.window()
    )
    names = result.facets["name"]
    types = tuple(TaskType(str(value.value), value.count) for value in names.values if value.value is not None)
    return TaskTypeList(types, names.more, result.partial)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/count", "countTasks", "statistics", "Count tasks", count_tasks,
        params=QueryParams, response=Count, example="count?query=name:shop.charge",
    ),
    Route(
        "GET", "/facets", "getTaskFacets", "statistics", "Count tasks by the values of fields", get_facets,
        params=FacetParams, response=FacetResults, example="facets?facets=state,name&limit=2",
    ),
    Route(
        "GET", "/histogram", "getTaskHistogram", "statistics", "Count tasks by state over time", get_histogram,
        params=HistogramParams, response=Histogram, example="histogram?buckets=4&tz=UTC",
    ),
    Route(
        "GET", "/stats", "getTaskStatistics", "statistics",
        "Get throughput, failure rate and percentiles of waiting and run time, in total and by group", get_statistics,
        params=StatisticsParams, response=Stats, example="stats?group_by=name&limit=1",
    ),
    Route(
        "GET", "/task-types", "listTaskTypes", "statistics", "List task types with their task counts", list_task_types,
        params=TaskTypeListParams, response=TaskTypeList, example="task-types",
    ),
)  # fmt: skip
