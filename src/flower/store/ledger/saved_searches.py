"""Saved searches: a question under a name, for its owner or for everybody."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """`start`, `end` and `sort` are kept as they were written: `-1h` is an hour before whenever it is asked."""

    id: str
    name: str
    query: str = ""
    start: str = ""
    end: str = ""
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    #: "" where nobody had to say who they are
    owner: str
    #: whether others see it
    shared: bool = False
    #: when it was saved or last changed, epoch seconds
    updated_at: float


class SavedSearches(Protocol):
    """Raises StoreFull, StoreError."""

    def add(self, search: SavedSearch, *, limit: int) -> bool:
        """False, and nothing is kept, if its owner has `limit` of them already."""

    def search(self, search_id: str) -> SavedSearch | None: ...

    def searches(self, owner: str) -> Sequence[SavedSearch]:
        """This person's, and those that are shared; by name."""

    def update(self, search: SavedSearch) -> bool:
        """Take the place of the one with that id; whose it is stays. False if there is none."""

    def delete(self, search_id: str) -> bool:
        """False if there is none."""
