"""Routes of the search language: parse a query, complete a query."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flower.api import queries
from flower.api.completion import Completions
from flower.api.query_params import parse_time_zone
from flower.errors import SearchError
from flower.http.v1.route import RequestContext, Route
from flower.search.fields import FIELDS, FieldCost, FieldKind
from flower.search.formatter import format_search
from flower.search.parser import MAX_QUERY_LENGTH, parse_search
from flower.search.query_tokens import SpanKind, find_token_spans
from flower.search.query_warnings import find_query_warnings


class ParseQueryParams(msgspec.Struct, frozen=True, kw_only=True):
    query: Annotated[str, Meta(description="The query.", examples=["state:FAILURE -worker:mail-1 runtime:>2s"])] = ""
    tz: Annotated[
        str, Meta(description="Time zone of the times in the query. Default: the server's time zone.", examples=["UTC"])
    ] = ""


class CompletionParams(msgspec.Struct, frozen=True, kw_only=True):
    text: Annotated[
        str, Meta(description="The query, which may be incomplete.", examples=["state:FAILURE name:sh"])
    ] = ""
    position: (
        Annotated[int, Meta(ge=0, le=MAX_QUERY_LENGTH, description="Index of the cursor in `text`. Default: the end.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=100, description="Maximum number of completions.", examples=[5])] = 20


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """The characters of the query from `start` up to, but not including, `end`. `field` is the canonical name of the
    field in tokens of the kinds `field` and `value`. A `field` token includes the colon, the comparison operator and a
    leading `-`. Characters in no token are white space."""

    start: int
    end: int
    kind: SpanKind
    field: str = ""
    negated: bool = False


class SearchField(msgspec.Struct, frozen=True):
    """A field of the search language. `type` determines the operators, `cost` what evaluates the field (see
    docs/search.md)."""

    name: str
    type: FieldKind
    cost: FieldCost
    description: str
    example: str


class QueryWarningRow(msgspec.Struct, frozen=True):
    """A part of the query that is valid, but probably a mistake. `position` is an index in the trimmed query;
    `correction` replaces the word there, null if none is known."""

    message: str
    position: int
    correction: str | None = None


class ParsedQuery(msgspec.Struct, frozen=True):
    """`canonical` is the shortest equivalent query, with times in the time zone of the server. `fields` are all search
    fields."""

    query: str
    canonical: str
    warnings: tuple[QueryWarningRow, ...]
    tokens: tuple[Token, ...]
    fields: tuple[SearchField, ...]


class QueryCompletions(Completions, frozen=True, kw_only=True):
    """Completions of the word at the cursor. `kind` is what is being typed, in the field `field`; a completion replaces
    the characters from `start` up to, but not including, `end`. `sampled_tasks` is the number of the newest tasks that
    were searched for arguments. `tokens` are those of the whole text, also of an invalid one; `warnings` those of a
    valid text."""

    tokens: tuple[Token, ...]
    warnings: tuple[QueryWarningRow, ...]


def parse_query(ctx: RequestContext, params: ParseQueryParams, body: None) -> ParsedQuery:
    """Raises SearchError for an invalid query."""
    tree = parse_search(params.query, zone=parse_time_zone(params.tz))
    return ParsedQuery(
        query=params.query,
        canonical=format_search(tree),
        warnings=_warnings(params.query),
        tokens=_tokens(params.query),
        fields=tuple(
            SearchField(field.name, field.kind, field.cost, field.description, field.example)
            for field in FIELDS.values()
        ),
    )


def list_query_completions(ctx: RequestContext, params: CompletionParams, body: None) -> QueryCompletions:
    position = None if params.position is UNSET else params.position
    completions = queries.suggestions(ctx.store, params.text, position, limit=params.limit)
    try:
        warnings = _warnings(params.text)
    except SearchError:  # incomplete while it is typed
        warnings = ()
    return QueryCompletions(**msgspec.structs.asdict(completions), tokens=_tokens(params.text), warnings=warnings)


def _warnings(query: str) -> tuple[QueryWarningRow, ...]:
    """Raises SearchError."""
    return tuple(
        QueryWarningRow(warning.message, warning.position, warning.correction or None)
        for warning in find_query_warnings(query)
    )


def _tokens(text: str) -> tuple[Token, ...]:
    return tuple(Token(span.start, span.end, span.kind, span.field, span.negated) for span in find_token_spans(text))


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/search/parse", "parseQuery", "search", "Parse a query", parse_query,
        params=ParseQueryParams, response=ParsedQuery, example="search/parse?query=state:FAILURE -worker:mail-1",
    ),
    Route(
        "GET", "/search/completions", "listQueryCompletions", "search", "Autocomplete a query",
        list_query_completions, params=CompletionParams, response=QueryCompletions,
        example="search/completions?text=state:F",
    ),
)  # fmt: skip
