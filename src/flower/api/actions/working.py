"""Works off one bulk job: begin some tasks, act, note what became of them, at the job's rate."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flower.api.actions.deeds import DEEDS
from flower.api.actions.doubts import became
from flower.api.actions.means import Means
from flower.api.actions.runner import LEASE, pause
from flower.api.reading import read
from flower.cluster import origins
from flower.cluster.mailbox import ask
from flower.errors import FlowerError, Unavailable
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Ended, Item, Job, Lease
from flower.store.port import Reader

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

#: Seconds for which the records are asked again about what was cut off: the recorder may still have to catch up.
SETTLING: Final = 15.0
#: Seconds between two tries to reach a broker that is away.
RETRY: Final = 2.0


async def work_off(store: Reader, app: "Celery", ledger: Ledger, job: Job, holder: str, stop: asyncio.Event) -> None:
    """Until all is done, the job is aborted, the lease is lost, or `stop`. Raises StoreError."""
    await _Work(Means(store, app, ledger), ledger, job, holder, stop).run()


class _Work:
    def __init__(self, means: Means, ledger: Ledger, job: Job, holder: str, stop: asyncio.Event) -> None:
        self._means = means
        self._ledger = ledger
        self._job = job
        self._holder = holder
        self._stop = stop
        self._deed = DEEDS[job.action]
        self._next = time.monotonic()

    async def run(self) -> None:
        job, ledger = self._job, self._ledger
        doubtful = await read(lambda: ledger.jobs.items(job.id, outcomes=["begun"]))
        log.info("Bulk job %s (%s): %d tasks, %d in doubt", job.id, job.action, job.total, len(doubtful))
        await self._act_on_all()
        if self._stop.is_set():
            if doubtful:
                await self._settle(doubtful, patience=0)
            await read(lambda: ledger.jobs.release(self._lease()))
            return
        await self._settle(doubtful, patience=SETTLING)
        if self._stop.is_set():
            await read(lambda: ledger.jobs.release(self._lease()))
            return
        ended = await read(lambda: ledger.jobs.close(self._lease(), now=time.time()))
        if ended is not None:
            log.info("Bulk job %s %s: %s", ended.id, ended.state, ended.outcomes)
            await read(lambda: note_end(ledger, ended))

    async def _act_on_all(self) -> None:
        ended: list[Ended] = []
        while True:
            items = await self._step(ended, 0 if self._stop.is_set() else self._deed.batch)
            if not items:
                return
            ended = await self._acted(items)
            await self._pace(len(items))

    async def _acted(self, items: Sequence[Item]) -> list[Ended]:
        """What became of these; if the broker was away, only when it is there again."""
        try:
            return await self._deed.act(self._means, self._job, items)
        except Unavailable as error:
            ended = [Ended(item.place, "failed", error.message) for item in items]
        except FlowerError as error:
            return [Ended(item.place, "refused", str(error)) for item in items]
        except Exception as error:
            log.exception("Bulk job %s: an action went wrong", self._job.id)
            return [Ended(item.place, "failed", f"{type(error).__name__}: {error}") for item in items]
        await self._until_reachable()
        return ended

    async def _until_reachable(self) -> None:
        """Else every task that is left would fail, one by one."""
        while not self._stop.is_set():
            try:
                await ask(self._means.app, "ping", {})
                await origins.is_known(self._means.app, "flower-is-anybody-there")
            except Unavailable:
                await pause(self._stop, RETRY)
            else:
                return
            if not await self._keep():
                return

    async def _settle(self, doubtful: Sequence[Item], *, patience: float) -> None:
        """What was begun by who is gone: looked at, and done only if it is certain that it was not."""
        deadline = time.monotonic() + patience
        left = list(doubtful)
        while left:
            known = [(item, await self._became(item, last=time.monotonic() >= deadline)) for item in left]
            ended = [found for _, found in known if found is not None]
            left = [item for item, found in known if found is None]
            await self._step(ended, 0)
            if left and self._stop.is_set():
                return
            if left:
                await pause(self._stop, LOOK_AGAIN)

    async def _became(self, item: Item, *, last: bool) -> Ended | None:
        """None if it is worth while to look again."""
        try:
            found = await became(self._means, self._job, item)
        except Unavailable:
            found = None
        if found is not None:
            return found
        hint = "the server stopped while it was being done, and nothing tells whether it was: look at it"
        return Ended(item.place, "unknown", hint) if last else None

    async def _step(self, ended: Sequence[Ended], take: int) -> list[Item] | None:
        now = time.time()
        return await read(lambda: self._ledger.jobs.step(self._lease(), ended, take=take, now=now))

    async def _keep(self) -> bool:
        """Renew the lease; False if it is lost or the job is to stop."""
        return await self._step([], 0) is not None

    def _lease(self) -> Lease:
        return Lease(self._job.id, self._holder, time.time() + LEASE)

    async def _pace(self, count: int) -> None:
        self._next = max(self._next, time.monotonic() - 1.0) + count / self._job.rate
        while (wait := self._next - time.monotonic()) > 0 and not self._stop.is_set():
            await pause(self._stop, min(wait, LEASE / 3))
            if wait > LEASE / 3 and not await self._keep():
                return


#: Seconds between two looks at what is in doubt.
LOOK_AGAIN: Final = 0.5


def note_end(ledger: Ledger, job: Job) -> None:
    """The one place from which the audit log has the end of a job; its start and its abort are noted as actions of who
    asked for them."""
    done = {name: count for name, count in job.outcomes.items() if count}
    ledger.audit.add(
        "job.end",
        who=job.by,
        way="job",
        targets=[job.id],
        parameters={"job": job.id, "action": job.action, "query": job.query, "outcomes": done},
        message=f"{job.state}: {', '.join(f'{count} {name}' for name, count in done.items())}",
    )
