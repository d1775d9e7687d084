"""RabbitMQ source that reads directly from the socket.

Kombu and py-amqp connect and declare (so URL, failover, TLS, heartbeat and virtual host have Celery's meaning); from
the first delivery on, this module owns the socket. Events wait in a durable queue of Bellflower while the recorder is
not running, and are acknowledged only when they are safely on disk.
"""

import logging
import socket
import time
from typing import Any

from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from celery import Celery
from celery.events.event import get_exchange

from flower.capture.amqp_frames import HEARTBEAT_FRAME, FrameParser
from flower.capture.connection import open_connection
from flower.capture.decoder import Decoder
from flower.capture.settings import CaptureSettings
from flower.capture.socket_connection import KeepAliveSettings, SocketConnection
from flower.records import Gap

log = logging.getLogger(__name__)

#: Celery's default of two minutes would leave a dead connection unnoticed for as long.
_MAX_HEARTBEAT = 30.0
_MAX_PREFETCH = 65_535  # a prefetch count of AMQP has 16 bits


class RabbitMQSource:
    """Implements `receiver.EventSource`."""

    description = "RabbitMQ, direct socket"
    broker_retains_messages = True

    def __init__(self, app: Celery, settings: CaptureSettings, decoder: Decoder) -> None:
        self._settings, self._decoder = settings, decoder
        self._exchange = app.conf.event_exchange
        heartbeat = min(float(app.conf.broker_heartbeat or 0), _MAX_HEARTBEAT)
        self._prototype = app.connection_for_read(heartbeat=heartbeat)
        self.url: object = app.conf.broker_read_url
        self.queue = f"{app.conf.event_queue_prefix}.bellflower.{settings.queue_name}"
        self._is_declared = False

    def connect(self, missing_since: float | None) -> SocketConnection:
        with open_connection(self._prototype) as kombu:
            channel, reason = self._prepare_queue(kombu)
            channel.basic_qos(0, min(self._settings.prefetch, _MAX_PREFETCH), False)
            # Without waiting for the reply: it, and the first events after it, are read by the socket connection.
            channel.basic_consume(self.queue, consumer_tag="bellflower", nowait=True)
            parser = FrameParser(self._decoder, channel.channel_id)
            keep_alive = _heartbeat_settings(channel.connection)
            sock = _detach_socket(channel.connection)
            gap = Gap(missing_since, time.time(), reason) if reason and missing_since is not None else None
            return SocketConnection(sock, parser, gap, keep_alive)

    def clean_up(self) -> None:
        if self._settings.delete_queue_on_stop and self._is_declared:
            with open_connection(self._prototype) as kombu:
                kombu.default_channel.queue_delete(self.queue)

    def _prepare_queue(self, kombu: Any) -> tuple[Any, str | None]:
        """A channel on which the queue exists and is bound, and the reason why events may be missing since the last
        connection, or None."""
        reason = None
        channel = kombu.channel()
        try:
            message_count = channel.queue_declare(self.queue, passive=True).message_count
            if message_count >= self._settings.max_length:
                reason = f"the RabbitMQ queue was full ({message_count:,} messages): the oldest messages were dropped"
        except NotFound:
            reason = "the RabbitMQ queue had expired or was lost"
            channel = kombu.channel()
        channel = self._declare_queue(kombu, channel)
        self._is_declared = True
        get_exchange(kombu, name=self._exchange)(channel).declare()
        channel.queue_bind(self.queue, self._exchange, routing_key="#")
        return channel, reason

    def _declare_queue(self, kombu: Any, channel: Any) -> Any:
        settings = self._settings
        arguments = {
            # Events are transient: a replicated queue, which may be the server's default, has no benefit.
            "x-queue-type": "classic",
            "x-expires": max(1, int(settings.queue_expires * 1000)),
            "x-max-length": settings.max_length,
        }
        try:
            # Durable, because RabbitMQ 4 refuses queues that are neither durable nor exclusive.
            channel.queue_declare(self.queue, durable=True, exclusive=False, auto_delete=False, arguments=arguments)
        except (PreconditionFailed, AccessRefused) as error:
            log.warning(
                "capture: the queue %s exists with different settings and is used unchanged; delete it to apply the "
                "configured settings (RabbitMQ: %s)",
                self.queue,
                error.reply_text,
            )
            channel = kombu.channel()
            channel.queue_declare(self.queue, passive=True)
        return channel


def _detach_socket(amqp: Any) -> socket.socket:
    """Take over the socket of a py-amqp connection. py-amqp reads exactly the bytes of a frame, so nothing is left in
    its buffer."""
    transport = amqp.transport
    assert not transport._read_buffer
    sock: socket.socket = transport.sock
    transport.sock = None
    transport.connected = False
    amqp.collect()
    return sock


def _heartbeat_settings(amqp: Any) -> KeepAliveSettings:
    """Send twice per negotiated interval; the connection is dead after two intervals without data, as in AMQP."""
    heartbeat = float(amqp.heartbeat or 0)
    return KeepAliveSettings(HEARTBEAT_FRAME, interval=heartbeat / 2, timeout=heartbeat * 2)
