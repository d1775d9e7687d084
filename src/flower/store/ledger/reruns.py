"""Links between tasks and their re-runs, in both directions."""

from typing import Protocol

import msgspec


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """`task` is a re-run of `origin`, sent at `created_at` (epoch seconds) by `created_by`; `edited` with other
    arguments than the origin.

    `sent` is False until the broker has confirmed the message. If it remains False, the server stopped in between, and
    the events of the task show whether it was sent. `job` is the bulk job of the re-run.
    """

    origin: str
    task: str
    created_at: float
    created_by: str = ""
    edited: bool = False
    sent: bool = False
    job: str | None = None
    #: None if unknown: events do not contain it, so a re-run of the re-run reads it here
    priority: int | None = None


class Reruns(Protocol):
    """Methods raise StoreFull and StoreError: a re-run that cannot be recorded must not be sent."""

    def add(self, rerun: Rerun) -> bool:
        """Record a re-run before it is sent. Return False if the task is recorded already: another process sends it, or
        has sent it."""

    def mark_sent(self, task: str) -> None:
        """Record that the broker has the message."""

    def delete(self, task: str) -> None:
        """Delete the record of a re-run that was refused and not sent."""

    def find_origin(self, task: str) -> Rerun | None:
        """The record of which this task is the re-run."""

    def list_reruns(self, origin: str, *, limit: int = 100) -> list[Rerun]:
        """The re-runs of this task, newest first."""

    def prune(self, before: float) -> int:
        """Remove records older than this time (epoch seconds) and return their number."""
