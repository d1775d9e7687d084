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
from flower.api.failure_states import remember_firsts
from flower.api.inspecting import inspect, meet_newcomers
from flower.api.reading import read
from flower.errors import FlowerError
from flower.store.ledger.samples import SAMPLE_EVERY

log = logging.getLogger(__name__)

#: Seconds between two looks for workers that came, and between two questions to all.
LOOK_EVERY = 1.0
INSPECT_EVERY = 300.0
#: Seconds between two looks for groups of failures that nobody has seen before.
REMEMBER_EVERY = 60.0
#: Seconds between two looks for what people did so long ago that it need not be kept.
FORGET_EVERY = 3600.0
#: Seconds between two looks at the counters, as long as metrics are asked for.
COUNT_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that is done at once and then every so many seconds; `name` is for the log."""

    name: str
    every: float
    do: Callable[[Context], Awaitable[None]]


async def sample_queues(context: Context) -> None:
    module = await to_thread.run_sync(import_module, "flower.api.queue_figures")
    await module.sample(context)


async def forget_old_deeds(context: Context) -> None:
    """What the ledger holds of what people did: the audit log, jobs, links between tasks and their re-runs."""
    if context.audit_max_age:
        before = time.time() - context.audit_max_age
        ledger = context.ledger
        for kept in (ledger.audit, ledger.jobs, ledger.reruns):
            await read(partial(kept.prune, before))


async def keep_up_with_counters(context: Context) -> None:
    if context.metrics.wanted:
        await read(lambda: context.metrics.keep_up(context.records, time.time()))


async def remember_failures(context: Context) -> None:
    await read(lambda: remember_firsts(context.records, context.ledger))


DUTIES = (
    Duty("ask the workers", INSPECT_EVERY, inspect),
    Duty("ask new workers", LOOK_EVERY, meet_newcomers),
    Duty("sample the queues", float(SAMPLE_EVERY), sample_queues),
    Duty("remember when failures were first seen", REMEMBER_EVERY, remember_failures),
    Duty("forget what people did long ago", FORGET_EVERY, forget_old_deeds),
    Duty("follow the counters", COUNT_EVERY, keep_up_with_counters),
)


async def watch(context: Context) -> None:
    """Until it is cancelled. What goes wrong is logged once and tried again."""
    await to_thread.run_sync(context.app)
    await asyncio.gather(*(_keep(duty, context) for duty in DUTIES))


async def _keep(duty: Duty, context: Context) -> None:
    trouble = ""
    while True:
        begun = time.monotonic()
        trouble = await _tried(duty, partial(duty.do, context), trouble)
        await asyncio.sleep(max(duty.every - (time.monotonic() - begun), duty.every / 2))


async def _tried(duty: Duty, do: Callable[[], Awaitable[None]], before: str) -> str:
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
