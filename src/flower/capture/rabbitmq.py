"""RabbitMQ, read straight off the socket.

Kombu and py-amqp connect and declare (so URL, failover, TLS, heartbeat and virtual host are Celery's);
from the first delivery on the socket is ours. Events wait in a durable queue of our own while we are away
and are acknowledged only when they are safe.
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

#: Without a shorter heartbeat than Celery's two minutes a dead connection would go unnoticed for as long.
_MAX_HEARTBEAT = 30.0
_MAX_PREFETCH = 65_535  # AMQP counts a prefetch in 16 bits


class RabbitMQSource:
    """Implements `stream.Source`."""

    description = "RabbitMQ, direct socket"

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
            # Without waiting for the answer: it, and the first events right behind it, are ours to read.
            channel.basic_consume(self.queue, consumer_tag="bellflower", nowait=True)
            parser = FrameParser(self._decoder, channel.channel_id)
            alive = _heartbeat_settings(channel.connection)
            sock = _detach_socket(channel.connection)
            gap = Gap(missing_since, time.time(), reason) if reason and missing_since is not None else None
            return SocketConnection(sock, parser, gap, alive)

    def clean_up(self) -> None:
        if self._settings.delete_queue_on_stop and self._is_declared:
            with open_connection(self._prototype) as kombu:
                kombu.default_channel.queue_delete(self.queue)

    def _prepare_queue(self, kombu: Any) -> tuple[Any, str | None]:
        """A channel on which the queue is known to exist and to be bound, and, if events may have got lost
        while we were away, the reason."""
        reason = None
        channel = kombu.channel()
        try:
            waiting = channel.queue_declare(self.queue, passive=True).message_count
            if waiting >= self._settings.max_length:
                reason = f"RabbitMQ's queue was full ({waiting:,} messages): the oldest were dropped"
        except NotFound:
            reason = "RabbitMQ's queue had expired or was lost"
            channel = kombu.channel()
        channel = self._declare_queue(kombu, channel)
        self._is_declared = True
        get_exchange(kombu, name=self._exchange)(channel).declare()
        channel.queue_bind(self.queue, self._exchange, routing_key="#")
        return channel, reason

    def _declare_queue(self, kombu: Any, channel: Any) -> Any:
        settings = self._settings
        arguments = {
            # The events are transient; a replicated queue (which may be the server's default) would gain nothing.
            "x-queue-type": "classic",
            "x-expires": max(1, int(settings.queue_expires * 1000)),
            "x-max-length": settings.max_length,
        }
        try:
            # Durable, because RabbitMQ 4 refuses queues that are neither durable nor exclusive.
            channel.queue_declare(self.queue, durable=True, exclusive=False, auto_delete=False, arguments=arguments)
        except (PreconditionFailed, AccessRefused) as error:
            log.warning(
                "capture: the queue %s exists with other settings and is used as it is; delete it to have the "
                "configured ones (RabbitMQ says: %s)",
                self.queue,
                error.reply_text,
            )
            channel = kombu.channel()
            channel.queue_declare(self.queue, passive=True)
        return channel


def _detach_socket(amqp: Any) -> socket.socket:
    """The socket of a py-amqp connection, which forgets it. py-amqp reads exactly the bytes of a frame, so
    nothing is left behind."""
    transport = amqp.transport
    assert not transport._read_buffer
    sock: socket.socket = transport.sock
    transport.sock = None
    transport.connected = False
    amqp.collect()
    return sock


def _heartbeat_settings(amqp: Any) -> KeepAliveSettings:
    """Twice per agreed interval; dead after two intervals of silence, as AMQP has it."""
    heartbeat = float(amqp.heartbeat or 0)
    return KeepAliveSettings(HEARTBEAT_FRAME, interval=heartbeat / 2, timeout=heartbeat * 2)
