"""AMQP without a management API: every client may ask how many messages wait and who consumes, by declaring a queue
passively. How many messages are at workers is not told."""

from collections.abc import Sequence
from typing import Any

from amqp.exceptions import AccessRefused, NotFound, ResourceLocked
from kombu.connection import Connection

from flower.cluster.queues.stats import QueueStats


def amqp_queue_stats(connection: Connection, names: Sequence[str]) -> list[QueueStats]:
    """Queues that the broker does not know are left out."""
    return [found for name in names if (found := _declare_passively(connection, name)) is not None]


def _declare_passively(connection: Connection, name: str) -> QueueStats | None:
    # a refusal closes the channel, not the connection
    channel: Any = connection.channel()  # type: ignore[no-untyped-call]
    try:
        found = channel.queue_declare(name, passive=True)
    except NotFound:
        return None
    except (AccessRefused, ResourceLocked):  # it is there, but not for us
        return QueueStats(name)
    channel.close()
    return QueueStats(name, ready=found.message_count, consumers=found.consumer_count)
