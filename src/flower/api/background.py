"""What a web server does by itself: it asks workers how they are when they come and every few minutes, samples the
queues, remembers which failures were seen, keeps audit log and jobs in bounds, follows the counters for /metrics."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from anyio import to_thread

from flower.api.context import Context
from flower.api.failures import record_first_seen
from flower.api.inspection import inspect_new_workers, refresh_inspections
from flower.api.thread_pool import run_in_thread
from flower.errors import FlowerError
from flower.store.ledger.queue_samples import SAMPLE_INTERVAL

log = logging.getLogger(__name__)

#: Seconds between two looks for workers that came, and between two questions to all.
NEW_WORKERS_INTERVAL = 1.0
INSPECTION_INTERVAL = 300.0
#: Seconds between two looks for groups of failures that nobody has seen before.
FIRST_SEEN_INTERVAL = 60.0
#: Seconds between two looks for what people did so long ago that it need not be kept.
PRUNE_INTERVAL = 3600.0
#: Seconds between two looks at the counters, as long as metrics are asked for.
COUNTERS_INTERVAL = 0.5


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something that is done at once and then every so many seconds; `name` is for the log."""

    name: str
    interval: float
    run: Callable[[Context], Awaitable[None]]


async def sample_queues(context: Context) -> None:
    module = await to_thread.run_sync(import_module, "flower.api.queues")
    await module.record_queue_samples(context)


async def prune_ledger(context: Context) -> None:
    """What the ledger holds of what people did: the audit log, jobs, links between tasks and their re-runs."""
    if context.audit_max_age:
        before = time.time() - context.audit_max_age
        ledger = context.ledger
        for kept in (ledger.audit, ledger.jobs, ledger.reruns):
            await run_in_thread(partial(kept.prune, before))


async def refresh_metrics(context: Context) -> None:
    if context.metrics.is_in_use:
        await run_in_thread(lambda: context.metrics.refresh(context.recorded_reader, time.time()))


async def record_new_failures(context: Context) -> None:
    await run_in_thread(lambda: record_first_seen(context.recorded_reader, context.ledger))


PERIODIC_TASKS = (
    PeriodicTask("ask the workers", INSPECTION_INTERVAL, refresh_inspections),
    PeriodicTask("ask new workers", NEW_WORKERS_INTERVAL, inspect_new_workers),
    PeriodicTask("sample the queues", float(SAMPLE_INTERVAL), sample_queues),
    PeriodicTask("remember when failures were first seen", FIRST_SEEN_INTERVAL, record_new_failures),
    PeriodicTask("forget what people did long ago", PRUNE_INTERVAL, prune_ledger),
    PeriodicTask("follow the counters", COUNTERS_INTERVAL, refresh_metrics),
)


async def run_background_tasks(context: Context) -> None:
    """Until it is cancelled. What goes wrong is logged once and tried again."""
    await to_thread.run_sync(context.app)
    await asyncio.gather(*(_run_periodically(duty, context) for duty in PERIODIC_TASKS))


async def _run_periodically(duty: PeriodicTask, context: Context) -> None:
    trouble = ""
    while True:
        begun = time.monotonic()
        trouble = await _run_once(duty, partial(duty.run, context), trouble)
        await asyncio.sleep(max(duty.interval - (time.monotonic() - begun), duty.interval / 2))


async def _run_once(duty: PeriodicTask, do: Callable[[], Awaitable[None]], before: str) -> str:
    """The error's message, or nothing. The same error is not logged again as long as it lasts."""
    try:
        await do()
    except FlowerError as error:
        if error.message != before:
            log.warning("Cannot %s: %s", duty.name, error.message)
        return error.message
    except Exception as error:  # one more odd answer of a worker or broker must not end the watching
        if str(error) != before:
            log.exception("Cannot %s", duty.name)
        return str(error) or type(error).__name__
    if before:
        log.info("Can %s again", duty.name)
    return ""
