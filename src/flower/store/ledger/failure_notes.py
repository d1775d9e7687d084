"""Decisions on failure groups (resolved, muted), and when each group was first seen, by the id of the fingerprint.

A group without a decision has no note. The time when a group was first seen is retained after retention has removed its
tasks.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

#: resolved  fixed; a new failure makes the group `regressed`
#: muted     hidden until a time, or without an end
Decision: TypeAlias = Literal["resolved", "muted"]

#: Maximum number of groups with a recorded time; the oldest are removed.
MAX_FIRST_SEEN: Final = 100_000


class FailureNote(msgspec.Struct, frozen=True, kw_only=True):
    """`expires_at` is the end of a mute, None for no end. Times are epoch seconds by the server's clock."""

    failure: str
    decision: Decision
    created_by: str
    created_at: float
    expires_at: float | None = None
    comment: str = ""


class FailureNotes(Protocol):
    """Methods raise StoreFull and StoreError."""

    def put(self, note: FailureNote) -> None:
        """Store a note, in place of the previous one of the group."""

    def delete(self, failure: str) -> bool:
        """Delete the note of a group. Return False if there is none."""

    def notes(self) -> Mapping[str, FailureNote]:
        """All notes, by group."""

    def record_first_seen(self, times: Mapping[str, float]) -> None:
        """Record when groups were first seen (epoch seconds). An earlier recorded time is retained."""

    def first_seen(self, failures: Iterable[str] | None = None) -> Mapping[str, float]:
        """When these groups (None: all) were first seen. Unknown groups are absent."""
