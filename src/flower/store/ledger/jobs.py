"""Bulk jobs: one action on many tasks, and what became of each.

The ids are fixed when a job is made. A task is marked as begun, on the disk, before anything is done to it, so that
after a crash at most those that were begun are in doubt, and nothing is ever done twice. One web server at a time works
on a job: it holds a lease, and whoever has lost the lease can begin nothing more.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol, TypeAlias, get_args

import msgspec

JobAction: TypeAlias = Literal["revoke", "terminate", "abort", "rerun"]
JOB_ACTIONS: Final[tuple[JobAction, ...]] = get_args(JobAction)

#: running   being worked on, or waiting for a server
#: ended     every task has its outcome
#: aborted   somebody stopped it; the rest was left alone
JobState: TypeAlias = Literal["running", "ended", "aborted"]

#: waiting   its turn has not come
#: begun     being done right now, or cut off in the middle
#: done      as asked
#: refused   not done, because it must not or cannot be; `message` says why
#: failed    tried, and it did not work
#: skipped   not done, because there was nothing to do (it had ended meanwhile)
#: unknown   cut off in the middle, and nobody can tell whether it was done: look at it
#: aborted   left alone, because the job was aborted
ItemOutcome: TypeAlias = Literal["waiting", "begun", "done", "refused", "failed", "skipped", "unknown", "aborted"]
ITEM_OUTCOMES: Final[tuple[ItemOutcome, ...]] = get_args(ItemOutcome)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    action: JobAction
    state: JobState
    #: who asked for it, and when (epoch seconds)
    created_by: str
    created_at: float
    finished_at: float | None = None
    #: the query that the tasks were found by; "" if they were named
    query: str = ""
    #: of `terminate`
    signal: str = ""
    #: tasks a second
    rate: float
    #: how many tasks it has
    total: int
    #: how many of them have which outcome; those that none has are not there
    outcomes: dict[str, int] = {}
    #: somebody has asked to stop it
    stopping: bool = False


class JobItem(msgspec.Struct, frozen=True, kw_only=True):
    #: from 0, in the order in which they are worked off
    index: int
    task: str
    outcome: ItemOutcome
    message: str = ""
    #: of a re-run: the id of the new task, fixed before anything is sent
    new_task: str | None = None
    started_at: float | None = None
    finished_at: float | None = None


class ItemResult(msgspec.Struct, frozen=True):
    """What became of an item."""

    index: int
    outcome: ItemOutcome
    message: str = ""


class Lease(msgspec.Struct, frozen=True):
    """`holder` works on the job until `until` (epoch seconds), unless it says again that it does."""

    job: str
    holder: str
    expires_at: float


class Jobs(Protocol):
    """Raises StoreFull, StoreError."""

    def create(self, job: Job, tasks: Iterable[tuple[str, str | None]], *, limit: int) -> Job | None:
        """Make a job of these tasks (and the ids that re-runs of them will have), all at once; a task that comes twice
        is in it once. None, and nothing is made, if there are more than `limit`. `total` is counted here."""

    def job(self, job_id: str) -> Job | None: ...

    def jobs(self, *, limit: int, before: str | None = None) -> list[Job]:
        """Newest first; `before` is the id that the last page ended with."""

    def items(
        self, job_id: str, *, outcomes: Sequence[ItemOutcome] = (), after: int = -1, limit: int | None = None
    ) -> list[JobItem]:
        """In order, from the place after `after`; those with one of these outcomes, or all."""

    def claim(
        self, holder: str, *, now: float, until: float, dead_holders: Iterable[str] = (), job_id: str | None = None
    ) -> Job | None:
        """Take the lease of the oldest running job that nobody holds, whose lease is over, or that one of `gone`
        holds, who are known to be dead. `only`: none but this one. None if there is none."""

    def lease_holders(self) -> list[str]:
        """Who holds the lease of a running job."""

    def advance(
        self, lease: Lease, results: Sequence[ItemResult], *, batch_size: int, now: float
    ) -> list[JobItem] | None:
        """In one transaction: note what became of items, renew the lease, and mark the next `take` waiting ones as
        begun and give them. None, with the outcomes noted but nothing begun, if the lease is lost or the job is to
        stop."""

    def release(self, lease: Lease) -> None:
        """Let somebody else work on it."""

    def finish(self, lease: Lease, *, now: float) -> Job | None:
        """All is done, or it is to stop: what still waits becomes `aborted`, and the job ends. None if the lease is
        lost."""

    def request_stop(self, job_id: str) -> Job | None:
        """Ask for a job to stop. None if there is no such job; one that has ended stays as it is."""

    def prune(self, before: float) -> int:
        """Forget jobs that ended before this time (epoch seconds), with their items; how many jobs they were."""
