"""Source: broker. Redis shows the ids of waiting and unacknowledged messages; RabbitMQ and other brokers show only the
number of ready messages.

Reading is bounded. An incomplete reading proves that a task is there, and never that it is not.
"""

import time
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec
from celery import Celery
from kombu.connection import Connection
from kombu.transport.virtual import Channel as VirtualChannel

from flower.capture.coerce import to_identifier
from flower.reconcile.cost import ReconcileCost
from flower.reconcile.findings import BrokerAnswer, QueuedMessage, QueueReading
from flower.reconcile.rate_limit import TokenBucket
from flower.redaction import Redactor
from flower.untrusted_values import convert_or_none

#: Messages that are read at most from one queue, and from the hash of unacknowledged messages.
MAX_MESSAGES: Final = 50_000
#: Messages that are read completely at most, likewise.
MAX_FULL_MESSAGES: Final = 10_000
#: Keys by SCAN request, and the number of these requests at most, when queues are looked up.
SCAN_COUNT: Final = 1_000
MAX_SCANS: Final = 200
#: Keys per second that are visited.
SCAN_RATE: Final = 100_000.0
#: Messages by request. A message is about 1 kB.
PAGE_SIZE: Final = 500
#: Messages per second, on average, and at once.
READ_RATE: Final = 10_000.0
READ_BURST: Final = 50_000.0

#: Queues in which RabbitMQ delays messages with an ETA (`broker_native_delayed_delivery_queue_type`).
_DELAY_LEVELS: Final = 28


class _Headers(msgspec.Struct):
    #: a text; an object for a UUID
    id: Any = None


class _Message(msgspec.Struct):
    headers: _Headers


class _FullMessage(msgspec.Struct):
    headers: dict[str, Any]


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_unacknowledged = msgspec.json.Decoder(tuple[_Message, Any, Any]).decode
_decode_full_message = msgspec.json.Decoder(_FullMessage).decode
_decode_full_unacknowledged = msgspec.json.Decoder(tuple[_FullMessage, Any, Any]).decode


class BrokerSource:
    """Reads the queues of one application over a connection that is passed in."""

    def __init__(self, app: Celery, cost: ReconcileCost, redactor: Redactor | None = None) -> None:
        self._app, self._cost = app, cost
        self._redactor = redactor or Redactor()
        self._bucket = TokenBucket(READ_RATE, READ_BURST)
        self._scan_bucket = TokenBucket(SCAN_RATE, SCAN_RATE)

    def read(self, connection: Connection, queues: Collection[str], *, read_ids: bool) -> BrokerAnswer:
        """What these queues contain. Without `read_ids`, only numbers are read. Raises what the transport raises."""
        driver = str(connection.transport.driver_type)
        if driver == "redis":
            return self._read_redis(connection, queues, read_ids)
        if driver == "amqp":
            return self._read_amqp(connection, queues)
        return self._read_counts(connection, queues)

    def find_queues(self, connection: Connection) -> set[str]:
        """The task queues that clients or workers have declared on Redis, from a bounded scan of kombu's bindings;
        nothing on other brokers. Raises what the transport raises."""
        if str(connection.transport.driver_type) != "redis":
            return set()
        channel: Any = connection.default_channel
        prefix, separator = channel.global_keyprefix, channel.sep
        pattern = f"{prefix}{channel.keyprefix_queue % '*'}"
        names: set[str] = set()
        cursor = 0
        with channel.conn_or_acquire() as client:
            for _ in range(MAX_SCANS):
                cursor, keys = client.scan(cursor, match=pattern, count=SCAN_COUNT)
                self._cost.broker_requests += 1
                for key in keys:
                    members = client.smembers(_to_text(key).removeprefix(prefix))
                    self._cost.broker_requests += 1
                    names.update(_to_text(member).rpartition(separator)[2] for member in members)
                if not int(cursor):
                    break
                time.sleep(self._scan_bucket.take(SCAN_COUNT))
        return {name for name in names if name and not name.endswith(".pidbox") and not name.startswith("celeryev")}

    def read_messages(self, connection: Connection, queues: Collection[str]) -> list[QueuedMessage]:
        """The messages of these queues and all unacknowledged ones, at most MAX_FULL_MESSAGES of each; nothing if the
        broker does not show them. Raises what the transport raises."""
        if str(connection.transport.driver_type) != "redis":
            return []
        channel: Any = connection.default_channel
        prefix = channel.global_keyprefix
        messages: list[QueuedMessage] = []
        observed_at = time.time()
        with channel.conn_or_acquire() as client:
            for queue in sorted(queues):
                for step in channel.priority_steps:
                    key = f"{prefix}{queue}{channel.sep}{step}" if step else f"{prefix}{queue}"
                    for start in range(0, MAX_FULL_MESSAGES, PAGE_SIZE):
                        page = client.lrange(key, start, start + PAGE_SIZE - 1)
                        self._cost.broker_requests += 1
                        messages += self._parse_messages(page, queue, observed_at)
                        if len(page) < PAGE_SIZE:
                            break
                        self._pause(len(page))
            cursor = 0
            for _ in range(MAX_FULL_MESSAGES // PAGE_SIZE):
                cursor, entries = client.hscan(f"{prefix}{channel.unacked_key}", cursor, count=PAGE_SIZE)
                self._cost.broker_requests += 1
                messages += self._parse_messages(entries.values(), None, observed_at)
                if not int(cursor):
                    break
                self._pause(len(entries))
        return messages

    def _parse_messages(self, contents: Iterable[bytes], queue: str | None, observed_at: float) -> list[QueuedMessage]:
        """The messages of a queue, or, without a queue, entries of the unacknowledged ones. Foreign ones are left
        out."""
        messages = []
        for content in contents:
            try:
                if queue is None:
                    message, exchange, routing_key = _decode_full_unacknowledged(content)
                    # With the default exchange, the routing key is the name of the queue.
                    origin = convert_or_none(routing_key, str) if not exchange else None
                else:
                    message, origin = _decode_full_message(content), queue
            except (msgspec.MsgspecError, ValueError):
                continue
            parsed = self._parse_headers(message.headers, origin, observed_at, is_waiting=queue is not None)
            if parsed is not None:
                messages.append(parsed)
        return messages

    def _parse_headers(
        self, headers: dict[str, Any], queue: str | None, observed_at: float, *, is_waiting: bool
    ) -> QueuedMessage | None:
        def text(name: str) -> str | None:
            return convert_or_none(headers.get(name), str)

        uuid = to_identifier(headers.get("id"))
        name, args, kwargs = text("task"), text("argsrepr"), text("kwargsrepr")
        if not uuid or not name:
            return None
        mask = self._redactor.mask_text
        return QueuedMessage(
            uuid=uuid,
            is_waiting=is_waiting,
            observed_at=observed_at,
            queue=queue,
            name=name,
            args=None if args is None else self._redactor.mask_positions(name, mask(args)),
            kwargs=None if kwargs is None else mask(kwargs),
            retries=convert_or_none(headers.get("retries"), int),
            eta=text("eta"),
            expires=text("expires"),
            root_id=to_identifier(headers.get("root_id")),
            parent_id=to_identifier(headers.get("parent_id")),
        )

    # --- Redis: a list per queue and priority; kombu pushes left and pops right

    def _read_redis(self, connection: Connection, queues: Collection[str], read_ids: bool) -> BrokerAnswer:
        observed_at = time.time()
        channel: Any = connection.default_channel
        prefix = channel.global_keyprefix
        readings: dict[str, QueueReading] = {}
        seen_waiting: set[str] = set()
        seen_unacknowledged: set[str] = set()
        unacknowledged_complete = False
        with channel.conn_or_acquire() as client:
            for queue in sorted(queues):
                keys = [f"{queue}{channel.sep}{step}" if step else queue for step in channel.priority_steps]
                # kombu's client adds the prefix to LLEN, but not to LRANGE and HSCAN
                lengths = [int(client.llen(key)) for key in keys]
                self._cost.broker_requests += len(keys)
                ready = sum(lengths)
                if not read_ids and ready:
                    readings[queue] = QueueReading(ready=ready)
                    continue
                ids: set[str] = set()
                complete = True
                for key, length in zip(keys, lengths, strict=True):
                    if length:
                        complete &= self._read_list(client, f"{prefix}{key}", ids)
                seen_waiting |= ids
                readings[queue] = QueueReading(ready=ready, waiting=frozenset(ids) if complete else None)
            if read_ids:
                # After the queues: a message moves from its queue to the unacknowledged ones.
                unacknowledged_complete = self._read_unacknowledged(
                    client, f"{prefix}{channel.unacked_key}", seen_unacknowledged
                )
        unacknowledged = frozenset(seen_unacknowledged)
        return BrokerAnswer(
            observed_at,
            readings,
            unacknowledged=unacknowledged if unacknowledged_complete else None,
            seen_waiting=frozenset(seen_waiting),
            seen_unacknowledged=unacknowledged,
            shows_ids=True,
        )

    def _read_list(self, client: Any, key: str, ids: set[str]) -> bool:
        """Add the ids in a list, from the newest message to the oldest: new messages then shift others to where they
        are read again, and none is skipped. Return whether all messages were read and understood."""
        complete = True
        for start in range(0, MAX_MESSAGES, PAGE_SIZE):
            page = client.lrange(key, start, start + PAGE_SIZE - 1)
            self._cost.broker_requests += 1
            complete &= _add_ids(page, _decode_waiting_id, ids)
            if len(page) < PAGE_SIZE:
                return complete
            self._pause(len(page))
        return False

    def _read_unacknowledged(self, client: Any, key: str, ids: set[str]) -> bool:
        complete = True
        cursor, count = 0, 0
        while True:
            cursor, page = client.hscan(key, cursor, count=PAGE_SIZE)
            self._cost.broker_requests += 1
            complete &= _add_ids(page.values(), _decode_unacknowledged_id, ids)
            count += len(page)
            if not int(cursor):
                return complete
            if count >= MAX_MESSAGES:
                return False
            self._pause(len(page))

    def _pause(self, messages: int) -> None:
        if (delay := self._bucket.take(messages)) > 0:
            time.sleep(delay)

    # --- RabbitMQ: a passive declare returns the number of ready messages and consumers

    def _read_amqp(self, connection: Connection, queues: Collection[str]) -> BrokerAnswer:
        observed_at = time.time()
        readings = {queue: self._declare(connection, queue) for queue in sorted(queues)}
        return BrokerAnswer(
            observed_at,
            readings,
            drops_expired=True,
            has_delayed_messages=self._has_delayed_messages(connection),
        )

    def _declare(self, connection: Connection, queue: str) -> QueueReading:
        """The numbers are unknown if access is refused, and 0 if there is no such queue."""
        from amqp.exceptions import AccessRefused, NotFound, ResourceLocked  # noqa: PLC0415

        channel: Any = connection.channel()  # type: ignore[no-untyped-call]
        self._cost.broker_requests += 1
        try:
            declared = channel.queue_declare(queue, passive=True)
        except NotFound:  # closes the channel
            return QueueReading(ready=0, consumers=0, exists=False)
        except (AccessRefused, ResourceLocked):
            return QueueReading()
        channel.close()
        return QueueReading(ready=int(declared.message_count), consumers=int(declared.consumer_count))

    def _has_delayed_messages(self, connection: Connection) -> bool:
        """Whether messages are in the queues for native delayed delivery, which exist only if it is used."""
        if not self._declare(connection, f"celery_delayed_{_DELAY_LEVELS - 1}").exists:
            return False
        return any(self._declare(connection, f"celery_delayed_{level}").ready for level in range(_DELAY_LEVELS))

    # --- brokers on which kombu emulates queues

    def _read_counts(self, connection: Connection, queues: Collection[str]) -> BrokerAnswer:
        observed_at = time.time()
        channel: Any = connection.default_channel
        size = getattr(type(channel), "_size", None)
        if size in (None, VirtualChannel._size) or connection.transport.driver_type == "memory":
            return BrokerAnswer(observed_at)
        self._cost.broker_requests += len(queues)
        return BrokerAnswer(
            observed_at, {queue: QueueReading(ready=int(channel._size(queue))) for queue in sorted(queues)}
        )


def _to_text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _decode_waiting_id(content: bytes) -> str | None:
    return to_identifier(_decode_message(content).headers.id)


def _decode_unacknowledged_id(content: bytes) -> str | None:
    return to_identifier(_decode_unacknowledged(content)[0].headers.id)


def _add_ids(contents: Iterable[bytes], decode: Any, ids: set[str]) -> bool:
    """Add the task ids of messages. Return whether each could be read; another program may use the queue."""
    complete = True
    for content in contents:
        try:
            task_id = decode(content)
        except (msgspec.MsgspecError, ValueError):
            complete = False
            continue
        if task_id is None:
            complete = False
        else:
            ids.add(task_id)
    return complete
