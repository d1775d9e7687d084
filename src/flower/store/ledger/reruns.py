"""Which task was run again as which: the links between an origin and its re-runs, both ways."""

from typing import Protocol

import msgspec


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """`origin` was run again as `task`, at `at` (epoch seconds) by `by`; `edited` with other arguments than its own.

    `sent` is False between the note and the word of the broker; if it stays so, the server died in between, and
    whether the task was sent is seen from its events. `job` is the bulk job that it belongs to."""

    origin: str
    task: str
    created_at: float
    created_by: str = ""
    edited: bool = False
    sent: bool = False
    job: str | None = None
    #: None where nobody knows it: events do not tell it, so that a re-run of the re-run finds it here
    priority: int | None = None


class Reruns(Protocol):
    """Raises StoreFull, StoreError: what cannot be noted must not be sent."""

    def add(self, rerun: Rerun) -> bool:
        """Before it is sent. False if that task is noted already: somebody else sends it, or has sent it."""

    def mark_sent(self, task: str) -> None:
        """The broker has it."""

    def delete(self, task: str) -> None:
        """It was refused, and was not sent."""

    def find_origin(self, task: str) -> Rerun | None:
        """What this task is a re-run of."""

    def list_reruns(self, origin: str, *, limit: int = 100) -> list[Rerun]:
        """What this task was run again as, newest first."""

    def prune(self, before: float) -> int:
        """Forget links older than this time (epoch seconds); how many they were."""
