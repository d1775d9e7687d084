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
Outcome: TypeAlias = Literal["begun", "done", "refused", "failed"]

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

#: Targets of one entry that are kept by name; of more only their number is.
TARGETS_KEPT: Final = 10_000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    #: grows with every entry
    id: int
    #: epoch seconds
    at: float
    #: "" where nobody had to say who they are
    who: str
    #: how they were known: nobody, basic, session, token, proxy, cli, ...
    way: str
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
    outcome: Outcome
    message: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; None is any."""

    who: str | None = None
    #: a whole name, or its beginning up to a dot: `task` finds `task.revoke`
    action: str | None = None
    target: str | None = None
    outcome: Outcome | None = None
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
        who: str,
        way: str,
        outcome: Outcome = "done",
        address: str = "",
        token: str = "",
        targets: Sequence[str] = (),
        parameters: Mapping[str, Any] | None = None,
        message: str = "",
    ) -> int:
        """Write an entry with the present time; its id. `parameters` must be JSON and hold no secret."""

    def finish(self, entry: int, outcome: Outcome, message: str = "", targets: Sequence[str] = ()) -> None:
        """Give a `begun` entry its outcome, and the targets that were known only afterwards, if there are any."""

    def entries(self, wanted: Wanted, *, limit: int, before: int | None = None) -> list[Entry]:
        """Newest first; `before` is the id that the last page ended with."""

    def prune(self, before: float) -> int:
        """Forget entries older than this time (epoch seconds); how many they were."""
