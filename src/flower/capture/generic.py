"""Every other transport that carries events, through kombu.

Slower than the direct ways, and without acknowledgement: kombu's emulations of it are not made to hold many
thousand messages. What arrives is queued, spilled and decoded like everything else.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from celery import Celery
from celery.events.event import get_exchange
from kombu.entity import Queue
from kombu.messaging import Consumer

from flower.capture.connecting import connected
from flower.capture.decode import Content, Decoder
from flower.capture.settings import CaptureSettings
from flower.capture.stream import Lost
from flower.errors import Unavailable
from flower.records import Event, Gap

log = logging.getLogger(__name__)

#: Transports that cost nothing to ask look more often than kombu's once a second.
_POLLING = {"memory": 0.05, "filesystem": 0.2}
_TICK = 1.0

_Packed = tuple[bytes, str | None, str | None, str | None]


class PackedParser:
    """Undoes the packing of `KombuLink`."""

    tag: int | None = None

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._unpack = msgspec.msgpack.Decoder(_Packed).decode

    def feed(self, data: bytes, received: float, out: list[Event]) -> None:
        try:
            body, content_type, encoding, refused = self._unpack(data)
        except msgspec.MsgspecError as error:
            raise Lost(f"a queued message is damaged: {error}") from None
        if refused:
            return self._decoder.refuse(refused, body)
        return self._decoder.message(body, Content(content_type, encoding, None), received, out)

    def ack(self, tag: int) -> bytes:
        raise AssertionError("messages are not acknowledged on this way")


class KombuLink:
    """Implements `stream.Link` on an open kombu connection."""

    def __init__(self, stack: contextlib.ExitStack, connection: Any, parser: PackedParser, gap: Gap | None) -> None:
        self.parser, self.gap = parser, gap
        self.incomplete_since: float | None = None
        self._stack, self._connection = stack, connection
        self._reason: str | None = None
        self._ended = threading.Event()
        self._put: Callable[[bytes, float], bool] = lambda data, timeout: True
        self._pack = msgspec.msgpack.Encoder().encode

    def received(self, message: Any) -> None:
        """A message as kombu hands it out: decompressed, not decoded."""
        self._keep(message, None)

    def refused(self, message: Any, error: Exception) -> None:
        self._keep(message, "compression")

    def pump(self, put: Callable[[bytes, float], bool]) -> str:
        self._put = put
        beat = time.monotonic()
        try:
            while self._reason is None:
                with contextlib.suppress(TimeoutError, socket.timeout):
                    self._connection.drain_events(timeout=_TICK)
                if time.monotonic() - beat >= _TICK:
                    beat = time.monotonic()
                    self._connection.heartbeat_check()
        except Exception as error:  # noqa: BLE001  each transport has errors of its own
            self.end(str(error) or type(error).__name__)
        finally:
            try:
                self._stack.close()
            except Exception:  # it is lost anyway
                log.debug("capture: while closing", exc_info=True)
        return self._reason or "ended"

    def send(self, data: bytes) -> None:
        raise AssertionError("messages are not acknowledged on this way")

    def end(self, reason: str, incomplete_since: float | None = None) -> None:
        if self._reason is None:
            self._reason, self.incomplete_since = reason, incomplete_since

    def _keep(self, message: Any, refused: str | None) -> None:
        body = message.body
        raw = body.encode(errors="backslashreplace") if isinstance(body, str) else bytes(body or b"")
        packed = self._pack((raw, message.content_type, message.content_encoding, refused))
        while self._reason is None and not self._put(packed, 0.5):
            pass


class KombuSource:
    """Implements `stream.Source`."""

    def __init__(self, app: Celery, settings: CaptureSettings, decoder: Decoder, why: str) -> None:
        self._app, self._settings, self._decoder = app, settings, decoder
        self.path = f"kombu ({why})"
        self.url: object = app.conf.broker_read_url
        self.queue = f"{app.conf.event_queue_prefix}.bellflower.{settings.queue_name}"

    def connect(self, missing_since: float | None) -> KombuLink:
        prototype = self._app.connection_for_read()
        driver = prototype.transport.driver_type
        if "fanout" not in prototype.transport.implements.exchange_type:
            raise Unavailable(
                f"Celery's workers send no events over the transport '{driver}'",
                hint="task history needs a broker that broadcasts, such as RabbitMQ or Redis",
            )
        if driver in _POLLING:
            prototype.transport_options = {"polling_interval": _POLLING[driver], **prototype.transport_options}
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(connected(prototype))
            gap = None
            if missing_since is not None:
                gap = Gap(missing_since, time.time(), "not connected to the broker")
            link = KombuLink(stack.pop_all(), connection, PackedParser(self._decoder), gap)
            try:
                link._stack.enter_context(self._consumer(connection, link))
            except BaseException:
                link._stack.close()
                raise
            return link

    def forget(self) -> None:
        """The queue is deleted by the transport when its last consumer goes."""

    def _consumer(self, connection: Any, link: KombuLink) -> Any:
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
            on_message=link.received,
            on_decode_error=link.refused,
            no_ack=True,
            auto_declare=True,
        )
