"""The queues now and as they were: what the broker tells, with what we know ourselves. Imports Celery."""

import time
from collections.abc import Sequence

from flower.api.context import Context
from flower.api.inspecting import celery
from flower.api.reading import read
from flower.cluster.queues import QueueFigures, configured_queues, queue_figures
from flower.store.ledger.samples import QueueSample


async def queues_now(context: Context) -> list[QueueFigures]:
    """The queues that workers consume or consumed, else those of the application's configuration; and those that
    recent tasks came by. Raises NotFound for brokers that cannot be asked, Unavailable."""
    app = await celery(context)
    consumed = {queue for inspected in context.inspections.all().values() for queue in inspected.queues}
    recorded = await read(lambda: context.queue_names.of(context.store))
    names = (consumed or configured_queues(app)) | recorded
    return await queue_figures(app, names, broker_api=context.broker_api)


async def samples_now(context: Context) -> list[QueueSample]:
    """The same, with the age of the oldest message where it can be known."""
    found = await queues_now(context)
    return await read(lambda: _samples(context, found, time.time()))


async def sample(context: Context) -> None:
    """Note how the queues are."""
    found = await samples_now(context)
    await read(lambda: context.ledger.samples.note(found))


def _samples(context: Context, found: Sequence[QueueFigures], now: float) -> list[QueueSample]:
    return [
        QueueSample(each.name, now, each.ready, each.unacknowledged, each.consumers, _oldest(context, each, now))
        for each in found
    ]


def _oldest(context: Context, figures: QueueFigures, now: float) -> float | None:
    """Seconds. Where messages carry no time, the events of their tasks tell when they were sent; one that is not on
    record may be the oldest, so then nothing is known."""
    if not figures.ready:
        return None
    if figures.oldest is not None:
        return max(now - figures.oldest, 0.0)
    tasks = [context.store.task(uuid) for uuid in figures.heads]
    sent = [task.sent for task in tasks if task is not None and task.sent is not None]
    return max(now - min(sent), 0.0) if sent and len(sent) == len(tasks) else None
