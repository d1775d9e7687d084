"""Routes of saved searches. Everybody reads the shared ones and their own; who may act on tasks may save."""

import time
from secrets import token_hex
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.access import Identity
from flower.api.query_params import parse_order, parse_time_bound
from flower.api.thread_pool import run_in_thread
from flower.errors import Forbidden, InvalidRequest, NotFound
from flower.http.v1.route import ActionRoute, NoParams, RequestContext
from flower.http.v1.task_rows import COLUMNS
from flower.search.did_you_mean import did_you_mean
from flower.search.fields import FIELDS
from flower.search.parser import MAX_QUERY_LENGTH, parse_search
from flower.store.ledger.saved_searches import SavedSearch

#: Searches that one person may keep.
MAX_SAVED_SEARCHES: Final = 500

#: Columns of a key inside a value, such as `kwargs.order_id`, begin with one of these.
_KEY_PATH_PREFIXES: Final = tuple(f"{field.name}." for field in FIELDS.values() if field.has_keys)

_SearchName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
_TimeText = Annotated[str, Meta(max_length=100)]
_WordList = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=100)]


class SavedSearchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`query` must be one of the search language; `start`, `end`, `columns` and `sort` are written as in `GET /tasks`,
    the last two as lists. A column may also be a key of a value: `kwargs.order_id`. `shared`: everybody sees it."""

    name: Annotated[_SearchName, Meta(description="What it is called.")]
    query: Annotated[str, Meta(max_length=MAX_QUERY_LENGTH, description="A query; nothing is everything.")] = ""
    start: Annotated[_TimeText, Meta(description="Only tasks from then on.")] = ""
    end: Annotated[_TimeText, Meta(description="Only tasks until then.")] = ""
    columns: Annotated[_WordList, Meta(description="What to show of each task.")] = ()
    sort: Annotated[_WordList, Meta(description="What to order by, `-` is descending.")] = ()
    shared: Annotated[bool, Meta(description="Whether others see it.")] = False


class SavedSearchRow(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: when it was saved or last changed. `yours`: you may change and remove it."""

    id: str
    name: str
    query: str
    start: str
    end: str
    columns: tuple[str, ...]
    sort: tuple[str, ...]
    owner: str
    shared: bool
    at: float
    can_edit: bool


class SavedSearchList(msgspec.Struct, frozen=True):
    """By name."""

    searches: tuple[SavedSearchRow, ...]


class SavedSearchParams(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The search's id.", examples=["9d41c07be2aa"])]


async def list_saved_searches(acting: RequestContext, asked: NoParams, body: None) -> SavedSearchList:
    ledger, identity = acting.server.ledger, acting.identity
    found = await run_in_thread(lambda: ledger.saved_searches.searches(identity.name))
    return SavedSearchList(tuple(_search_row(search, identity) for search in found))


async def create_saved_search(acting: RequestContext, asked: NoParams, body: SavedSearchBody) -> SavedSearchRow:
    ledger, identity = acting.server.ledger, acting.identity

    def add() -> SavedSearch:
        made = _build_search(body, token_hex(6), identity.name)
        if not ledger.saved_searches.add(made, limit=MAX_SAVED_SEARCHES):
            raise InvalidRequest(
                f"You have {MAX_SAVED_SEARCHES} saved searches already", hint="remove one that nobody needs"
            )
        return made

    made = await run_in_thread(add)
    acting.audit_note.targets.append(made.id)
    return _search_row(made, identity)


async def replace_saved_search(
    acting: RequestContext, asked: SavedSearchParams, body: SavedSearchBody
) -> SavedSearchRow:
    ledger, identity = acting.server.ledger, acting.identity

    def put() -> SavedSearch:
        changed = _build_search(body, asked.id, _load_editable(acting, asked.id).owner)
        if not ledger.saved_searches.update(changed):
            raise _not_found(asked.id)
        return changed

    return _search_row(await run_in_thread(put), identity)


async def delete_saved_search(acting: RequestContext, asked: SavedSearchParams, body: None) -> SavedSearchRow:
    ledger, identity = acting.server.ledger, acting.identity

    def drop() -> SavedSearch:
        found = _load_editable(acting, asked.id)
        if not ledger.saved_searches.delete(asked.id):
            raise _not_found(asked.id)
        return found

    return _search_row(await run_in_thread(drop), identity)


def _load_editable(acting: RequestContext, search_id: str) -> SavedSearch:
    """Raises NotFound for what one may not even see, Forbidden for what is somebody else's."""
    found = acting.server.ledger.saved_searches.search(search_id)
    if found is None:
        raise _not_found(search_id)
    if not _can_edit(acting.identity, found):
        if not found.shared:
            raise _not_found(search_id)
        raise Forbidden(f"This search belongs to {found.owner or 'nobody'}", hint="save one of your own")
    return found


def _can_edit(identity: Identity, search: SavedSearch) -> bool:
    """The owner, and whoever may do away with everybody's tokens: that is what makes an admin."""
    return search.owner == identity.name or identity.has_permission("tokens")


def _not_found(search_id: str) -> NotFound:
    return NotFound(f"There is no saved search '{search_id}'")


def _build_search(body: SavedSearchBody, search_id: str, owner: str) -> SavedSearch:
    """Raises SearchError, Invalid."""
    parse_search(body.query)
    parse_time_bound(body.start, "start")
    parse_time_bound(body.end, "end")
    parse_order(body.sort)
    for column in body.columns:
        if column not in COLUMNS and column != "all" and not column.startswith(_KEY_PATH_PREFIXES):
            raise InvalidRequest(f"There is no column '{column}'", hint=did_you_mean(column, COLUMNS))
    return SavedSearch(
        id=search_id,
        name=body.name.strip(),
        query=body.query.strip(),
        start=body.start.strip(),
        end=body.end.strip(),
        columns=body.columns,
        sort=body.sort,
        owner=owner,
        shared=body.shared,
        updated_at=time.time(),
    )


def _search_row(search: SavedSearch, identity: Identity) -> SavedSearchRow:
    kept = {name: getattr(search, name) for name in SavedSearch.__struct_fields__}
    return SavedSearchRow(**kept, can_edit=_can_edit(identity, search) and identity.has_permission("tasks"))


_BODY_EXAMPLE: Final[dict[str, Any]] = {
    "name": "Declined cards",
    "query": "state:FAILURE name:shop.charge",
    "start": "-1d",
    "end": "",
    "columns": ["name", "state", "runtime", "kwargs.amount"],
    "sort": ["-received"],
    "shared": True,
}
_SEARCH_EXAMPLE: Final[dict[str, Any]] = {
    "id": "9d41c07be2aa",
    **{name: _BODY_EXAMPLE[name] for name in ("name", "query", "start", "end", "columns", "sort")},
    "owner": "ann",
    "shared": True,
    "at": 1795342600.0,
    "yours": True,
}

SAVED_SEARCH_ROUTES: Final[tuple[ActionRoute, ...]] = (
    ActionRoute(
        "GET", "/searches", "listSearches", "searches", "Your saved searches, and those that are shared", "view",
        NoParams, None, SavedSearchList, list_saved_searches, {"searches": [_SEARCH_EXAMPLE]},
    ),
    ActionRoute(
        "POST", "/searches", "saveSearch", "searches", "Save a search under a name", "tasks", NoParams, SavedSearchBody,
        SavedSearchRow, create_saved_search, _SEARCH_EXAMPLE, _BODY_EXAMPLE, "search.save",
    ),
    ActionRoute(
        "POST", "/searches/{id}", "changeSearch", "searches", "Change a saved search: yours, or any as an admin",
        "tasks", SavedSearchParams, SavedSearchBody, SavedSearchRow, replace_saved_search, {**_SEARCH_EXAMPLE,
        "name": "Declined"},
        {**_BODY_EXAMPLE, "name": "Declined"}, "search.change",
    ),
    ActionRoute(
        "POST", "/searches/{id}/remove", "removeSearch", "searches", "Remove a saved search: yours, or any as an admin",
        "tasks", SavedSearchParams, None, SavedSearchRow, delete_saved_search, _SEARCH_EXAMPLE,
        audit_action="search.remove",
    ),
)  # fmt: skip
