"""Brokers that kombu makes queues of (a folder, a database): it counts the messages that wait, and no more is known."""

from collections.abc import Sequence
from typing import Any

from kombu.connection import Connection
from kombu.transport.virtual import Channel

from flower.cluster.queues.stats import QueueStats


def can_count(connection: Connection) -> bool:
    """kombu's answer for transports that cannot count is 0, which is not to be believed; nor is what it counts in the
    memory of this process, which is not where other processes send."""
    channel = getattr(connection.transport, "Channel", None)
    size = getattr(channel, "_size", None)
    return size not in (None, Channel._size) and connection.transport.driver_type != "memory"


def virtual_queue_stats(connection: Connection, names: Sequence[str]) -> list[QueueStats]:
    channel: Any = connection.default_channel
    return [QueueStats(name, ready=int(channel._size(name))) for name in names]
