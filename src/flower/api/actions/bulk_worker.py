"""Executes one claimed bulk job: start a batch, execute it, record the outcomes, at the rate of the job."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from flower import cluster
from flower.api.actions.bulk_actions import BULK_ACTIONS
from flower.api.actions.bulk_recovery import resolve_interrupted_item
from flower.api.actions.models import ActionContext
from flower.api.thread_pool import run_in_thread
from flower.errors import BackendUnavailable, FlowerError
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import ItemResult, Job, JobItem, Lease
from flower.store.protocols import Reader

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

#: Seconds after which a lease expires unless it is renewed. An action on one task, or one message, takes less.
LEASE_TIMEOUT: Final = 30.0
#: Seconds during which the records are checked for the outcome of interrupted items, as the recorder may be behind; and
#: seconds between two checks.
RECOVERY_TIMEOUT: Final = 15.0
RECOVERY_POLL_INTERVAL: Final = 0.5
#: Seconds between two attempts to reach the broker.
RECONNECT_DELAY: Final = 2.0


async def run_job(store: Reader, app: "Celery", ledger: Ledger, job: Job, holder: str, stop: asyncio.Event) -> None:
    """Execute a job until it is finished or stopped, its lease is lost, or `stop` is set. Raises StoreError."""
    await _JobExecution(ActionContext(store, app, ledger), ledger, job, holder, stop).run()


async def wait_for_stop(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, at most until `stop` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


class _JobExecution:
    def __init__(self, ctx: ActionContext, ledger: Ledger, job: Job, holder: str, stop: asyncio.Event) -> None:
        self._ctx = ctx
        self._ledger = ledger
        self._job = job
        self._holder = holder
        self._stop = stop
        self._bulk_action = BULK_ACTIONS[job.action]
        self._next_batch_at = time.monotonic()

    async def run(self) -> None:
        job, ledger = self._job, self._ledger
        interrupted = await run_in_thread(lambda: ledger.jobs.items(job.id, outcomes=["in_progress"]))
        log.info("Bulk job %s (%s): %d tasks, %d interrupted", job.id, job.action, job.total, len(interrupted))
        await self._run_all_batches()
        if self._stop.is_set():
            if interrupted:
                await self._resolve_interrupted(interrupted, timeout=0)
            await run_in_thread(lambda: ledger.jobs.release(self._new_lease()))
            return
        await self._resolve_interrupted(interrupted, timeout=RECOVERY_TIMEOUT)
        if self._stop.is_set():
            await run_in_thread(lambda: ledger.jobs.release(self._new_lease()))
            return
        finished = await run_in_thread(lambda: ledger.jobs.finish(self._new_lease(), now=time.time()))
        if finished is not None:
            log.info("Bulk job %s %s: %s", finished.id, finished.state, finished.outcomes)
            await run_in_thread(lambda: audit_job_end(ledger, finished))

    async def _run_all_batches(self) -> None:
        results: list[ItemResult] = []
        while True:
            batch_size = 0 if self._stop.is_set() else self._bulk_action.batch_size
            items = await self._complete_and_take(results, batch_size)
            if not items:
                return
            results = await self._run_batch(items)
            await self._throttle(len(items))

    async def _run_batch(self, items: Sequence[JobItem]) -> list[ItemResult]:
        """The outcomes; if the broker was unreachable, returns when it is reachable again."""
        try:
            return await self._bulk_action.handler(self._ctx, self._job, items)
        except BackendUnavailable as error:
            results = [ItemResult(item.index, "failed", error.message) for item in items]
        except FlowerError as error:
            return [ItemResult(item.index, "refused", str(error)) for item in items]
        except Exception as error:  # an unexpected error of one batch must not end the job
            log.exception("Bulk job %s: action failed", self._job.id)
            return [ItemResult(item.index, "failed", f"{type(error).__name__}: {error}") for item in items]
        await self._wait_for_broker()
        return results

    async def _wait_for_broker(self) -> None:
        """Without this pause all remaining tasks would fail, one after the other."""
        while not self._stop.is_set():
            try:
                await cluster.remote_control.call_workers(self._ctx.app, "ping", {})
                await cluster.task_metadata.is_in_backend(self._ctx.app, "flower-connection-check")
            except BackendUnavailable:
                await wait_for_stop(self._stop, RECONNECT_DELAY)
            else:
                return
            if not await self._renew_lease():
                return

    async def _resolve_interrupted(self, interrupted: Sequence[JobItem], *, timeout: float) -> None:
        """Determine the outcome of items that a stopped server had started; execute those that certainly were not
        executed."""
        deadline = time.monotonic() + timeout
        unresolved = list(interrupted)
        while unresolved:
            resolved = [
                (item, await self._resolve_item(item, is_last=time.monotonic() >= deadline)) for item in unresolved
            ]
            results = [result for _, result in resolved if result is not None]
            unresolved = [item for item, result in resolved if result is None]
            await self._complete_and_take(results, 0)
            if unresolved and self._stop.is_set():
                return
            if unresolved:
                await wait_for_stop(self._stop, RECOVERY_POLL_INTERVAL)

    async def _resolve_item(self, item: JobItem, *, is_last: bool) -> ItemResult | None:
        """None if the outcome is not known yet. After the last attempt it is `unknown`."""
        try:
            result = await resolve_interrupted_item(self._ctx, self._job, item)
        except BackendUnavailable:
            result = None
        if result is not None or not is_last:
            return result
        return ItemResult(item.index, "unknown", "interrupted by a stop of the server; may have been executed")

    async def _complete_and_take(self, results: Sequence[ItemResult], batch_size: int) -> list[JobItem] | None:
        """Record outcomes, renew the lease and start the next batch; None if the lease is lost or the job is
        stopping."""
        now = time.time()
        return await run_in_thread(
            lambda: self._ledger.jobs.advance(self._new_lease(), results, batch_size=batch_size, now=now)
        )

    async def _renew_lease(self) -> bool:
        """False if the lease is lost or the job is stopping."""
        return await self._complete_and_take([], 0) is not None

    def _new_lease(self) -> Lease:
        return Lease(self._job.id, self._holder, time.time() + LEASE_TIMEOUT)

    async def _throttle(self, count: int) -> None:
        """Wait until the rate of the job permits the next batch after one of `count` tasks."""
        self._next_batch_at = max(self._next_batch_at, time.monotonic() - 1.0) + count / self._job.rate
        while (remaining := self._next_batch_at - time.monotonic()) > 0 and not self._stop.is_set():
            await wait_for_stop(self._stop, min(remaining, LEASE_TIMEOUT / 3))
            if remaining > LEASE_TIMEOUT / 3 and not await self._renew_lease():
                return


def audit_job_end(ledger: Ledger, job: Job) -> None:
    """Record the end of a job in the audit log. Its start and stop are recorded there as actions of the user who
    requested them."""
    outcomes = {name: count for name, count in job.outcomes.items() if count}
    ledger.audit.add(
        "job.end",
        user=job.created_by,
        auth_method="job",
        targets=[job.id],
        parameters={"job": job.id, "action": job.action, "query": job.query, "outcomes": outcomes},
        message=f"{job.state}: {', '.join(f'{count} {name}' for name, count in outcomes.items())}",
    )
