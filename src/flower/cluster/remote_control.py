"""Celery's remote control over the connections of this package, and inspection of workers.

Celery's `app.control` publishes through Celery's pool, which has no timeouts and no publisher confirms."""

import time
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from celery import Celery
from kombu.messaging import Consumer
from kombu.pidbox import Mailbox
from kombu.utils.uuid import uuid

from flower.cluster import thread_pools
from flower.cluster.connection import broker_connection
from flower.cluster.inspection_cache import COMMON_KINDS, INSPECT_KINDS, InspectKind, InspectReplies

#: Seconds to wait for replies. Waiting ends early if all named workers have replied.
REPLY_TIMEOUT = 1.0


async def broadcast_command(
    app: Celery, command: str, arguments: Mapping[str, Any], workers: Sequence[str] | None = None
) -> None:
    """Send a command to all workers, or to those named, without waiting for replies."""

    def work() -> None:
        with broker_connection(app) as connection:
            _private_mailbox(app)(connection).cast(list(workers) if workers else None, command, dict(arguments))

    await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT, work)


async def call_workers(
    app: Celery,
    command: str,
    arguments: Mapping[str, Any],
    workers: Sequence[str] | None = None,
    *,
    timeout: float = REPLY_TIMEOUT,
) -> dict[str, Any]:
    """The replies of all workers, or of those named, by worker name. A worker without a timely reply is missing."""

    def work() -> dict[str, Any]:
        with broker_connection(app) as connection:
            return _collect_replies(_private_mailbox(app)(connection), {command: arguments}, workers, timeout)[command]

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT + timeout, work)


async def call_workers_with_many(
    app: Celery, commands: Mapping[str, Mapping[str, Any]], workers: Sequence[str] | None, timeout: float
) -> dict[str, dict[str, Any]]:
    """Send several commands at once, each as its own message. Returns the replies by command and worker name."""

    def work() -> dict[str, dict[str, Any]]:
        with broker_connection(app) as connection:
            return _collect_replies(_private_mailbox(app)(connection), commands, workers, timeout)

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT + timeout, work, pool_name="inspecting")


def _collect_replies(
    mailbox: Mailbox, commands: Mapping[str, Mapping[str, Any]], workers: Sequence[str] | None, timeout: float
) -> dict[str, dict[str, Any]]:
    """`Mailbox.call` for any number of commands with one deadline and one reply queue. Replies to earlier requests of
    the same thread are recognised by their ticket and discarded."""
    connection: Any = mailbox.connection
    channel: Any = connection.default_channel
    tickets = {uuid(): command for command in commands}
    replies: dict[str, dict[str, Any]] = {command: {} for command in commands}
    expected = len(workers) * len(commands) if workers else None

    def on_reply(body: Any, message: Any) -> None:
        mailbox.clock.adjust(message.headers.get("clock") or 0)
        command = tickets.get(message.headers.get("ticket"))
        if command is not None and isinstance(body, Mapping):
            replies[command].update(body)

    publish: Any = mailbox._publish
    for ticket, command in tickets.items():
        publish(
            command,
            dict(commands[command]),
            destination=list(workers) if workers else None,
            reply_ticket=ticket,
            channel=channel,
            timeout=timeout,
        )
    deadline = time.monotonic() + timeout
    queue = mailbox.reply_queue
    consumer: Any = Consumer
    try:
        with consumer(channel, [queue], accept=mailbox.accept, no_ack=True, callbacks=[on_reply]):
            while expected is None or sum(map(len, replies.values())) < expected:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                try:
                    connection.drain_events(timeout=remaining)
                except TimeoutError:
                    break
    finally:
        channel.after_reply_message_received(queue.name)
    return replies


def _private_mailbox(app: Celery) -> Mailbox:
    """The application's mailbox (with its exchange, serializer and options), without the pool through which it would
    publish."""
    mailbox: Mailbox = copy(app.control.mailbox)
    mailbox.producer_pool = None
    return mailbox


#: Arguments of inspect commands.
_ARGUMENTS: dict[str, dict[str, Any]] = {"registered": {"taskinfoitems": []}, "conf": {"with_defaults": False}}


async def inspect_workers(app: Celery, workers: Sequence[str] | None, timeout: float) -> InspectReplies:
    """The inspect replies of all workers, or of those named, within `timeout` seconds. Raises BackendUnavailable.

    The state of all workers is requested; of named workers also the tasks."""
    kinds = COMMON_KINDS if workers is None else INSPECT_KINDS
    return await _inspect(app, kinds, workers, timeout)


async def inspect_stats(app: Celery, workers: Sequence[str], timeout: float) -> Mapping[str, Any]:
    """The statistics of these workers by name, among them the sizes of their pools. Raises BackendUnavailable."""
    return (await _inspect(app, ("stats",), workers, timeout))["stats"]


async def _inspect(
    app: Celery, kinds: Sequence[InspectKind], workers: Sequence[str] | None, timeout: float
) -> InspectReplies:
    replies = await call_workers_with_many(app, {kind: _ARGUMENTS.get(kind, {}) for kind in kinds}, workers, timeout)
    for stats in replies["stats"].values():
        broker_info = stats.get("broker") if isinstance(stats, dict) else None
        if isinstance(broker_info, dict):
            broker_info.pop("alternates", None)  # URLs of other brokers, with passwords
    return replies
