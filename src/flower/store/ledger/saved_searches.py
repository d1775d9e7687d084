"""Saved searches: named queries of one user, optionally shared."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """`start`, `end` and `sort` are stored as entered: `-1h` is relative to the time of each use."""

    id: str
    name: str
    query: str = ""
    start: str = ""
    end: str = ""
    #: the time of a task that the window refers to; "": the default
    time: str = ""
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    #: "" if no login is configured
    owner: str
    #: visible to other users
    shared: bool = False
    #: time of the last change, epoch seconds
    updated_at: float


class SavedSearches(Protocol):
    """Methods raise StoreFull and StoreError."""

    def add(self, search: SavedSearch, *, limit: int) -> bool:
        """Return False, without effect, if the owner has `limit` saved searches already."""

    def search(self, search_id: str) -> SavedSearch | None: ...

    def searches(self, owner: str) -> Sequence[SavedSearch]:
        """The searches of this user and the shared ones, by name."""

    def update(self, search: SavedSearch) -> bool:
        """Replace the search with this id; its owner does not change. Return False if there is none."""

    def delete(self, search_id: str) -> bool:
        """Return False if there is none."""
