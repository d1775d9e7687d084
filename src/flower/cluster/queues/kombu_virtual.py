"""Brokers on which kombu emulates queues (a directory, a database): kombu counts the ready messages; nothing else is
known."""

from collections.abc import Sequence
from typing import Any

from kombu.connection import Connection
from kombu.transport.virtual import Channel

from flower.cluster.queues.stats import QueueStats


def can_count(connection: Connection) -> bool:
    """Whether the transport counts messages. Kombu returns 0 for transports that cannot count, and the memory transport
    counts only the messages of this process."""
    channel = getattr(connection.transport, "Channel", None)
    size = getattr(channel, "_size", None)
    return size not in (None, Channel._size) and connection.transport.driver_type != "memory"


def virtual_queue_stats(connection: Connection, names: Sequence[str]) -> list[QueueStats]:
    channel: Any = connection.default_channel
    return [QueueStats(name, ready=int(channel._size(name))) for name in names]
