"""Works off bulk jobs in the background of a web server. Celery is imported when the first job is there."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from anyio import to_thread

from flower.api.actions.models import ActionContext
from flower.api.thread_pool import run_in_thread
from flower.errors import FlowerError
from flower.store.ledger import Ledger
from flower.store.ledger.jobs import Job
from flower.store.protocols import Reader

log = logging.getLogger(__name__)

#: Seconds between two looks for a job, and after an error.
POLL_INTERVAL = 0.5
RETRY_DELAY = 5.0
#: Seconds after which a holder that says nothing has lost its job. An action on one task, or one message, takes less.
LEASE_TIMEOUT = 30.0
#: Seconds between two looks at how far a job is.
PROGRESS_INTERVAL = 0.25


async def run_jobs(
    store: Reader, app: Callable[[], Any], ledger: Ledger, stop: asyncio.Event, *, job_id: str | None = None
) -> None:
    """Until `stop`: take jobs that nobody works on, one after the other, and work them off. The item that is being done
    when it stops is ended first. `app` gives the Celery application, and is not called before there is a job; `only`:
    none but the job of this id."""
    holder = create_holder_id()
    while not stop.is_set():
        try:
            job = await run_in_thread(lambda: claim_job(ledger, holder, job_id))
            if job is None:
                await wait_for_stop(stop, POLL_INTERVAL)
                continue
            await _run_claimed_job(store, app, ledger, job, holder, stop)
        except FlowerError as error:  # the disk is full, the store is away: later, perhaps
            log.warning("Bulk jobs rest for %.0f s: %s", RETRY_DELAY, error)
            await wait_for_stop(stop, RETRY_DELAY)
        except Exception:
            # a mistake of ours must not be the end of all jobs; the lease runs out, and the job goes on after it
            log.exception("A bulk job was left in the middle")
            await wait_for_stop(stop, LEASE_TIMEOUT)


async def _run_claimed_job(
    store: Reader, app: Callable[[], Any], ledger: Ledger, job: Job, holder: str, stop: asyncio.Event
) -> None:
    module: Any = await to_thread.run_sync(partial(import_module, "flower.api.actions.bulk_worker"))
    await module.run_job(store, await run_in_thread(app), ledger, job, holder, stop)


async def finish_job(means: ActionContext, job: Job, progress: Callable[[Job], None] = lambda job: None) -> Job:
    """Work a job off in this process, or wait for the server that does already; gives what it came to. If it is
    cancelled, the job goes on where a server is, or when one is started."""
    assert means.ledger is not None
    ledger, stop = means.ledger, asyncio.Event()
    runner = asyncio.create_task(run_jobs(means.store, lambda: means.app, ledger, stop, job_id=job.id))
    try:
        while job.state == "running":
            await asyncio.sleep(PROGRESS_INTERVAL)
            found: Job | None = await run_in_thread(partial(ledger.jobs.job, job.id))
            job = found or job
            progress(job)
    finally:
        stop.set()
        await asyncio.shield(runner)
    return job


def claim_job(ledger: Ledger, holder: str, job_id: str | None = None) -> Job | None:
    now = time.time()
    gone = [other for other in ledger.jobs.lease_holders() if is_holder_dead(other)]
    return ledger.jobs.claim(holder, now=now, until=now + LEASE_TIMEOUT, dead_holders=gone, job_id=job_id)


def create_holder_id() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_holder_dead(holder: str) -> bool:
    """Whether it was a process of this machine that is no more. If in doubt it is not: then its lease runs out.

    Should we be wrong (two containers of one name), nothing is done twice: who has lost the lease begins nothing."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit() or int(rest) == os.getpid():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


async def wait_for_stop(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
