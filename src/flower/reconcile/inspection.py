"""Source: workers. Broadcasts inspect commands and collects the replies, one inspection at a time.

A task that waits in a worker for its rate limit is in none of the lists: Celery keeps it in a token bucket that no
command shows.
"""

import socket
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from copy import copy
from typing import Any, Final, get_args

from celery import Celery
from celery.utils.saferepr import saferepr
from kombu.connection import Connection
from kombu.messaging import Consumer, Producer
from kombu.utils.uuid import uuid

from flower.capture.coerce import to_identifier
from flower.reconcile.cluster_view import TaskOptions, WorkerProfile
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.findings import HeldTask, WorkerList, WorkersAnswer
from flower.redaction import Redactor
from flower.untrusted_values import convert_or_none

#: Seconds that a worker has for its reply. A worker that is busy loading a module needs more than Celery's second.
REPLY_TIMEOUT: Final = 3.0

#: Seconds that silent workers have, when all others have replied.
SILENT_TIMEOUT: Final = 1.0

LISTS: Final[tuple[WorkerList, ...]] = get_args(WorkerList)

#: Attributes of task types that are requested with `registered`.
_TASK_ATTRIBUTES: Final = ("rate_limit", "acks_late", "time_limit")

_MAX_TEXT: Final = 1024


class _SingleAttemptProducer(Producer):
    """Kombu's mailbox would retry without a limit."""

    def publish(self, *args: Any, **kwargs: Any) -> Any:
        return super().publish(*args, **{**kwargs, "retry": False})  # type: ignore[no-untyped-call]


class WorkerInspector:
    """Inspects the workers of one application over a connection that is passed in."""

    def __init__(self, app: Celery, redactor: Redactor, cost: ReconcileCost) -> None:
        self._app, self._redactor, self._cost = app, redactor, cost

    def inspect_tasks(
        self, connection: Connection, expected: Collection[str], silent: Collection[str], skipped: Collection[str]
    ) -> WorkersAnswer:
        """The tasks that the workers have. Waits for the `expected` workers, and briefly for the `silent` ones.
        `skipped` workers are not inspected."""
        observed_at = time.time()
        target = sorted({*expected, *silent} - set(skipped)) if skipped else None
        replies = self._call(connection, {each: {} for each in LISTS}, target, expected, bool(silent))
        alive = {name for answers in replies.values() for name in answers}
        answered = {name for name in alive if all(isinstance(replies[each].get(name), list) for each in LISTS)}
        held: dict[str, HeldTask] = {}
        # A task that several workers have (it was delivered twice) is shown where it runs.
        for list_name in reversed(LISTS):
            for name, entries in replies[list_name].items():
                for task in self._parse_list(name, list_name, entries, observed_at):
                    previous = held.get(task.uuid)
                    if previous is None or previous.list_name != list_name or _is_later(task, previous):
                        held[task.uuid] = task
        return WorkersAnswer(observed_at, frozenset(answered), frozenset(alive), held)

    def describe_workers(self, connection: Connection, workers: Sequence[str]) -> list[WorkerProfile]:
        """What these workers answer about themselves; those that do not answer are missing."""
        commands = {"stats": {}, "active_queues": {}, "registered": {"taskinfoitems": list(_TASK_ATTRIBUTES)}}
        replies = self._call(connection, commands, sorted(workers), workers, False)
        now = time.time()
        names = {name for answers in replies.values() for name in answers}
        return [
            _parse_profile(name, now, {kind: answers.get(name) for kind, answers in replies.items()}) for name in names
        ]

    def ping(self, connection: Connection, workers: Sequence[str]) -> set[str]:
        """Those of these workers that answer."""
        return set(self._call(connection, {"ping": {}}, sorted(workers), workers, False, SILENT_TIMEOUT)["ping"])

    def _call(
        self,
        connection: Connection,
        commands: Mapping[str, Mapping[str, Any]],
        target: Sequence[str] | None,
        expected: Collection[str],
        has_silent: bool,
        timeout: float = REPLY_TIMEOUT,
    ) -> dict[str, dict[str, Any]]:
        """Replies by command and worker. Commands that a worker has not read before the timeout are void."""
        mailbox: Any = copy(self._app.control.mailbox)
        mailbox.producer_pool = None
        mailbox = mailbox(connection)
        replies: dict[str, dict[str, Any]] = {command: {} for command in commands}
        tickets = {uuid(): command for command in commands}
        missing = {(command, name) for command in commands for name in expected}

        def on_reply(body: Any, message: Any) -> None:
            mailbox.clock.adjust(message.headers.get("clock") or 0)
            command = tickets.get(message.headers.get("ticket"))
            if command is None or not isinstance(body, Mapping):
                return
            for name, value in body.items():
                replies[command][str(name)] = value
                missing.discard((command, str(name)))
                self._cost.worker_replies += 1

        channel: Any = connection.channel()  # type: ignore[no-untyped-call]
        with closing(channel):
            queue = mailbox.reply_queue
            producer = _SingleAttemptProducer(channel, auto_declare=False)  # type: ignore[no-untyped-call]
            started = time.monotonic()
            for ticket, command in tickets.items():
                mailbox._publish(
                    command,
                    dict(commands[command]),
                    destination=list(target) if target is not None else None,
                    reply_ticket=ticket,
                    channel=channel,
                    timeout=timeout,
                    producer=producer,
                )
                self._cost.worker_requests += 1
            consumer: Any = Consumer
            try:
                with consumer(channel, [queue], accept=mailbox.accept, no_ack=True, callbacks=[on_reply]):
                    while True:
                        elapsed = time.monotonic() - started
                        patience = timeout if missing else (SILENT_TIMEOUT if has_silent else 0.0)
                        if elapsed >= patience:
                            break
                        try:
                            connection.drain_events(timeout=patience - elapsed)  # type: ignore[no-untyped-call]
                        except (TimeoutError, socket.timeout):  # noqa: UP041 - kombu transports raise either
                            break
            finally:
                channel.after_reply_message_received(queue.name)
        return replies

    def _parse_list(self, hostname: str, list_name: WorkerList, entries: Any, observed_at: float) -> list[HeldTask]:
        if not isinstance(entries, list):
            return []
        tasks = []
        for entry in entries:
            request = entry.get("request") if list_name == "scheduled" and isinstance(entry, Mapping) else entry
            if isinstance(request, Mapping) and (
                task := self._parse_request(hostname, list_name, request, observed_at)
            ):
                tasks.append(task)
        return tasks

    def _parse_request(
        self, hostname: str, list_name: WorkerList, request: Mapping[str, Any], observed_at: float
    ) -> HeldTask | None:
        uuid_ = to_identifier(request.get("id"))
        if not uuid_:
            return None
        delivery = request.get("delivery_info")
        name = convert_or_none(request.get("name"), str)
        args, kwargs = request.get("args"), request.get("kwargs")
        args_text = None if args is None else args if isinstance(args, str) else saferepr(tuple(args), _MAX_TEXT)
        kwargs_text = None if kwargs is None else kwargs if isinstance(kwargs, str) else saferepr(kwargs, _MAX_TEXT)
        return HeldTask(
            uuid=uuid_,
            hostname=hostname,
            list_name=list_name,
            observed_at=observed_at,
            name=name,
            args=self._mask_args(name, args_text),
            kwargs=None if kwargs_text is None else self._redactor.mask_text(kwargs_text),
            # With the default exchange, the routing key is the name of the queue.
            queue=convert_or_none(delivery.get("routing_key"), str)
            if isinstance(delivery, Mapping) and not delivery.get("exchange")
            else None,
            started=convert_or_none(request.get("time_start"), float) if list_name == "active" else None,
        )

    def _mask_args(self, name: str | None, args: str | None) -> str | None:
        return None if args is None else self._redactor.mask_positions(name, self._redactor.mask_text(args))


def _is_later(task: HeldTask, other: HeldTask) -> bool:
    return (task.started or 0.0) > (other.started or 0.0)


def _parse_profile(hostname: str, now: float, answers: Mapping[str, Any]) -> WorkerProfile:
    stats, queues, registered = answers["stats"], answers["active_queues"], answers["registered"]
    stats = stats if isinstance(stats, Mapping) else {}
    pool = stats.get("pool")
    implementation = convert_or_none(pool.get("implementation"), str) if isinstance(pool, Mapping) else None
    return WorkerProfile(
        hostname=hostname,
        answered_at=now,
        pid=convert_or_none(stats.get("pid"), int),
        pool=_pool_name(implementation),
        prefetch=convert_or_none(stats.get("prefetch_count"), int),
        queues=frozenset(str(queue["name"]) for queue in queues if isinstance(queue, Mapping) and "name" in queue)
        if isinstance(queues, list)
        else None,
        tasks=dict(parse_registered(str(line)) for line in registered) if isinstance(registered, list) else None,
    )


def _pool_name(implementation: str | None) -> str | None:
    """`celery.concurrency.prefork:TaskPool` → prefork."""
    if not implementation:
        return None
    name = implementation.partition(":")[0].rpartition(".")[2]
    return {"thread": "threads"}.get(name, name)


def parse_registered(line: str) -> tuple[str, TaskOptions]:
    """Name and options of a task type from a line of `registered`, such as `shop.mail [rate_limit=10/m
    acks_late=True]`. An attribute without a value is missing."""
    name, _, options = line.partition(" [")
    values = dict(option.split("=", 1) for option in options.rstrip("]").split(" ") if "=" in option)
    limit = values.get("rate_limit", "")
    try:
        time_limit = float(values["time_limit"]) if "time_limit" in values else None
    except ValueError:
        time_limit = None
    return name, TaskOptions(
        rate_limit=limit not in ("", "None", "0", "0.0"),
        acks_late=values.get("acks_late") == "True",
        time_limit=time_limit,
    )
