"""Routes of saved searches.

Users see shared searches and their own. Saving requires the permission `tasks`. Only the owner may change a search, and
a user with the permission `searches` any."""

import time
from secrets import token_hex
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.access import Identity
from flower.api.query_params import parse_order, parse_time_bound
from flower.errors import Forbidden, InvalidRequest, NotFound
from flower.http.v1.route import NoParams, RequestContext, Route
from flower.http.v1.task_rows import current_column_name, validate_columns
from flower.search.parser import MAX_QUERY_LENGTH, parse_search
from flower.store.ledger.saved_searches import SavedSearch
from flower.store.query_results import TimeKey

#: Saved searches per owner.
MAX_SAVED_SEARCHES: Final = 500

_SearchName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
_TimeText = Annotated[str, Meta(max_length=100)]
_WordList = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=100)]


class SavedSearchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`query`, `start`, `end`, `time`, `columns` and `sort` are those of `GET /tasks`, the last two as lists."""

    name: Annotated[_SearchName, Meta(description="The name.")]
    query: Annotated[
        str, Meta(max_length=MAX_QUERY_LENGTH, description="A search query. An empty query matches all tasks.")
    ] = ""
    start: Annotated[_TimeText, Meta(description="Only tasks from this time on.")] = ""
    end: Annotated[_TimeText, Meta(description="Only tasks up to this time.")] = ""
    time: Annotated[TimeKey, Meta(description="The time that `start` and `end` refer to.")] = "time"
    columns: Annotated[_WordList, Meta(description="Columns of the task list.")] = ()
    sort: Annotated[_WordList, Meta(description="Sort keys; `-` means descending.")] = ()
    shared: Annotated[bool, Meta(description="Share the search with all users.")] = False


class SavedSearchRow(msgspec.Struct, frozen=True, kw_only=True):
    """`updated_at`: when it was created or last changed. `can_edit`: the current user may change and delete it."""

    id: str
    name: str
    query: str
    start: str
    end: str
    time: str
    columns: tuple[str, ...]
    sort: tuple[str, ...]
    owner: str
    shared: bool
    updated_at: float
    can_edit: bool


class SavedSearchList(msgspec.Struct, frozen=True):
    """Sorted by name."""

    searches: tuple[SavedSearchRow, ...]


class SavedSearchParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The saved search's id.", examples=["9d41c07be2aa"])]


def list_saved_searches(ctx: RequestContext, params: NoParams, body: None) -> SavedSearchList:
    searches = ctx.server.ledger.saved_searches.searches(ctx.identity.name)
    return SavedSearchList(tuple(_search_row(search, ctx.identity) for search in searches))


def create_saved_search(ctx: RequestContext, params: NoParams, body: SavedSearchBody) -> SavedSearchRow:
    search = _build_search(body, token_hex(6), ctx.identity.name)
    if not ctx.server.ledger.saved_searches.add(search, limit=MAX_SAVED_SEARCHES):
        raise InvalidRequest(
            f"Too many saved searches (maximum {MAX_SAVED_SEARCHES} per user)", hint="delete one that is not needed"
        )
    ctx.audit_note.targets.append(search.id)
    return _search_row(search, ctx.identity)


def replace_saved_search(ctx: RequestContext, params: SavedSearchParams, body: SavedSearchBody) -> SavedSearchRow:
    search = _build_search(body, params.id, _load_editable(ctx, params.id).owner)
    if not ctx.server.ledger.saved_searches.update(search):
        raise _not_found(params.id)
    return _search_row(search, ctx.identity)


def delete_saved_search(ctx: RequestContext, params: SavedSearchParams, body: None) -> SavedSearchRow:
    search = _load_editable(ctx, params.id)
    if not ctx.server.ledger.saved_searches.delete(params.id):
        raise _not_found(params.id)
    return _search_row(search, ctx.identity)


def _load_editable(ctx: RequestContext, search_id: str) -> SavedSearch:
    """Raises NotFound for a search that the user cannot see, Forbidden for one that the user cannot change."""
    search = ctx.server.ledger.saved_searches.search(search_id)
    if search is None:
        raise _not_found(search_id)
    if not _can_edit(ctx.identity, search):
        if not search.shared:
            raise _not_found(search_id)
        raise Forbidden(
            f"This search belongs to {search.owner or 'an anonymous user'}", hint="save a search of your own"
        )
    return search


def _can_edit(identity: Identity, search: SavedSearch) -> bool:
    return search.owner == identity.name or identity.has_permission("searches")


def _not_found(search_id: str) -> NotFound:
    return NotFound(f"Unknown saved search '{search_id}'")


def _build_search(body: SavedSearchBody, search_id: str, owner: str) -> SavedSearch:
    """Raises SearchError and InvalidRequest."""
    parse_search(body.query)
    parse_time_bound(body.start, "start")
    parse_time_bound(body.end, "end")
    parse_order(body.sort)
    validate_columns(body.columns)
    return SavedSearch(
        id=search_id,
        name=body.name.strip(),
        query=body.query.strip(),
        start=body.start.strip(),
        end=body.end.strip(),
        time="" if body.time == "time" else body.time,
        columns=body.columns,
        sort=body.sort,
        owner=owner,
        shared=body.shared,
        updated_at=time.time(),
    )


def _search_row(search: SavedSearch, identity: Identity) -> SavedSearchRow:
    return SavedSearchRow(
        id=search.id,
        name=search.name,
        query=search.query,
        start=search.start,
        end=search.end,
        time=search.time or "time",
        columns=tuple(map(current_column_name, search.columns)),
        sort=search.sort,
        owner=search.owner,
        shared=search.shared,
        updated_at=search.updated_at,
        can_edit=_can_edit(identity, search) and identity.has_permission("tasks"),
    )


_BODY_EXAMPLE: Final[dict[str, Any]] = {
    "name": "Declined cards",
    "query": "state:FAILURE name:shop.charge",
    "start": "-1d",
    "end": "",
    "time": "time",
    "columns": ["name", "state", "runtime", "kwargs.amount"],
    "sort": ["-time"],
    "shared": True,
}
_SEARCH_EXAMPLE: Final[dict[str, Any]] = {
    "id": "9d41c07be2aa",
    **{name: _BODY_EXAMPLE[name] for name in ("name", "query", "start", "end", "time", "columns", "sort")},
    "owner": "ann",
    "shared": True,
    "updated_at": 1795342600.0,
    "can_edit": True,
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/searches", "listSavedSearches", "saved searches", "List your saved searches and the shared ones",
        list_saved_searches, response=SavedSearchList, example={"searches": [_SEARCH_EXAMPLE]},
    ),
    Route(
        "POST", "/searches", "createSavedSearch", "saved searches", "Save a search", create_saved_search,
        body=SavedSearchBody, response=SavedSearchRow, permission="tasks", audit_action="search.create",
        example=_SEARCH_EXAMPLE, body_example=_BODY_EXAMPLE,
    ),
    Route(
        "PUT", "/searches/{id}", "replaceSavedSearch", "saved searches",
        "Replace a saved search; those of other users require the permission `searches`", replace_saved_search,
        params=SavedSearchParams, body=SavedSearchBody, response=SavedSearchRow, permission="tasks",
        audit_action="search.replace", example={**_SEARCH_EXAMPLE, "name": "Declined"},
        body_example={**_BODY_EXAMPLE, "name": "Declined"},
    ),
    Route(
        "DELETE", "/searches/{id}", "deleteSavedSearch", "saved searches",
        "Delete a saved search; those of other users require the permission `searches`", delete_saved_search,
        params=SavedSearchParams, response=SavedSearchRow, permission="tasks", audit_action="search.delete",
        example=_SEARCH_EXAMPLE,
    ),
)  # fmt: skip
