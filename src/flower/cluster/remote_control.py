"""Words with the workers: Celery's remote control, over our own connections.

Celery's `app.control` publishes through its own pool, which has no time limits and no confirms.


Asking the workers how they are."""

import time
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from celery import Celery
from kombu.messaging import Consumer
from kombu.pidbox import Mailbox
from kombu.utils.uuid import uuid

from flower.cluster import connection as broker
from flower.cluster import thread_pools
from flower.cluster.inspection_cache import COMMON_KINDS, INSPECT_KINDS, InspectReplies

#: Seconds to wait for workers to answer. Those that were named are not waited for any longer than they take.
REPLY_TIMEOUT = 1.0


async def broadcast_command(
    app: Celery, command: str, arguments: Mapping[str, Any], workers: Sequence[str] | None = None
) -> None:
    """Say it to all workers, or to those named; none is expected to answer."""

    def work() -> None:
        with broker.broker_connection(app) as connection:
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
    """What each worker answers, by name; of all workers or of those named. Who does not answer in time is missing."""

    def work() -> dict[str, Any]:
        with broker.broker_connection(app) as connection:
            return _collect_replies(_private_mailbox(app)(connection), {command: arguments}, workers, timeout)[command]

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT + timeout, work)


async def call_workers_with_many(
    app: Celery, commands: Mapping[str, Mapping[str, Any]], workers: Sequence[str] | None, timeout: float
) -> dict[str, dict[str, Any]]:
    """Several commands in one go, each of them a message of its own: what each worker answers, by command and name."""

    def work() -> dict[str, dict[str, Any]]:
        with broker.broker_connection(app) as connection:
            return _collect_replies(_private_mailbox(app)(connection), commands, workers, timeout)

    return await thread_pools.run_with_timeout(thread_pools.CALL_TIMEOUT + timeout, work, pool_name="inspecting")


def _collect_replies(
    mailbox: Mailbox, commands: Mapping[str, Mapping[str, Any]], workers: Sequence[str] | None, timeout: float
) -> dict[str, dict[str, Any]]:
    """Mailbox.call for any number of commands with one deadline, over one queue of replies. Answers to what was asked
    before by the same thread are told by their ticket, and thrown away."""
    connection: Any = mailbox.connection
    channel: Any = connection.default_channel
    tickets = {uuid(): command for command in commands}
    answers: dict[str, dict[str, Any]] = {command: {} for command in commands}
    wanted = len(workers) * len(commands) if workers else None

    def take(body: Any, message: Any) -> None:
        mailbox.clock.adjust(message.headers.get("clock") or 0)
        command = tickets.get(message.headers.get("ticket"))
        if command is not None and isinstance(body, Mapping):
            answers[command].update(body)

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
        with consumer(channel, [queue], accept=mailbox.accept, no_ack=True, callbacks=[take]):
            while wanted is None or sum(map(len, answers.values())) < wanted:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                try:
                    connection.drain_events(timeout=left)
                except TimeoutError:
                    break
    finally:
        channel.after_reply_message_received(queue.name)
    return answers


def _private_mailbox(app: Celery) -> Mailbox:
    """The application's mailbox (its exchange, serializer, options), without the pool it would publish through."""
    mailbox: Mailbox = copy(app.control.mailbox)
    mailbox.producer_pool = None
    return mailbox


#: Arguments of those kinds of questions that have some.
_ARGUMENTS: dict[str, dict[str, Any]] = {"registered": {"taskinfoitems": []}, "conf": {"with_defaults": False}}


async def inspect_workers(app: Celery, workers: Sequence[str] | None, timeout: float) -> InspectReplies:
    """What all workers or those named say within so many seconds. Raises Unavailable.

    All are asked for what they are; those that are named also for the tasks that they have."""
    kinds = COMMON_KINDS if workers is None else INSPECT_KINDS
    answers = await call_workers_with_many(app, {kind: _ARGUMENTS.get(kind, {}) for kind in kinds}, workers, timeout)
    for stats in answers["stats"].values():
        broker = stats.get("broker") if isinstance(stats, dict) else None
        if isinstance(broker, dict):
            broker.pop("alternates", None)  # other brokers' URLs, with their passwords
    return answers
