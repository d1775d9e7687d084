"""The audit log: who did what, on what, with which outcome.

An action is noted before it is done, as `begun`, and gets its outcome afterwards. What stays `begun` was cut off: the
server died in the middle, and nobody knows whether it was done.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import msgspec

#: begun    not finished, or cut off in the middle
#: done     as asked
#: refused  not done: not allowed, makes no sense, or the worker said no
#: failed   tried, and it did not work
AuditOutcome: TypeAlias = Literal["begun", "done", "refused", "failed"]

AUDIT_OUTCOMES: Final[tuple[AuditOutcome, ...]] = get_args(AuditOutcome)

#: Targets of one entry that are kept by name; of more only their number is.
MAX_STORED_TARGETS: Final = 10_000


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    #: grows with every entry
    id: int
    #: epoch seconds
    created_at: float
    #: "" where nobody had to say who they are
    user: str
    #: how they were known: nobody, basic, session, token, proxy, cli, ...
    auth_method: str
    #: the id of the API token, "" without one
    token: str
    #: from where; "" if it came over no network
    address: str
    #: such as `task.revoke`
    action: str
    #: ids of tasks, names of workers or queues: the first `TARGETS_KEPT`
    targets: tuple[str, ...]
    #: how many there were
    target_count: int
    #: what was asked, without secrets
    parameters: Mapping[str, Any]
    outcome: AuditOutcome
    message: str


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; None is any."""

    user: str | None = None
    #: a whole name, or its beginning up to a dot: `task` finds `task.revoke`
    action: str | None = None
    target: str | None = None
    outcome: AuditOutcome | None = None
    address: str | None = None
    #: epoch seconds, both included
    start: float | None = None
    end: float | None = None


class Audit(Protocol):
    """Raises StoreFull, StoreError: what cannot be noted must not be done."""

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
        """Write an entry with the present time; its id. `parameters` must be JSON and hold no secret."""

    def finish(self, entry: int, outcome: AuditOutcome, message: str = "", targets: Sequence[str] = ()) -> None:
        """Give a `begun` entry its outcome, and the targets that were known only afterwards, if there are any."""

    def entries(self, filters: AuditFilter, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Newest first; `before` is the id that the last page ended with."""

    def prune(self, before: float) -> int:
        """Forget entries older than this time (epoch seconds); how many they were."""
