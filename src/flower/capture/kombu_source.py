"""Source for all other transports that carry events, through kombu.

Slower than the direct sources, and without acknowledgement: kombu's emulations of it are not designed for thousands of
unacknowledged messages. Received messages are queued, spilled and decoded as with the other sources.
"""

import contextlib
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import msgspec
from celery import Celery
from celery.events.event import get_exchange
from kombu.entity import Queue
from kombu.messaging import Consumer

from flower.capture.connection import open_connection
from flower.capture.decoder import ContentHeaders, Decoder
from flower.capture.receiver import ConnectionLost
from flower.capture.settings import CaptureSettings
from flower.errors import BackendUnavailable
from flower.records import Event, Gap

log = logging.getLogger(__name__)

#: Seconds between polls of local transports, which are cheap to poll; kombu's default is 1 s.
_POLLING_INTERVALS = {"memory": 0.05, "filesystem": 0.2}
_HEARTBEAT_INTERVAL = 1.0

_PackedMessage = tuple[bytes, str | None, str | None, str | None]


class KombuParser:
    """Unpacks what `KombuSourceConnection` has packed."""

    completed_tag: int | None = None

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._unpack = msgspec.msgpack.Decoder(_PackedMessage).decode

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        try:
            body, content_type, encoding, refused = self._unpack(data)
        except msgspec.MsgspecError as error:
            raise ConnectionLost(f"a queued message is damaged: {error}") from None
        if refused:
            return self._decoder.reject(refused, body)
        return self._decoder.decode_message(body, ContentHeaders(content_type, encoding, None), received, out)

    def ack(self, tag: int) -> bytes:
        raise AssertionError("this source does not acknowledge messages")


class KombuSourceConnection:
    """Implements `receiver.SourceConnection` on an open kombu connection."""

    def __init__(self, stack: contextlib.ExitStack, connection: Any, parser: KombuParser, gap: Gap | None) -> None:
        self.parser, self.gap = parser, gap
        self.incomplete_since: float | None = None
        self._stack, self._connection = stack, connection
        self._close_reason: str | None = None
        self._put: Callable[[bytes, float], bool] = lambda data, timeout: True
        self._pack = msgspec.msgpack.Encoder().encode

    def on_message(self, message: Any) -> None:
        """Handle a message as kombu delivers it: decompressed, not decoded."""
        self._enqueue(message, None)

    def on_decode_error(self, message: Any, error: Exception) -> None:
        self._enqueue(message, "compression")

    def run(self, put: Callable[[bytes, float], bool]) -> str:
        self._put = put
        beat = time.monotonic()
        try:
            while self._close_reason is None:
                with contextlib.suppress(TimeoutError, socket.timeout):
                    self._connection.drain_events(timeout=_HEARTBEAT_INTERVAL)
                if time.monotonic() - beat >= _HEARTBEAT_INTERVAL:
                    beat = time.monotonic()
                    self._connection.heartbeat_check()
        except Exception as error:  # noqa: BLE001  each transport has its own errors
            self.close(str(error) or type(error).__name__)
        finally:
            try:
                self._stack.close()
            except Exception:  # the connection is lost anyway
                log.debug("capture: error while closing", exc_info=True)
        return self._close_reason or "closed"

    def send(self, data: bytes) -> None:
        raise AssertionError("this source does not acknowledge messages")

    def close(self, reason: str, incomplete_since: float | None = None) -> None:
        if self._close_reason is None:
            self._close_reason, self.incomplete_since = reason, incomplete_since

    def _enqueue(self, message: Any, rejected: str | None) -> None:
        body = message.body
        raw = body.encode(errors="backslashreplace") if isinstance(body, str) else bytes(body or b"")
        packed = self._pack((raw, message.content_type, message.content_encoding, rejected))
        while self._close_reason is None and not self._put(packed, 0.5):
            pass


class KombuSource:
    """Implements `receiver.EventSource`."""

    broker_retains_messages = False

    def __init__(self, app: Celery, settings: CaptureSettings, decoder: Decoder, reason: str) -> None:
        self._app, self._settings, self._decoder = app, settings, decoder
        self.description = f"kombu ({reason})"
        self.url: object = app.conf.broker_read_url
        self.queue = f"{app.conf.event_queue_prefix}.bellflower.{settings.queue_name}"

    def connect(self, missing_since: float | None) -> KombuSourceConnection:
        prototype = self._app.connection_for_read()
        driver = prototype.transport.driver_type
        if "fanout" not in prototype.transport.implements.exchange_type:
            raise BackendUnavailable(
                f"Celery workers send no events over the transport '{driver}'",
                hint="recording requires a broker with broadcast support, such as RabbitMQ or Redis",
            )
        if driver in _POLLING_INTERVALS:
            prototype.transport_options = {
                "polling_interval": _POLLING_INTERVALS[driver],
                **prototype.transport_options,
            }
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(open_connection(prototype))
            gap = None
            if missing_since is not None:
                gap = Gap(missing_since, time.time(), "not connected to the broker")
            link = KombuSourceConnection(stack.pop_all(), connection, KombuParser(self._decoder), gap)
            try:
                link._stack.enter_context(self._create_consumer(connection, link))
            except BaseException:
                link._stack.close()
                raise
            return link

    def clean_up(self) -> None:
        """Nothing to do: the transport deletes the queue with its last consumer."""

    def _create_consumer(self, connection: Any, source_connection: KombuSourceConnection) -> Any:
        queue = Queue(  # type: ignore[no-untyped-call]
            self.queue,
            exchange=get_exchange(connection, name=self._app.conf.event_exchange),
            routing_key="#",
            auto_delete=True,
            durable=False,
            expires=self._settings.queue_expires,
        )
        return Consumer(  # type: ignore[no-untyped-call]
            connection.default_channel,
            queues=[queue],
            on_message=source_connection.on_message,
            on_decode_error=source_connection.on_decode_error,
            no_ack=True,
            auto_declare=True,
        )
