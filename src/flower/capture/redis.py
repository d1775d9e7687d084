"""Redis source that reads directly from the socket.

Kombu creates the connection (so URL, TLS, password, prefixes and socket options have Celery's meaning); afterwards this
module owns the socket. Redis disconnects a subscriber that lags by 32 MiB, so the socket is drained at once.
"""

import base64
import binascii
import json
import socket
from typing import Any

import hiredis
import msgspec
from celery import Celery

from flower.capture.connection import open_connection
from flower.capture.decoder import MAX_OBJECTS, ContentHeaders, Decoder, is_json_object
from flower.capture.interruption import Interruption
from flower.capture.redis_subscription import KEEP_ALIVE, EventSubscriber
from flower.capture.socket_connection import SocketConnection
from flower.capture.source import ConnectionLost
from flower.durable_events import IN_STREAM
from flower.records import Event

#: hiredis moves its remaining data to the front of its buffer after each reply: feed it small pieces.
_FEED_SIZE = 16 * 1024


class _Headers(msgspec.Struct, gc=False):
    compression: str | None = None
    #: `durable_events.STREAM_HEADER`
    bellflower_stream: int = 0


class _Properties(msgspec.Struct, gc=False):
    body_encoding: str | None = None


class _Envelope(msgspec.Struct, gc=False, rename=lambda name: name.replace("content_", "content-")):
    """The envelope of kombu's virtual transports around a message. msgspec decodes the base64 of `body`."""

    body: bytes
    properties: _Properties
    headers: _Headers | None = None
    content_type: str | None = None
    content_encoding: str | None = None


class RedisParser:
    """Redis protocol → envelopes → events."""

    completed_tag: int | None = None

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._reader = hiredis.Reader()
        self._envelope = msgspec.json.Decoder(_Envelope).decode
        #: bodies of messages with one event each, not decoded yet
        self._objects: list[bytes] = []

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        reader, size = self._reader, len(data)
        try:
            for start in range(0, size, _FEED_SIZE):
                reader.feed(data, start, min(_FEED_SIZE, size - start))
                reply = reader.gets()
                while reply is not False:
                    if isinstance(reply, list) and len(reply) == 4 and reply[0] == b"pmessage":
                        self._on_message(reply[3], received, out)
                    else:
                        self._on_reply(reply)
                    reply = reader.gets()
        except hiredis.ProtocolError as error:
            raise ConnectionLost(f"invalid Redis protocol data received: {error}") from None
        finally:
            self._decode_objects(received, out)

    def ack(self, tag: int) -> bytes:
        raise AssertionError("Redis pub/sub has no acknowledgement")

    @staticmethod
    def _on_reply(reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise ConnectionLost(f"Redis error: {reply}")

    def _on_message(self, payload: Any, received: float, out: list[Event]) -> None:
        if not isinstance(payload, bytes):
            return self._decoder.reject("envelope", payload)
        try:
            envelope = self._envelope(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            envelope = None
        if envelope is None or envelope.properties.body_encoding != "base64":
            self._decode_objects(received, out)
            return self._decode_lenient(payload, received, out)
        if self._decoder.skips_stream_copies:
            header = envelope.headers.bellflower_stream if envelope.headers else 0
            if header == IN_STREAM:
                return None
            self._decode_objects(received, out)
            first = len(out)
            self._decode(envelope, received, out)
            self._decode_objects(received, out)
            if not header:
                self._decoder.add_plain_senders(out[first:])
        else:
            self._decode(envelope, received, out)
        return None

    def _decode(self, envelope: _Envelope, received: float, out: list[Event]) -> None:
        compression, body = envelope.headers.compression if envelope.headers else None, envelope.body
        if compression is not None or envelope.content_type != "application/json":
            self._decode_objects(received, out)
            content_headers = ContentHeaders(envelope.content_type, envelope.content_encoding, compression)
            self._decoder.decode_message(body, content_headers, received, out)
        elif is_json_object(body):
            self._objects.append(body)
            if len(self._objects) == MAX_OBJECTS:
                self._decode_objects(received, out)
        else:
            self._decode_objects(received, out)
            self._decoder.decode_json(body, received, out)

    def _decode_objects(self, received: float, out: list[Event]) -> None:
        """Decode the collected messages. Called before any other message, so that the order remains."""
        if self._objects:
            objects, self._objects = self._objects, []
            self._decoder.decode_objects(objects, received, out)

    def _decode_lenient(self, payload: bytes, received: float, out: list[Event]) -> None:
        """Decode an envelope that differs from kombu's format, as far as possible."""
        try:
            envelope = json.loads(payload)
            body, properties = envelope["body"], envelope.get("properties") or {}
            raw = body.encode(errors="backslashreplace")
            if str(properties.get("body_encoding", "")).lower() == "base64":
                raw = base64.b64decode(raw)
            headers = envelope.get("headers") or {}
            content_headers = ContentHeaders(
                envelope.get("content-type"), envelope.get("content-encoding"), headers.get("compression")
            )
            if not all(part is None or isinstance(part, str) for part in content_headers):
                raise TypeError("content type, encoding and compression are text")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
            return self._decoder.reject("envelope", payload)
        return self._decoder.decode_message(raw, content_headers, received, out)


class RedisSource:
    """Implements `receiver.EventSource`."""

    description = "Redis, direct socket"
    broker_retains_messages = False
    has_drain_process = True

    def __init__(self, app: Celery, decoder: Decoder) -> None:
        self._app, self._decoder = app, decoder
        self._connection = app.connection_for_read()
        self.url: object = app.conf.broker_read_url
        self._subscriber = EventSubscriber()

    def connect(self, interruption: Interruption | None) -> SocketConnection:
        redis, pattern = open_redis(self._app, self._connection)
        try:
            gap = self._subscriber.subscribe(redis._sock, pattern, interruption)
        except BaseException:
            redis.disconnect()
            raise
        return SocketConnection(take_socket(redis), RedisParser(self._decoder), gap, KEEP_ALIVE)

    def clean_up(self) -> None:
        """Nothing to do: Redis keeps no state of a subscriber."""


def open_redis(app: Celery, prototype: Any) -> tuple[Any, bytes]:
    """An authenticated connection of redis-py that is not shared, with the settings of the `kombu.Connection`
    `prototype`, and the pattern that matches Celery's events."""
    with open_connection(prototype) as kombu:
        channel = kombu.default_channel
        # Workers publish to <prefix><exchange>/<routing key>, or without the key if patterns are off.
        topic = channel._get_publish_topic(app.conf.event_exchange, "*")
        redis = channel.pool.make_connection()
        redis.connect()
        return redis, f"{channel.global_keyprefix}{topic}".encode()


def take_socket(redis: Any) -> socket.socket:
    """The socket of a connection of redis-py, which does not close it anymore."""
    sock: socket.socket = redis._sock
    redis._sock = None
    return sock
