"""Current queue statistics: the broker's figures, combined with recorded tasks. Imports Celery."""

import time
from collections.abc import Sequence

from flower.api.context import Context
from flower.api.inspection import load_celery_app
from flower.api.thread_pool import run_in_thread
from flower.cluster.queues import QueueStats, configured_queues, queue_stats
from flower.store.ledger.queue_samples import QueueSample


async def get_current_queues(context: Context) -> list[QueueStats]:
    """The queues that workers consume or consumed, else those of the application's configuration; and those that
    recent tasks came by. Raises NotFound for brokers that cannot be asked, Unavailable."""
    app = await load_celery_app(context)
    consumed = {queue for inspected in context.inspections.all().values() for queue in inspected.queues}
    recorded = await run_in_thread(lambda: context.queue_names.get(context.store))
    names = (consumed or configured_queues(app)) | recorded
    return await queue_stats(app, names, broker_api=context.broker_api)


async def get_current_samples(context: Context) -> list[QueueSample]:
    """The same, with the age of the oldest message where it can be known."""
    found = await get_current_queues(context)
    return await run_in_thread(lambda: _build_samples(context, found, time.time()))


async def record_queue_samples(context: Context) -> None:
    """Note how the queues are."""
    found = await get_current_samples(context)
    await run_in_thread(lambda: context.ledger.queue_samples.add(found))


def _build_samples(context: Context, found: Sequence[QueueStats], now: float) -> list[QueueSample]:
    return [
        QueueSample(
            each.name, now, each.ready, each.unacknowledged, each.consumers, _oldest_message_age(context, each, now)
        )
        for each in found
    ]


def _oldest_message_age(context: Context, figures: QueueStats, now: float) -> float | None:
    """Seconds. Where messages carry no time, the events of their tasks tell when they were sent; one that is not on
    record may be the oldest, so then nothing is known."""
    if not figures.ready:
        return None
    if figures.oldest_sent_at is not None:
        return max(now - figures.oldest_sent_at, 0.0)
    tasks = [context.store.task(uuid) for uuid in figures.head_task_ids]
    sent = [task.sent for task in tasks if task is not None and task.sent is not None]
    return max(now - min(sent), 0.0) if sent and len(sent) == len(tasks) else None
