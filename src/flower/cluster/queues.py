"""How long the queues are, asked of the broker itself."""

from collections.abc import Iterable
from typing import Any, TypedDict

from amqp.exceptions import NotFound as NoSuchQueue
from celery import Celery
from kombu.connection import Connection

from flower.cluster import broker, threads
from flower.cluster.application import app_or_current
from flower.cluster.mailbox import ask
from flower.errors import NotFound


class QueueLength(TypedDict, total=False):
    """`consumers` only where the broker tells."""

    name: str
    messages: int
    consumers: int


async def queue_lengths(names: Iterable[str] | None = None, *, app: Celery | None = None) -> list[QueueLength]:
    """The messages that wait, by queue, sorted by name. Without names: the queues that workers consume from, and if
    there are none those of the application's configuration. A queue that the broker does not know is left out.

    Raises NotFound for brokers that cannot be asked."""
    app = app_or_current(app)
    wanted = set(names) if names is not None else await _active(app)

    def work() -> list[QueueLength]:
        count = _COUNTERS.get(broker.transport(app))
        if count is None:
            raise NotFound(f"'{app.connection_for_write().transport_cls}' broker is not supported")
        with broker.connection(app) as connection:
            return [length for name in sorted(wanted) if (length := count(connection, name)) is not None]

    return await threads.within(threads.PATIENCE, work)


async def _active(app: Celery) -> set[str]:
    answers = await ask(app, "active_queues", {})
    names = {str(queue["name"]) for queues in answers.values() for queue in queues if "name" in queue}
    return names or {app.conf.task_default_queue, *(queue.name for queue in app.conf.task_queues or ())}


def _redis(connection: Connection, name: str) -> QueueLength:
    # kombu keeps one list per priority; it knows this application's steps, separator and key prefix.
    channel: Any = connection.default_channel
    keys = [f"{name}{channel.sep}{step}" if step else name for step in channel.priority_steps]
    with channel.conn_or_acquire() as client:
        return {"name": name, "messages": sum(int(client.llen(key)) for key in keys)}


def _amqp(connection: Connection, name: str) -> QueueLength | None:
    channel: Any = connection.channel()  # type: ignore[no-untyped-call]
    try:
        found = channel.queue_declare(name, passive=True)
    except NoSuchQueue:
        return None  # the broker closes the channel with this answer, not the connection
    else:
        channel.close()
    return {"name": name, "messages": found.message_count, "consumers": found.consumer_count}


_COUNTERS = {"redis": _redis, "amqp": _amqp}
