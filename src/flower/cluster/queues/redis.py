"""Redis, also with TLS and behind Sentinel: kombu keeps one list for each priority, and what was given to workers in
one hash for all queues. It knows this application's steps, separator, names and key prefix."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from kombu.connection import Connection
from kombu.exceptions import InconsistencyError
from redis.exceptions import ResponseError

from flower.cluster.queues.stats import QueueStats

#: Bytes of messages at workers up to which they are counted; beyond, how many there are of a queue is unknown.
MAX_UNACKED_BYTES: Final = 4_000_000


def redis_queue_stats(connection: Connection, names: Sequence[str]) -> list[QueueStats]:
    channel: Any = connection.default_channel
    keys = {name: [_key(channel, name, step) for step in channel.priority_steps] for name in names}
    with channel.conn_or_acquire() as client:
        told = client.pipeline(transaction=False)
        for key in _all_keys(keys):
            told.llen(key)
            # kombu pushes at the left and pops at the right; it does not know this command, nor prefix its key
            told.lindex(f"{channel.global_keyprefix}{key}", -1)
        answers = iter(told.execute())
        lists = {key: (int(next(answers)), next(answers)) for key in _all_keys(keys)}
        unacknowledged = _count_unacknowledged(channel, client)
    return [
        QueueStats(
            name,
            ready=sum(lists[key][0] for key in own),
            unacknowledged=None if unacknowledged is None else unacknowledged[name],
            head_task_ids=_head_task_ids([message for key in own if (message := lists[key][1]) is not None]),
        )
        for name, own in keys.items()
    ]


def _all_keys(keys: Mapping[str, Sequence[str]]) -> Iterable[str]:
    return (key for own in keys.values() for key in own)


def _key(channel: Any, name: str, step: int) -> str:
    return f"{name}{channel.sep}{step}" if step else name


def _head_task_ids(messages: Sequence[bytes]) -> tuple[str, ...]:
    """Of each priority. None of them if one is no message of Celery's: that may be the oldest."""
    tasks = [_task_id(message) for message in messages]
    return () if None in tasks else tuple(task for task in tasks if task is not None)


def _task_id(message: bytes) -> str | None:
    try:
        found = json.loads(message)["headers"]["id"]
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _count_unacknowledged(channel: Any, client: Any) -> "Counter[str] | None":
    """By queue. None if there are too many to look at them, or if it is not plain where each of them came from."""
    key = f"{channel.global_keyprefix}{channel.unacked_key}"
    try:
        size = client.execute_command("MEMORY USAGE", key)
    except ResponseError:  # some hosts of Redis do not allow it
        return None
    if size is not None and size > MAX_UNACKED_BYTES:
        return None
    origins: Counter[tuple[str, str]] = Counter()
    for held in client.execute_command("HVALS", key):
        try:
            _, exchange, routing_key = json.loads(held)
        except ValueError:
            return None
        origins[exchange, routing_key] += 1
    found: Counter[str] = Counter()
    for (exchange, routing_key), messages in origins.items():
        queue = _queue_for_message(channel, exchange, routing_key)
        if queue is None:
            return None
        found[queue] += messages
    return found


def _queue_for_message(channel: Any, exchange: str, routing_key: str) -> str | None:
    try:
        queues = list(channel._lookup(exchange, routing_key))
    except (InconsistencyError, LookupError, TypeError, ValueError):
        return None
    return str(queues[0]) if len(queues) == 1 else None
