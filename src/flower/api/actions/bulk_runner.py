"""Background loop of a web server that claims bulk jobs by lease and executes them. Celery is imported when there is a
job."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from flower import cluster
from flower.api.actions.bulk_worker import LEASE_TIMEOUT, run_job, wait_for_stop
from flower.api.actions.models import ActionContext
from flower.api.thread_pool import run_in_thread
from flower.errors import FlowerError
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Job
from flower.store.protocols import Reader

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

#: Seconds between two queries for a job, and the pause after an error.
POLL_INTERVAL: Final = 0.5
RETRY_DELAY: Final = 5.0
#: Seconds between two progress reports of `finish_job`.
PROGRESS_INTERVAL: Final = 0.25


async def run_jobs(
    store: Reader, app: "Callable[[], Celery]", ledger: Ledger, stop: asyncio.Event, *, job_id: str | None = None
) -> None:
    """Claim and execute jobs one after the other until `stop` is set; the batch in progress is completed first. `app`
    returns the Celery application, and is not called before there is a job. With `job_id` only this job is executed."""
    holder = create_holder_id()
    while not stop.is_set():
        try:
            job = await run_in_thread(lambda: claim_job(ledger, holder, job_id))
            if job is None:
                await wait_for_stop(stop, POLL_INTERVAL)
                continue
            await run_in_thread(cluster.load)
            await run_job(store, await run_in_thread(app), ledger, job, holder, stop)
        except FlowerError as error:  # for example the disk is full
            log.warning("Cannot execute bulk jobs; retrying in %.0f s: %s", RETRY_DELAY, error)
            await wait_for_stop(stop, RETRY_DELAY)
        except Exception:
            # an unexpected error must not end the loop; the job continues when its lease has expired
            log.exception("A bulk job was interrupted by an error")
            await wait_for_stop(stop, LEASE_TIMEOUT)


async def finish_job(ctx: ActionContext, job: Job, progress: Callable[[Job], None] = lambda job: None) -> Job:
    """Execute a job in this process, or wait for the server that executes it; returns the finished job. If it is
    cancelled, a server continues the job, now or when one is started."""
    assert ctx.ledger is not None
    ledger, stop = ctx.ledger, asyncio.Event()
    runner = asyncio.create_task(run_jobs(ctx.store, lambda: ctx.app, ledger, stop, job_id=job.id))
    try:
        while job.state == "running":
            await asyncio.sleep(PROGRESS_INTERVAL)
            current: Job | None = await run_in_thread(partial(ledger.jobs.job, job.id))
            job = current or job
            progress(job)
    finally:
        stop.set()
        await asyncio.shield(runner)
    return job


def claim_job(ledger: Ledger, holder: str, job_id: str | None = None) -> Job | None:
    """The next job, with a lease for `holder`; None if there is none."""
    now = time.time()
    dead_holders = [other for other in ledger.jobs.lease_holders() if is_holder_dead(other)]
    return ledger.jobs.claim(holder, now=now, until=now + LEASE_TIMEOUT, dead_holders=dead_holders, job_id=job_id)


def create_holder_id() -> str:
    """Host, process id and a random part: the identity of a lease holder."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_holder_dead(holder: str) -> bool:
    """Whether the holder was a process of this host that no longer exists. False if unknown: its lease expires then.

    A wrong True (two containers with the same host name) executes nothing twice: a holder that has lost its lease
    cannot start another item."""
    host, _, pid = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
