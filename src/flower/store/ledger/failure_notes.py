"""What people made of groups of failures, and when each group was first seen, by the id of its fingerprint.

A group that nobody spoke of has no note. When a group was first seen outlives the tasks that retention takes away.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

#: resolved   it should not happen any more; if it does, it has returned
#: muted      nobody wants to hear of it, until a time or for ever
Decision: TypeAlias = Literal["resolved", "muted"]

#: Groups whose first time is remembered; those that were first seen the longest ago go.
MAX_FIRST_SEEN: Final = 100_000


class FailureNote(msgspec.Struct, frozen=True, kw_only=True):
    """`until` is the end of a mute, None for ever. Times are epoch seconds by our clock."""

    failure: str
    decision: Decision
    created_by: str
    created_at: float
    expires_at: float | None = None
    comment: str = ""


class FailureNotes(Protocol):
    """Raises StoreFull, StoreError."""

    def put(self, note: FailureNote) -> None:
        """In place of what was said of the group before."""

    def delete(self, failure: str) -> bool:
        """Forget what was said of it. False if nothing was."""

    def notes(self) -> Mapping[str, FailureNote]:
        """All of them, by group."""

    def record_first_seen(self, firsts: Mapping[str, float]) -> None:
        """When groups were first seen (epoch seconds); an earlier time that is known already stays."""

    def first_seen(self, failures: Iterable[str] | None = None) -> Mapping[str, float]:
        """When these groups (None: all) were first seen, as far as that is known."""
