"""Saved searches: a question under a name, for its owner or for everybody."""

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Search(msgspec.Struct, frozen=True, kw_only=True):
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
    at: float


class Searches(Protocol):
    """Raises StoreFull, StoreError."""

    def add(self, search: Search, *, limit: int) -> bool:
        """False, and nothing is kept, if its owner has `limit` of them already."""

    def search(self, search_id: str) -> Search | None: ...

    def searches(self, owner: str) -> Sequence[Search]:
        """This person's, and those that are shared; by name."""

    def change(self, search: Search) -> bool:
        """Take the place of the one with that id; whose it is stays. False if there is none."""

    def remove(self, search_id: str) -> bool:
        """False if there is none."""
