"""Gaps that a user has dismissed: known and accepted, so that pages and health no longer report them."""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class GapDismissal(msgspec.Struct, frozen=True, kw_only=True):
    """`gap` is the id of the gap. The time is in epoch seconds by the server's clock."""

    gap: str
    dismissed_by: str
    dismissed_at: float


class GapDismissals(Protocol):
    """Methods raise StoreFull and StoreError."""

    def put(self, dismissal: GapDismissal) -> None:
        """Store a dismissal, in place of the previous one of the gap."""

    def delete(self, gap: str) -> bool:
        """Delete the dismissal of a gap. Return False if there is none."""

    def dismissals(self) -> Mapping[str, GapDismissal]:
        """All dismissals, by gap."""
