"""Works off one bulk job: begin some tasks, act, note what became of them, at the job's rate."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flower.api.actions.bulk_actions import BULK_ACTIONS, resolve_interrupted_item
from flower.api.actions.bulk_runner import LEASE_TIMEOUT, wait_for_stop
from flower.api.actions.models import ActionContext
from flower.api.thread_pool import run_in_thread
from flower.cluster import task_metadata
from flower.cluster.remote_control import call_workers
from flower.errors import BackendUnavailable, FlowerError
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import ItemResult, Job, JobItem, Lease
from flower.store.protocols import Reader

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

#: Seconds for which the records are asked again about what was cut off: the recorder may still have to catch up.
RECOVERY_TIMEOUT: Final = 15.0
#: Seconds between two tries to reach a broker that is away.
RECONNECT_DELAY: Final = 2.0


async def run_job(store: Reader, app: "Celery", ledger: Ledger, job: Job, holder: str, stop: asyncio.Event) -> None:
    """Until all is done, the job is aborted, the lease is lost, or `stop`. Raises StoreError."""
    await _JobExecution(ActionContext(store, app, ledger), ledger, job, holder, stop).run()


class _JobExecution:
    def __init__(self, means: ActionContext, ledger: Ledger, job: Job, holder: str, stop: asyncio.Event) -> None:
        self._ctx = means
        self._ledger = ledger
        self._job = job
        self._holder = holder
        self._stop = stop
        self._bulk_action = BULK_ACTIONS[job.action]
        self._next_batch_at = time.monotonic()

    async def run(self) -> None:
        job, ledger = self._job, self._ledger
        doubtful = await run_in_thread(lambda: ledger.jobs.items(job.id, outcomes=["begun"]))
        log.info("Bulk job %s (%s): %d tasks, %d in doubt", job.id, job.action, job.total, len(doubtful))
        await self._run_all_batches()
        if self._stop.is_set():
            if doubtful:
                await self._resolve_interrupted(doubtful, timeout=0)
            await run_in_thread(lambda: ledger.jobs.release(self._new_lease()))
            return
        await self._resolve_interrupted(doubtful, timeout=RECOVERY_TIMEOUT)
        if self._stop.is_set():
            await run_in_thread(lambda: ledger.jobs.release(self._new_lease()))
            return
        ended = await run_in_thread(lambda: ledger.jobs.finish(self._new_lease(), now=time.time()))
        if ended is not None:
            log.info("Bulk job %s %s: %s", ended.id, ended.state, ended.outcomes)
            await run_in_thread(lambda: audit_job_end(ledger, ended))

    async def _run_all_batches(self) -> None:
        ended: list[ItemResult] = []
        while True:
            items = await self._complete_and_take(ended, 0 if self._stop.is_set() else self._bulk_action.batch_size)
            if not items:
                return
            ended = await self._run_batch(items)
            await self._throttle(len(items))

    async def _run_batch(self, items: Sequence[JobItem]) -> list[ItemResult]:
        """What became of these; if the broker was away, only when it is there again."""
        try:
            return await self._bulk_action.handler(self._ctx, self._job, items)
        except BackendUnavailable as error:
            ended = [ItemResult(item.index, "failed", error.message) for item in items]
        except FlowerError as error:
            return [ItemResult(item.index, "refused", str(error)) for item in items]
        except Exception as error:
            log.exception("Bulk job %s: an action went wrong", self._job.id)
            return [ItemResult(item.index, "failed", f"{type(error).__name__}: {error}") for item in items]
        await self._wait_for_broker()
        return ended

    async def _wait_for_broker(self) -> None:
        """Else every task that is left would fail, one by one."""
        while not self._stop.is_set():
            try:
                await call_workers(self._ctx.app, "ping", {})
                await task_metadata.is_in_backend(self._ctx.app, "flower-is-anybody-there")
            except BackendUnavailable:
                await wait_for_stop(self._stop, RECONNECT_DELAY)
            else:
                return
            if not await self._renew_lease():
                return

    async def _resolve_interrupted(self, doubtful: Sequence[JobItem], *, timeout: float) -> None:
        """What was begun by who is gone: looked at, and done only if it is certain that it was not."""
        deadline = time.monotonic() + timeout
        left = list(doubtful)
        while left:
            known = [(item, await self._resolve_item(item, last=time.monotonic() >= deadline)) for item in left]
            ended = [found for _, found in known if found is not None]
            left = [item for item, found in known if found is None]
            await self._complete_and_take(ended, 0)
            if left and self._stop.is_set():
                return
            if left:
                await wait_for_stop(self._stop, RECOVERY_POLL_INTERVAL)

    async def _resolve_item(self, item: JobItem, *, last: bool) -> ItemResult | None:
        """None if it is worth while to look again."""
        try:
            found = await resolve_interrupted_item(self._ctx, self._job, item)
        except BackendUnavailable:
            found = None
        if found is not None:
            return found
        hint = "the server stopped while it was being done, and nothing tells whether it was: look at it"
        return ItemResult(item.index, "unknown", hint) if last else None

    async def _complete_and_take(self, ended: Sequence[ItemResult], take: int) -> list[JobItem] | None:
        now = time.time()
        return await run_in_thread(
            lambda: self._ledger.jobs.advance(self._new_lease(), ended, batch_size=take, now=now)
        )

    async def _renew_lease(self) -> bool:
        """Renew the lease; False if it is lost or the job is to stop."""
        return await self._complete_and_take([], 0) is not None

    def _new_lease(self) -> Lease:
        return Lease(self._job.id, self._holder, time.time() + LEASE_TIMEOUT)

    async def _throttle(self, count: int) -> None:
        self._next_batch_at = max(self._next_batch_at, time.monotonic() - 1.0) + count / self._job.rate
        while (wait := self._next_batch_at - time.monotonic()) > 0 and not self._stop.is_set():
            await wait_for_stop(self._stop, min(wait, LEASE_TIMEOUT / 3))
            if wait > LEASE_TIMEOUT / 3 and not await self._renew_lease():
                return


#: Seconds between two looks at what is in doubt.
RECOVERY_POLL_INTERVAL: Final = 0.5


def audit_job_end(ledger: Ledger, job: Job) -> None:
    """The one place from which the audit log has the end of a job; its start and its abort are noted as actions of who
    asked for them."""
    done = {name: count for name, count in job.outcomes.items() if count}
    ledger.audit.add(
        "job.end",
        user=job.created_by,
        auth_method="job",
        targets=[job.id],
        parameters={"job": job.id, "action": job.action, "query": job.query, "outcomes": done},
        message=f"{job.state}: {', '.join(f'{count} {name}' for name, count in done.items())}",
    )
