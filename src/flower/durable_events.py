"""Durable events on Redis: workers and clients also append their events to a capped Redis stream of the broker.

Events of Celery are published with PUBLISH, which Redis does not retain: what is sent while no recorder is connected is
lost. With one line in the Celery application they are in a stream as well, which the recorder reads as a consumer group
(`flower.capture.redis_stream`):

    app.events_cls = "flower.durable_events:DurableEvents"

This module is imported by workers and clients: it imports only what a Celery program has already loaded. On brokers
other than Redis it does nothing. If the stream cannot be written, events are buffered and published as before.
"""

import json
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from kombu.serialization import dumps

__all__ = ("DurableEventDispatcher", "DurableEvents")

log = logging.getLogger(__name__)

#: Header of messages that this module publishes: their events are in the stream, or in the buffer and are appended
#: later.
STREAM_HEADER: Final = "bellflower_stream"
IN_STREAM, IN_BUFFER = 1, 2
#: Fields of a stream entry. Content type and encoding are left out for JSON in UTF-8.
BODY_FIELD, TYPE_FIELD, ENCODING_FIELD, LOSS_FIELD = b"e", b"t", b"c", b"d"
#: The Celery setting that limits the stream, and its default: number of events.
MAX_LENGTH_SETTING: Final = "event_stream_max_length"
DEFAULT_MAX_LENGTH: Final = 1_000_000

#: Seconds for connecting and for each reply.
REPLY_TIMEOUT = 1.0
#: Events in memory while the stream cannot be written; beyond that the oldest are dropped.
_MAX_BUFFERED = 10_000
#: Buffered events that are appended with one event, so that no call takes long.
_MAX_APPENDED = 500
_MIN_RETRY_DELAY, _MAX_RETRY_DELAY = 1.0, 30.0


def stream_key(exchange: str, prefix: str = "") -> str:
    """The key of the stream. `exchange` is the setting `event_exchange`, `prefix` the global key prefix."""
    return f"{prefix}{exchange}.stream"


class _Entry(NamedTuple):
    hostname: str
    time: float
    fields: tuple[bytes, ...]


class _Lost(NamedTuple):
    """Events that were dropped because the buffer was full."""

    hostname: str
    start: float
    end: float
    event_count: int


class EventStream:
    """The stream of one broker: one connection and one buffer, shared by the dispatchers of a process.

    Safe for threads, greenlets and forks. The order of events is kept."""

    def __init__(self, exchange: str, max_length: int) -> None:
        self._exchange, self._max_length = exchange, max_length
        self._buffer: deque[_Entry] = deque()
        self._reset()
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _reset(reference()))

    def _reset(self) -> None:
        """Start with an empty buffer and no connection: those of the parent process after a fork are the parent's."""
        self._lock = threading.Lock()
        self._buffer.clear()
        self._connection: Any = None
        self._command = b""
        self._lost: _Lost | None = None
        self._retry_at = self._retry_delay = 0.0

    def publish(self, channel: Any, entries: Sequence[_Entry], publish: Callable[[bool], Any]) -> Any:
        """Append `entries` and return what `publish(is_in_stream)` returns; Redis processes both at the same time.
        `publish` is called a second time, with False, if the entries were not accepted after all."""
        with self._lock:
            self._add_to_buffer(entries)
            sent = self._send(channel)
            is_in_stream = sent > 0 and sent == len(self._buffer)
            is_accepted = False
            try:
                result = publish(is_in_stream)
            finally:
                if sent:
                    is_accepted = self._receive(channel, sent)
            if is_in_stream and not is_accepted:
                publish(False)
            return result

    def _add_to_buffer(self, entries: Sequence[_Entry]) -> None:
        self._buffer.extend(entries)
        while len(self._buffer) > _MAX_BUFFERED:
            oldest, lost = self._buffer.popleft(), self._lost
            start, count = (lost.start, lost.event_count) if lost else (oldest.time, 0)
            self._lost = _Lost(oldest.hostname, start, oldest.time, count + 1)

    def _send(self, channel: Any) -> int:
        """Send the oldest buffered entries without waiting for the replies. Returns their number, 0 on failure."""
        if time.monotonic() < self._retry_at:
            return 0
        try:
            if self._connection is None:
                self._connect(channel)
            count = min(len(self._buffer), _MAX_APPENDED)
            self._send_entries(count)
        except _connection_errors() as error:
            if not self._retry_delay and self._connection is not None:
                return self._send_again(channel)
            self._fail(error)
            return 0
        except BaseException:  # a timeout of a greenlet, or a signal that ends the task
            self._disconnect()
            raise
        return count

    def _send_again(self, channel: Any) -> int:
        """Send on a new connection: Redis closes idle connections, which is noticed when they are used."""
        self._disconnect()
        self._retry_delay = _MIN_RETRY_DELAY / 2
        return self._send(channel)

    def _receive(self, channel: Any, count: int) -> bool:
        """Read the replies. Returns whether all entries were accepted; others stay in the buffer."""
        try:
            error = self._read_replies(count)
        except _connection_errors() as lost:
            if self._retry_delay or isinstance(lost, TimeoutError) or "Timeout" in type(lost).__name__:
                self._fail(lost)
                return False
            return bool(again := self._send_again(channel)) and self._receive(channel, again)
        except BaseException:
            self._disconnect()
            raise
        if error is not None:
            self._fail(error)
            return False
        if self._retry_delay >= _MIN_RETRY_DELAY:
            log.info("durable events: appending to %s again", stream_key(self._exchange))
        self._retry_delay = 0.0
        return True

    def _send_entries(self, count: int) -> None:
        command = bytearray()
        if self._lost is not None:
            command += self._pack((LOSS_FIELD, json.dumps(self._lost._asdict()).encode()))
        for index in range(count):
            command += self._pack(self._buffer[index].fields)
        self._connection.send_packed_command([bytes(command)], check_health=False)

    def _pack(self, fields: Sequence[bytes]) -> bytes:
        parts = b"".join(b"$%d\r\n%b\r\n" % (len(field), field) for field in fields)
        return b"*%d\r\n%b%b" % (6 + len(fields), self._command, parts)

    def _read_replies(self, count: int) -> Exception | None:
        """Remove accepted entries from the buffer. Returns the first refusal."""
        from redis.exceptions import ResponseError  # noqa: PLC0415

        refusal: Exception | None = None
        for index in range(count + (self._lost is not None)):
            try:
                self._connection.read_response()
            except ResponseError as error:  # for instance: out of memory, no permission, read-only replica
                refusal = refusal or error
            else:
                # After a refusal accepted entries stay too: a duplicate is harmless, a wrong order is not.
                if refusal is None:
                    if index == 0 and self._lost is not None:
                        self._lost = None
                    else:
                        self._buffer.popleft()
        return refusal

    def _connect(self, channel: Any) -> None:
        pool = channel.pool
        options = {**pool.connection_kwargs, "socket_timeout": REPLY_TIMEOUT, "health_check_interval": 0}
        if "path" not in options:
            options["socket_connect_timeout"] = REPLY_TIMEOUT
        connection = pool.connection_class(**options)
        connection.connect()
        key = stream_key(self._exchange, getattr(channel, "global_keyprefix", "")).encode()
        length = str(max(1, self._max_length)).encode()
        parts = (b"XADD", key, b"MAXLEN", b"~", length, b"*")
        self._command = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        #: the pool is kept because the connections of a Sentinel pool refer to it weakly
        self._pool, self._connection = pool, connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _fail(self, error: Exception) -> None:
        self._disconnect()
        if self._retry_delay < _MIN_RETRY_DELAY:
            log.warning(
                "durable events: cannot append to the Redis stream %s: %s. Events are published as before; up to %d "
                "are buffered and appended later",
                stream_key(self._exchange),
                error,
                _MAX_BUFFERED,
            )
        self._retry_delay = min(max(self._retry_delay * 2, _MIN_RETRY_DELAY), _MAX_RETRY_DELAY)
        self._retry_at = time.monotonic() + self._retry_delay


def _reset(stream: EventStream | None) -> None:
    if stream is not None:
        stream._reset()


def _connection_errors() -> tuple[type[Exception], ...]:
    """What redis-py raises. Other exceptions, such as Celery's SoftTimeLimitExceeded, are not for this module."""
    from redis.exceptions import RedisError  # noqa: PLC0415

    return (RedisError, OSError)


class DurableEvents(Events):  # type: ignore[misc]
    """`app.events` whose dispatcher also appends to the stream."""

    dispatcher_cls = "flower.durable_events:DurableEventDispatcher"

    def __init__(self, app: Any = None) -> None:
        super().__init__(app)
        self._streams: dict[Any, EventStream] = {}

    def stream_of(self, connection: Any) -> EventStream | None:
        """The stream of a `kombu.Connection`; None if its broker is not Redis."""
        if connection.transport.driver_type != "redis":
            return None
        key = tuple(connection.alt or ()) or (connection.hostname, connection.port, connection.virtual_host)
        stream = self._streams.get(key)
        if stream is None:
            conf = self.app.conf
            length = conf.get(MAX_LENGTH_SETTING)
            new = EventStream(conf.event_exchange, DEFAULT_MAX_LENGTH if length is None else int(length))
            stream = self._streams.setdefault(key, new)
        return stream


class _SerializedProducer:
    """A producer that publishes a body which is serialized already, with additional headers."""

    def __init__(self, producer: Any, options: dict[str, Any]) -> None:
        self._producer, self._options = producer, options

    def publish(self, body: Any, **options: Any) -> Any:
        options.update(self._options)
        return self._producer.publish(options.pop("body", body), **options)


class DurableEventDispatcher(EventDispatcher):  # type: ignore[misc]
    """Celery's dispatcher; each event is appended to the stream in the same call."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._resending = threading.local()
        super().__init__(*args, **kwargs)

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Publish what is buffered. Events that failed before are in the stream already, or in its buffer."""
        if errors:
            self._resending.active = True
            try:
                super().flush(errors=True, groups=False)
            finally:
                self._resending.active = False
        if groups:
            super().flush(errors=False, groups=True)

    def _publish(self, event: Any, producer: Any, routing_key: str, **options: Any) -> Any:
        publish = super()._publish
        stream, channel = None, None
        if producer is not None and event:
            try:
                channel = producer.channel
                stream = self.app.events.stream_of(channel.connection.client)
                entries, body = self._serialize(event)
            except Exception:  # the broker is unreachable, or a value cannot be serialized: handled by Celery
                log.debug("durable events: not appended", exc_info=True)
                stream = None
        if stream is None:
            return publish(event, producer, routing_key, **options)

        def publish_serialized(is_in_stream: bool) -> Any:
            headers = {**self.headers, STREAM_HEADER: IN_STREAM if is_in_stream else IN_BUFFER}
            return publish(event, _SerializedProducer(producer, {**body, "headers": headers}), routing_key, **options)

        if getattr(self._resending, "active", False):
            return publish_serialized(False)

        return stream.publish(channel, entries, publish_serialized)

    def _serialize(self, event: Any) -> tuple[list[_Entry], dict[str, Any]]:
        """The stream entries of an event or a list of events, and the options of `Producer.publish` for its body."""
        now, events = time.time(), event if isinstance(event, list) else [event]
        serialized = [dumps(each, serializer=self.serializer) for each in events]  # type: ignore[no-untyped-call]
        entries = []
        for content_type, encoding, payload in serialized:
            body = payload.encode() if isinstance(payload, str) else bytes(payload)
            fields: tuple[bytes, ...] = (BODY_FIELD, body)
            if content_type != "application/json" or encoding != "utf-8":
                fields += (TYPE_FIELD, content_type.encode(), ENCODING_FIELD, encoding.encode())
            entries.append(_Entry(self.hostname, now, fields))
        content_type, encoding, payload = serialized[0]
        options = {"serializer": None, "content_type": content_type, "content_encoding": encoding}
        if event is events:
            if content_type != "application/json":
                return entries, {}  # Celery serializes the list
            payload = "[" + ",".join(text for _, _, text in serialized) + "]"
        return entries, {**options, "body": payload}
