"""AMQP without the management API: a passive declare returns the number of ready messages and consumers, but not of
unacknowledged messages."""

from collections.abc import Sequence
from typing import Any

from amqp.exceptions import AccessRefused, NotFound, ResourceLocked
from kombu.connection import Connection

from flower.cluster.queues.stats import QueueStats


def amqp_queue_stats(connection: Connection, names: Sequence[str]) -> list[QueueStats]:
    """Queues that the broker does not know are left out."""
    return [stats for name in names if (stats := _declare_passively(connection, name)) is not None]


def _declare_passively(connection: Connection, name: str) -> QueueStats | None:
    # An error closes the channel, not the connection.
    channel: Any = connection.channel()  # type: ignore[no-untyped-call]
    try:
        declared = channel.queue_declare(name, passive=True)
    except NotFound:
        return None
    except (AccessRefused, ResourceLocked):  # the queue exists, but access is denied
        return QueueStats(name)
    channel.close()
    return QueueStats(name, ready=declared.message_count, consumers=declared.consumer_count)
