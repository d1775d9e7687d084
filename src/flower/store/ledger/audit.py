"""Audit log: which user performed which action on which targets, and the outcome.

An entry is written before the action, as `in_progress`, and gets its outcome afterwards. An entry that remains
`in_progress` was interrupted: the server stopped, and it is unknown whether the action was performed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import msgspec

#: in_progress  not finished, or interrupted
#: done         performed
#: refused      not performed: not permitted, invalid, or refused by the worker
#: failed       attempted, without success
AuditOutcome: TypeAlias = Literal["in_progress", "done", "refused", "failed"]

AUDIT_OUTCOMES: Final[tuple[AuditOutcome, ...]] = get_args(AuditOutcome)

#: Maximum number of targets stored per entry; `target_count` counts all.
MAX_STORED_TARGETS: Final = 10_000


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    #: ascending
    """An entry of the audit log."""

    id: int
    #: epoch seconds
    created_at: float
    #: "" if no login is configured
    user: str
    #: how the user was authenticated: none, basic, session, token, proxy, cli
    auth_method: str
    #: the id of the API token, "" without one
    token: str
    #: client address; "" for local commands
    address: str
    #: such as `task.revoke`
    action: str
    #: ids of tasks, names of workers or queues: the first `MAX_STORED_TARGETS`
    targets: tuple[str, ...]
    #: number of all targets
    target_count: int
    #: parameters of the action, without secrets
    parameters: Mapping[str, Any]
    outcome: AuditOutcome
    message: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on entries; None matches all."""

    user: str | None = None
    #: a complete name, or its beginning up to a dot: `task` matches `task.revoke`
    action: str | None = None
    target: str | None = None
    outcome: AuditOutcome | None = None
    address: str | None = None
    #: epoch seconds, inclusive
    start: float | None = None
    end: float | None = None


class Audit(Protocol):
    """Methods raise StoreFull and StoreError: an action that cannot be logged must not be performed."""

    def add(
        self,
        action: str,
        *,
        user: str,
        auth_method: str,
        outcome: AuditOutcome = "done",
        address: str = "",
        token: str = "",
        targets: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> int:
        """Write an entry with the current time and return its id. `parameters` must be JSON without secrets."""

    def finish(self, entry: int, outcome: AuditOutcome, message: str = "", targets: Sequence[str] = ()) -> None:
        """Set the outcome of an `in_progress` entry, and add the targets that were not known before."""

    def entries(self, filters: AuditFilter, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Entries, newest first; `before` is the id of the last entry of the previous page."""

    def prune(self, before: float) -> int:
        """Remove entries older than this time (epoch seconds) and return their number."""
