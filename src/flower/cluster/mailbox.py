"""Words with the workers: Celery's remote control, over our own connections.

Celery's `app.control` publishes through its own pool, which has no time limits and no confirms.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from celery import Celery
from kombu.pidbox import Mailbox

from flower.cluster import broker, threads

#: Seconds to wait for workers to answer. Those that were named are not waited for any longer than they take.
REPLY_TIMEOUT = 1.0


async def tell(app: Celery, command: str, arguments: Mapping[str, Any]) -> None:
    """Say it to all workers; none is expected to answer."""

    def work() -> None:
        with broker.connection(app) as connection:
            _mailbox(app)(connection).cast(None, command, dict(arguments))

    await threads.within(threads.PATIENCE, work)


async def ask(
    app: Celery, command: str, arguments: Mapping[str, Any], workers: Sequence[str] | None = None
) -> dict[str, Any]:
    """What each worker answers, by name; of all workers or of those named. Who does not answer in time is missing."""

    def work() -> dict[str, Any]:
        with broker.connection(app) as connection:
            mailbox = _mailbox(app)(connection)
            replies = mailbox.call(list(workers) if workers else None, command, dict(arguments), timeout=REPLY_TIMEOUT)
        return {worker: answer for reply in replies or () for worker, answer in reply.items()}

    return await threads.within(threads.PATIENCE + REPLY_TIMEOUT, work)


def _mailbox(app: Celery) -> Mailbox:
    """The application's mailbox (its exchange, serializer, options), without the pool it would publish through."""
    mailbox: Mailbox = copy(app.control.mailbox)
    mailbox.producer_pool = None
    return mailbox
