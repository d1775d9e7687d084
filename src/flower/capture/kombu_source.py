"""Source for all other transports that carry events, through kombu.

Slower than the direct sources, and without acknowledgement: kombu's emulations of it are not designed for thousands of
unacknowledged messages. Received messages are queued, spilled and decoded as with the other sources.
"""

import contextlib
import logging
import time
from typing import Any

import msgspec
from celery import Celery
from celery.events.event import get_exchange
from kombu.entity import Queue
from kombu.messaging import Consumer

from flower.capture.connection import open_connection
from flower.capture.decoder import ContentHeaders, Decoder
from flower.capture.decompression import BodyTooLarge
from flower.capture.interruption import Interruption
from flower.capture.settings import CaptureSettings
from flower.capture.source import ConnectionLost, PutData
from flower.durable_events import IN_STREAM, STREAM_HEADER
from flower.errors import BackendUnavailable
from flower.records import Event, Gap

log = logging.getLogger(__name__)

#: Seconds between polls of local transports, which are cheap to poll; kombu's default is 1 s.
_POLLING_INTERVALS = {"memory": 0.05, "filesystem": 0.2}
_HEARTBEAT_INTERVAL = 1.0
#: Seconds without messages after which a Redis server is probed; an answer is awaited for CONNECT_TIMEOUT.
_PROBE_INTERVAL = 5.0
_UNRESPONSIVE_AFTER = 3.0

_PackedMessage = tuple[bytes, str | None, str | None, str | None]


class KombuParser:
    """Unpacks what `KombuSourceConnection` has packed."""

    completed_tag: int | None = None

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._unpack = msgspec.msgpack.Decoder(_PackedMessage).decode

    @property
    def skips_stream_copies(self) -> bool:
        return self._decoder.skips_stream_copies

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        try:
            body, content_type, encoding, refused = self._unpack(data)
        except msgspec.MsgspecError as error:
            raise ConnectionLost(f"a queued message is damaged: {error}") from None
        if refused:
            return self._decoder.reject(refused, body)
        first = len(out)
        self._decoder.decode_message(body, ContentHeaders(content_type, encoding, None), received, out)
        if self.skips_stream_copies:
            self._decoder.add_plain_senders(out[first:])
        return None

    def ack(self, tag: int) -> bytes:
        raise AssertionError("this source does not acknowledge messages")


class KombuSourceConnection:
    """Implements `receiver.SourceConnection` on an open kombu connection."""

    def __init__(self, stack: contextlib.ExitStack, connection: Any, parser: KombuParser, gap: Gap | None) -> None:
        self.parser, self.gap = parser, gap
        self.is_closed_by_peer = False
        self._probing_since: float | None = None
        self.caught_up_at = time.time()
        self._complete_until: float | None = None
        self._stack, self._connection = stack, connection
        self._close_reason: str | None = None
        self._last_message, self._answered_at = time.monotonic(), time.time()
        self._put: PutData | None = None
        self._pack = msgspec.msgpack.Encoder().encode

    @property
    def is_unresponsive(self) -> bool:
        probing_since = self._probing_since
        return probing_since is not None and time.monotonic() - probing_since > _UNRESPONSIVE_AFTER

    @property
    def confirmed_at(self) -> float | None:
        return None

    @property
    def complete_until(self) -> float:
        return self.caught_up_at if self._complete_until is None else self._complete_until

    def on_message(self, message: Any) -> None:
        """Handle a message as kombu delivers it: decompressed, not decoded."""
        if not (self.parser.skips_stream_copies and (message.headers or {}).get(STREAM_HEADER) == IN_STREAM):
            self._enqueue(message, None)

    def on_decode_error(self, message: Any, error: Exception) -> None:
        # after `limit_kombu_decompression`
        self._enqueue(message, "too large" if isinstance(error, BodyTooLarge) else "compression")

    def run(self, put: PutData) -> str:
        self._put = put
        beat = probed = time.monotonic()
        try:
            while self._close_reason is None:
                started_at = time.time()
                try:
                    self._connection.drain_events(timeout=_HEARTBEAT_INTERVAL)
                except TimeoutError:
                    self.caught_up_at = started_at
                if time.monotonic() - beat >= _HEARTBEAT_INTERVAL:
                    beat = time.monotonic()
                    self._connection.heartbeat_check()
                if time.monotonic() - max(probed, self._last_message) > _PROBE_INTERVAL:
                    self._probe()
                    probed = time.monotonic()
        except Exception as error:  # noqa: BLE001  each transport has its own errors
            self.close(str(error) or type(error).__name__)
        finally:
            try:
                self._stack.close()
            except Exception:  # the connection is lost anyway
                log.debug("capture: error while closing", exc_info=True)
        return self._close_reason or "closed"

    def _probe(self) -> None:
        """Detect a Redis server (behind a Sentinel, for example) that disappeared. Other transports have heartbeats, or
        poll with time limits of their own."""
        client: Any = getattr(self._connection.default_channel, "client", None)
        if hasattr(client, "ping"):
            self._probing_since = time.monotonic()
            try:
                client.ping()
            except Exception:
                self._complete_until = self._answered_at
                raise
            self._probing_since, self._answered_at = None, time.time()

    def send(self, data: bytes) -> None:
        raise AssertionError("this source does not acknowledge messages")

    def close(self, reason: str, incomplete_since: float | None = None) -> None:
        if self._close_reason is None:
            self._close_reason, self._complete_until = reason, incomplete_since

    def _enqueue(self, message: Any, rejected: str | None) -> None:
        body = message.body
        raw = body.encode(errors="backslashreplace") if isinstance(body, str) else bytes(body or b"")
        packed = self._pack((raw, message.content_type, message.content_encoding, rejected))
        assert self._put is not None
        self._last_message, now = time.monotonic(), time.time()
        self._answered_at = now
        while self._close_reason is None and not self._put(packed, now, self.caught_up_at, 0.5):
            pass


class KombuSource:
    """Implements `receiver.EventSource`."""

    broker_retains_messages = False
    has_drain_process = False

    def __init__(self, app: Celery, settings: CaptureSettings, decoder: Decoder, reason: str) -> None:
        self._app, self._settings, self._decoder = app, settings, decoder
        self.description = f"kombu ({reason})"
        self.url: object = app.conf.broker_read_url
        self.queue = f"{app.conf.event_queue_prefix}.bellflower.{settings.queue_name}"

    def connect(self, interruption: Interruption | None) -> KombuSourceConnection:
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
            link = KombuSourceConnection(stack.pop_all(), connection, KombuParser(self._decoder), None)
            try:
                link._stack.enter_context(self._create_consumer(connection, link))
                link.gap = interruption.end() if interruption is not None else None
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
