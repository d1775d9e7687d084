"""Redis, also with TLS and Sentinel: kombu stores one list per queue and priority, and the unacknowledged messages of
all queues in one hash. Kombu knows the application's priority steps, separator, names and key prefix."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kombu.connection import Connection
from kombu.exceptions import InconsistencyError
from redis.exceptions import ResponseError

from flower.cluster.queues.stats import QueueStats

#: Size in bytes of the unacknowledged messages up to which they are counted; beyond, the counts are unknown.
MAX_UNACKED_BYTES: Final = 4_000_000


def redis_queue_stats(connection: Connection, names: Sequence[str]) -> list[QueueStats]:
    channel: Any = connection.default_channel
    keys = {name: [_key(channel, name, step) for step in channel.priority_steps] for name in names}
    with channel.conn_or_acquire() as client:
        pipeline = client.pipeline(transaction=False)
        for key in _all_keys(keys):
            pipeline.llen(key)
            # Kombu pushes left and pops right; it does not add the key prefix to this command.
            pipeline.lindex(f"{channel.global_keyprefix}{key}", -1)
        responses = iter(pipeline.execute())
        lists = {key: (int(next(responses)), next(responses)) for key in _all_keys(keys)}
        unacknowledged = _count_unacknowledged(channel, client)
    return [
        QueueStats(
            name,
            ready=sum(lists[key][0] for key in queue_keys),
            unacknowledged=None if unacknowledged is None else unacknowledged[name],
            head_task_ids=_head_task_ids([message for key in queue_keys if (message := lists[key][1]) is not None]),
        )
        for name, queue_keys in keys.items()
    ]


def _all_keys(keys: Mapping[str, Sequence[str]]) -> Iterable[str]:
    return (key for queue_keys in keys.values() for key in queue_keys)


def _key(channel: Any, name: str, step: int) -> str:
    return f"{name}{channel.sep}{step}" if step else name


def _head_task_ids(messages: Sequence[bytes]) -> tuple[str, ...]:
    """The id of the oldest message of each priority. Empty if one of them is not a Celery message: that one may be the
    oldest."""
    tasks = [_task_id(message) for message in messages]
    return () if None in tasks else tuple(task for task in tasks if task is not None)


def _task_id(message: bytes) -> str | None:
    try:
        task_id = json.loads(message)["headers"]["id"]
    except (ValueError, LookupError, TypeError):
        return None
    return task_id if isinstance(task_id, str) else None


def _count_unacknowledged(channel: Any, client: Any) -> "Counter[str] | None":
    """By queue. None if there are too many to read, or if the queue of one of them is ambiguous."""
    key = f"{channel.global_keyprefix}{channel.unacked_key}"
    try:
        size = client.execute_command("MEMORY USAGE", key)
    except ResponseError:  # not permitted by some managed Redis services
        return None
    if size is not None and size > MAX_UNACKED_BYTES:
        return None
    origins: Counter[tuple[str, str]] = Counter()
    for entry in client.execute_command("HVALS", key):
        try:
            _, exchange, routing_key = json.loads(entry)
        except ValueError:
            return None
        origins[exchange, routing_key] += 1
    counts: Counter[str] = Counter()
    for (exchange, routing_key), messages in origins.items():
        queue = _queue_for_message(channel, exchange, routing_key)
        if queue is None:
            return None
        counts[queue] += messages
    return counts


def _queue_for_message(channel: Any, exchange: str, routing_key: str) -> str | None:
    try:
        queues = list(channel._lookup(exchange, routing_key))
    except (InconsistencyError, LookupError, TypeError, ValueError):
        return None
    return str(queues[0]) if len(queues) == 1 else None
