"""Routes of saved searches. Everybody reads the shared ones and their own; who may act on tasks may save."""

import time
from secrets import token_hex
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from flower.access import Identity
from flower.api.asking import bound, order_of
from flower.api.reading import read
from flower.api.v1.acting import Acting, Action, Nothing
from flower.api.v1.rows import COLUMNS
from flower.errors import Forbidden, Invalid, NotFound
from flower.search.fields import FIELDS
from flower.search.nearest import did_you_mean
from flower.search.syntax import MAX_LENGTH, parse
from flower.store.ledger.searches import Search

#: Searches that one person may keep.
MOST: Final = 500

#: Columns of a key inside a value, such as `kwargs.order_id`, begin with one of these.
_KEYED: Final = tuple(f"{field.name}." for field in FIELDS.values() if field.keys)

_Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
_Time = Annotated[str, Meta(max_length=100)]
_Words = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=100)]


class SearchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`query` must be one of the search language; `start`, `end`, `columns` and `sort` are written as in `GET /tasks`,
    the last two as lists. A column may also be a key of a value: `kwargs.order_id`. `shared`: everybody sees it."""

    name: Annotated[_Name, Meta(description="What it is called.")]
    query: Annotated[str, Meta(max_length=MAX_LENGTH, description="A query; nothing is everything.")] = ""
    start: Annotated[_Time, Meta(description="Only tasks from then on.")] = ""
    end: Annotated[_Time, Meta(description="Only tasks until then.")] = ""
    columns: Annotated[_Words, Meta(description="What to show of each task.")] = ()
    sort: Annotated[_Words, Meta(description="What to order by, `-` is descending.")] = ()
    shared: Annotated[bool, Meta(description="Whether others see it.")] = False


class SearchRow(msgspec.Struct, frozen=True, kw_only=True):
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
    yours: bool


class SearchList(msgspec.Struct, frozen=True):
    """By name."""

    searches: tuple[SearchRow, ...]


class OneSearch(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(description="The search's id.", examples=["9d41c07be2aa"])]


async def searches(acting: Acting, asked: Nothing, body: None) -> SearchList:
    ledger, identity = acting.context.ledger, acting.identity
    found = await read(lambda: ledger.searches.searches(identity.name))
    return SearchList(tuple(_row(search, identity) for search in found))


async def save(acting: Acting, asked: Nothing, body: SearchBody) -> SearchRow:
    ledger, identity = acting.context.ledger, acting.identity

    def add() -> Search:
        made = _search(body, token_hex(6), identity.name)
        if not ledger.searches.add(made, limit=MOST):
            raise Invalid(f"You have {MOST} saved searches already", hint="remove one that nobody needs")
        return made

    made = await read(add)
    acting.note.targets.append(made.id)
    return _row(made, identity)


async def change(acting: Acting, asked: OneSearch, body: SearchBody) -> SearchRow:
    ledger, identity = acting.context.ledger, acting.identity

    def put() -> Search:
        changed = _search(body, asked.id, _own(acting, asked.id).owner)
        if not ledger.searches.change(changed):
            raise _unknown(asked.id)
        return changed

    return _row(await read(put), identity)


async def remove(acting: Acting, asked: OneSearch, body: None) -> SearchRow:
    ledger, identity = acting.context.ledger, acting.identity

    def drop() -> Search:
        found = _own(acting, asked.id)
        if not ledger.searches.remove(asked.id):
            raise _unknown(asked.id)
        return found

    return _row(await read(drop), identity)


def _own(acting: Acting, search_id: str) -> Search:
    """Raises NotFound for what one may not even see, Forbidden for what is somebody else's."""
    found = acting.context.ledger.searches.search(search_id)
    if found is None:
        raise _unknown(search_id)
    if not _may_change(acting.identity, found):
        if not found.shared:
            raise _unknown(search_id)
        raise Forbidden(f"This search belongs to {found.owner or 'nobody'}", hint="save one of your own")
    return found


def _may_change(identity: Identity, search: Search) -> bool:
    """The owner, and whoever may do away with everybody's tokens: that is what makes an admin."""
    return search.owner == identity.name or identity.may("tokens")


def _unknown(search_id: str) -> NotFound:
    return NotFound(f"There is no saved search '{search_id}'")


def _search(body: SearchBody, search_id: str, owner: str) -> Search:
    """Raises SearchError, Invalid."""
    parse(body.query)
    bound(body.start, "start")
    bound(body.end, "end")
    order_of(body.sort)
    for column in body.columns:
        if column not in COLUMNS and column != "all" and not column.startswith(_KEYED):
            raise Invalid(f"There is no column '{column}'", hint=did_you_mean(column, COLUMNS))
    return Search(
        id=search_id,
        name=body.name.strip(),
        query=body.query.strip(),
        start=body.start.strip(),
        end=body.end.strip(),
        columns=body.columns,
        sort=body.sort,
        owner=owner,
        shared=body.shared,
        at=time.time(),
    )


def _row(search: Search, identity: Identity) -> SearchRow:
    kept = {name: getattr(search, name) for name in Search.__struct_fields__}
    return SearchRow(**kept, yours=_may_change(identity, search) and identity.may("tasks"))


_BODY: Final[dict[str, Any]] = {
    "name": "Declined cards",
    "query": "state:FAILURE name:shop.charge",
    "start": "-1d",
    "end": "",
    "columns": ["name", "state", "runtime", "kwargs.amount"],
    "sort": ["-received"],
    "shared": True,
}
_SEARCH: Final[dict[str, Any]] = {
    "id": "9d41c07be2aa",
    **{name: _BODY[name] for name in ("name", "query", "start", "end", "columns", "sort")},
    "owner": "ann",
    "shared": True,
    "at": 1795342600.0,
    "yours": True,
}

ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "GET", "/searches", "listSearches", "searches", "Your saved searches, and those that are shared", "view",
        Nothing, None, SearchList, searches, {"searches": [_SEARCH]},
    ),
    Action(
        "POST", "/searches", "saveSearch", "searches", "Save a search under a name", "tasks", Nothing, SearchBody,
        SearchRow, save, _SEARCH, _BODY, "search.save",
    ),
    Action(
        "POST", "/searches/{id}", "changeSearch", "searches", "Change a saved search: yours, or any as an admin",
        "tasks", OneSearch, SearchBody, SearchRow, change, {**_SEARCH, "name": "Declined"},
        {**_BODY, "name": "Declined"}, "search.change",
    ),
    Action(
        "POST", "/searches/{id}/remove", "removeSearch", "searches", "Remove a saved search: yours, or any as an admin",
        "tasks", OneSearch, None, SearchRow, remove, _SEARCH, action="search.remove",
    ),
)  # fmt: skip
