"""Bulk jobs: one action on many tasks, and the outcome of each.

The task ids are fixed when a job is created. An item is stored as `in_progress` before its action is performed. After a
crash at most these items have an unknown outcome, and no action is performed twice. One web server at a time executes a
job: it holds a lease, and a server without the lease cannot start items.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol, TypeAlias, get_args

import msgspec

JobAction: TypeAlias = Literal["revoke", "terminate", "abort", "rerun"]

#: running   being executed, or waiting for a server
#: finished  every item has an outcome
#: stopped   stopped by a user; the remaining items were not run
JobState: TypeAlias = Literal["running", "finished", "stopped"]

#: waiting      not started
#: in_progress  being executed, or interrupted
#: done         performed
#: refused      not performed, because it is not allowed or not possible; `message` has the reason
#: failed       attempted, without success
#: skipped      not performed, because there was nothing to do (the task had finished)
#: unknown      interrupted; it is unknown whether the action was performed
#: not_run      not performed, because the job was stopped
ItemOutcome: TypeAlias = Literal["waiting", "in_progress", "done", "refused", "failed", "skipped", "unknown", "not_run"]
ITEM_OUTCOMES: Final[tuple[ItemOutcome, ...]] = get_args(ItemOutcome)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk job."""

    id: str
    action: JobAction
    state: JobState
    #: user who created the job, and when (epoch seconds)
    created_by: str
    created_at: float
    finished_at: float | None = None
    #: the query that selected the tasks; "" if they were listed
    query: str = ""
    #: signal of `terminate`
    signal: str = ""
    #: tasks per second
    rate: float
    #: number of items
    total: int
    #: number of items by outcome; outcomes without items are absent
    outcomes: dict[str, int] = {}
    #: a stop was requested
    stopping: bool = False


class JobItem(msgspec.Struct, frozen=True, kw_only=True):
    #: from 0, in the order of execution
    """A task of a job."""

    index: int
    task: str
    outcome: ItemOutcome
    message: str = ""
    #: of a re-run: the id of the new task, fixed before it is sent
    new_task: str | None = None
    started_at: float | None = None
    finished_at: float | None = None


class ItemResult(msgspec.Struct, frozen=True):
    """The outcome of an item."""

    index: int
    outcome: ItemOutcome
    message: str = ""


class Lease(msgspec.Struct, frozen=True):
    """`holder` executes the job until `expires_at` (epoch seconds), unless it renews the lease."""

    job: str
    holder: str
    expires_at: float


class Jobs(Protocol):
    """Methods raise StoreFull and StoreError."""

    def create(self, job: Job, tasks: Iterable[tuple[str, str | None]], *, limit: int) -> Job | None:
        """Create a job of these tasks (and the ids of their re-runs) in one transaction; duplicate tasks are stored
        once. Return None, without effect, if there are more than `limit`. Sets `total`."""

    def job(self, job_id: str) -> Job | None: ...

    def jobs(self, *, limit: int, before: str | None = None) -> list[Job]:
        """Jobs, newest first; `before` is the id of the last job of the previous page."""

    def items(
        self, job_id: str, *, outcomes: Sequence[ItemOutcome] = (), after: int = -1, limit: int | None = None
    ) -> list[JobItem]:
        """Items in order, after the index `after`; only those with one of these outcomes if any are given."""

    def claim(
        self, holder: str, *, now: float, until: float, dead_holders: Iterable[str] = (), job_id: str | None = None
    ) -> Job | None:
        """Take the lease of the oldest running job that has no lease, an expired one, or one of `dead_holders`, whose
        processes have ended. With `job_id` only of this job. Return None if there is no such job."""

    def lease_holders(self) -> list[str]:
        """Holders of the leases of running jobs."""

    def advance(
        self, lease: Lease, results: Sequence[ItemResult], *, batch_size: int, now: float
    ) -> list[JobItem] | None:
        """In one transaction: store results, renew the lease, mark the next `batch_size` waiting items as in progress
        and return them. Return None, with the results stored but no item started, if the lease is lost or the job is
        stopping."""

    def release(self, lease: Lease) -> None:
        """Give up the lease, so that another server can execute the job."""

    def finish(self, lease: Lease, *, now: float) -> Job | None:
        """Finish a job that is complete or stopping: waiting items become `not_run`. Return None if the lease is
        lost."""

    def request_stop(self, job_id: str) -> Job | None:
        """Request that a job stops. Return None if it does not exist; a finished job does not change."""

    def prune(self, before: float) -> int:
        """Remove jobs that finished before this time (epoch seconds), with their items, and return their number."""
