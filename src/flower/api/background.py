"""Periodic tasks of a web server: inspect workers, sample queues, record new failure groups, prune the ledger, refresh
metrics, return free memory."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from flower.api.context import Context
from flower.api.failures import carry_over_decisions, record_first_seen
from flower.api.inspection import inspect_new_workers, load_celery_app, refresh_inspections
from flower.api.login_audit import write_unlisted
from flower.api.queue_depths import REFRESH_INTERVAL, refresh_queue_depths
from flower.api.queues import record_queue_samples
from flower.api.thread_pool import run_in_thread
from flower.errors import FlowerError
from flower.malloc import release_free_memory
from flower.store.ledger.queue_samples import SAMPLE_INTERVAL

log = logging.getLogger(__name__)

# Seconds between two runs.
NEW_WORKERS_INTERVAL = 1.0
INSPECTION_INTERVAL = 300.0
FIRST_SEEN_INTERVAL = 60.0
PRUNE_INTERVAL = 3600.0
CARRY_OVER_INTERVAL = 86_400.0
LOGIN_COUNT_INTERVAL = 30.0
FREE_MEMORY_INTERVAL = 30.0
#: while metrics are in use
COUNTERS_INTERVAL = 0.5


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A function that runs at start and then every `interval` seconds; `name` is for the log."""

    name: str
    interval: float
    run: Callable[[Context], Awaitable[None]]


async def prune_ledger(context: Context) -> None:
    """Remove audit entries, bulk jobs and re-run links that are older than `audit_max_age`, and expired sessions."""
    await run_in_thread(partial(context.ledger.sessions.prune, time.time()))
    if context.audit_max_age:
        before = time.time() - context.audit_max_age
        ledger = context.ledger
        for table in (ledger.audit, ledger.jobs, ledger.reruns):
            await run_in_thread(partial(table.prune, before))


async def record_unlisted_logins(context: Context, *, all_of_them: bool = False) -> None:
    """Write the number of failed sign-ins that have no audit entries of their own."""
    if unlisted := context.login_audit.take_unlisted(all_of_them=all_of_them):
        await run_in_thread(lambda: write_unlisted(context.ledger.audit, unlisted))


async def refresh_metrics(context: Context) -> None:
    if context.metrics.is_in_use:
        await run_in_thread(lambda: context.metrics.refresh(context.recorded_reader, time.time()))


async def record_new_failures(context: Context) -> None:
    await run_in_thread(lambda: record_first_seen(context.recorded_reader, context.ledger))


async def return_free_memory(_context: Context) -> None:
    await run_in_thread(release_free_memory)


async def carry_over_failure_decisions(context: Context) -> None:
    await run_in_thread(lambda: carry_over_decisions(context.recorded_reader, context.ledger))


PERIODIC_TASKS = (
    PeriodicTask("Worker inspection", INSPECTION_INTERVAL, refresh_inspections),
    PeriodicTask("Inspection of new workers", NEW_WORKERS_INTERVAL, inspect_new_workers),
    PeriodicTask("Queue sampling", float(SAMPLE_INTERVAL), record_queue_samples),
    PeriodicTask("Refresh of queue depths", REFRESH_INTERVAL, refresh_queue_depths),
    PeriodicTask("Decisions of earlier versions", CARRY_OVER_INTERVAL, carry_over_failure_decisions),
    PeriodicTask("Recording of new failure groups", FIRST_SEEN_INTERVAL, record_new_failures),
    PeriodicTask("Count of failed sign-ins", LOGIN_COUNT_INTERVAL, record_unlisted_logins),
    PeriodicTask("Return of free memory", FREE_MEMORY_INTERVAL, return_free_memory),
    PeriodicTask("Pruning of the ledger", PRUNE_INTERVAL, prune_ledger),
    PeriodicTask("Refresh of metrics", COUNTERS_INTERVAL, refresh_metrics),
)


async def run_background_tasks(context: Context) -> None:
    """Run all periodic tasks until cancelled."""
    await load_celery_app(context)
    await asyncio.gather(*(_run_periodically(task, context) for task in PERIODIC_TASKS))


async def _run_periodically(task: PeriodicTask, context: Context) -> None:
    last_error = ""
    while True:
        started = time.monotonic()
        last_error = await _run_once(task, partial(task.run, context), last_error)
        await asyncio.sleep(max(task.interval - (time.monotonic() - started), task.interval / 2))


async def _run_once(task: PeriodicTask, run: Callable[[], Awaitable[None]], last_error: str) -> str:
    """The message of the error, "" without one. The same error is logged once as long as it lasts."""
    try:
        await run()
    except FlowerError as error:
        if error.message != last_error:
            log.warning("%s failed: %s", task.name, error.message)
        return error.message
    except Exception as error:  # an unexpected reply of a worker or broker must not end the loop
        if str(error) != last_error:
            log.exception("%s failed", task.name)
        return str(error) or type(error).__name__
    if last_error:
        log.info("%s recovered", task.name)
    return ""
