"""RabbitMQ source that reads directly from the socket.

Kombu and py-amqp connect and declare (so URL, failover, TLS, heartbeat and virtual host have Celery's meaning); from
the first delivery on, this module owns the socket. Events wait in a durable queue of Bellflower while the recorder is
not running, and are acknowledged only when they are safely on disk.
"""

import logging
import socket
from typing import Any, NamedTuple

from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from celery import Celery
from celery.events.event import get_exchange

from flower.capture.amqp_frames import FrameParser, encode_qos
from flower.capture.connection import open_connection
from flower.capture.decoder import Decoder
from flower.capture.interruption import Interruption
from flower.capture.settings import CaptureSettings
from flower.capture.socket_connection import KeepAliveSettings, SocketConnection
from flower.records import Gap, GapCause

log = logging.getLogger(__name__)

#: Celery's default of two minutes would leave a dead connection unnoticed for as long. RabbitMQ sends two heartbeats in
#: this time.
_MAX_HEARTBEAT = 10.0
#: Seconds between two messages that the broker answers, and without an answer until it counts as unresponsive.
_CONFIRM_INTERVAL, _UNRESPONSIVE_AFTER = 1.0, 3.0
_MAX_PREFETCH = 65_535  # a prefetch count of AMQP has 16 bits


#: RabbitMQ reads each connection in a process of its own: when it ends, some connections have unread events that were
#: published before the newest event that it delivered. Seconds, generous for a busy server.
_ROUTING_TIME = 2.0


class _Loss(NamedTuple):
    """Why the queue does not contain all events since the last connection."""

    cause: GapCause
    reason: str


_RESTARTED = _Loss("broker_restarted", "RabbitMQ was restarted: it does not keep events over a restart")


class RabbitMQSource:
    """Implements `receiver.EventSource`."""

    description = "RabbitMQ, direct socket"
    broker_retains_messages = True
    has_drain_process = False

    def __init__(self, app: Celery, settings: CaptureSettings, decoder: Decoder) -> None:
        self._settings, self._decoder = settings, decoder
        self._exchange = app.conf.event_exchange
        heartbeat = min(float(app.conf.broker_heartbeat or 0), _MAX_HEARTBEAT)
        self._prototype = app.connection_for_read(heartbeat=heartbeat)
        self.url: object = app.conf.broker_read_url
        self.queue = f"{app.conf.event_queue_prefix}.bellflower.{settings.queue_name}"
        #: Exists from the first connection until RabbitMQ is restarted. Nothing is published to it.
        self._restart_marker = f"{self.queue}.restart"
        self._is_declared = False

    def connect(self, interruption: Interruption | None) -> SocketConnection:
        with open_connection(self._prototype) as kombu:
            channel, loss = self._prepare_queue(kombu)
            was_restarted = self._check_restart(kombu)
            if was_restarted and loss is None:
                loss = _RESTARTED
            prefetch = min(self._settings.prefetch, _MAX_PREFETCH)
            channel.basic_qos(0, prefetch, False)
            # Without waiting for the reply: it, and the first events after it, are read by the socket connection.
            channel.basic_consume(self.queue, consumer_tag="bellflower", nowait=True)
            parser = FrameParser(self._decoder, channel.channel_id)
            keep_alive = _keep_alive_settings(channel, prefetch)
            sock = _detach_socket(channel.connection)
            gap: Gap | None = None
            if loss is not None and interruption is not None:
                since = interruption.since - (_ROUTING_TIME if was_restarted else 0.0)
                gap = interruption._replace(since=since, cause=loss.cause, reason=loss.reason).end()
            return SocketConnection(sock, parser, gap, keep_alive)

    def clean_up(self) -> None:
        if self._settings.delete_queue_on_stop and self._is_declared:
            with open_connection(self._prototype) as kombu:
                kombu.default_channel.queue_delete(self.queue)
                kombu.default_channel.exchange_delete(self._restart_marker)

    def _prepare_queue(self, kombu: Any) -> tuple[Any, _Loss | None]:
        """A channel on which the queue exists and is bound, and why events since the last connection may be missing."""
        loss = None
        channel = kombu.channel()
        try:
            message_count = channel.queue_declare(self.queue, passive=True).message_count
            if message_count >= self._settings.max_length:
                reason = f"the RabbitMQ queue was full ({message_count:,} messages): the oldest messages were dropped"
                loss = _Loss("queue_overflow", reason)
        except NotFound:
            loss = _Loss("queue_expired", "the RabbitMQ queue had expired or was lost")
            channel = kombu.channel()
        channel = self._declare_queue(kombu, channel)
        self._is_declared = True
        get_exchange(kombu, name=self._exchange)(channel).declare()
        channel.queue_bind(self.queue, self._exchange, routing_key="#")
        return channel, loss

    def _check_restart(self, kombu: Any) -> bool:
        """Whether RabbitMQ was restarted since the previous connection. A restart removes transient exchanges; it also
        empties the queue, because events are transient messages."""
        channel = kombu.channel()
        try:
            channel.exchange_declare(self._restart_marker, "fanout", passive=True)
        except NotFound:
            channel = kombu.channel()
        except AccessRefused:
            return False
        else:
            return False
        try:
            channel.exchange_declare(self._restart_marker, "fanout", durable=False, auto_delete=False)
        except AccessRefused:
            return False
        return True

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


def _keep_alive_settings(channel: Any, prefetch: int) -> KeepAliveSettings:
    """The connection is dead after two negotiated intervals without data, as in AMQP. Instead of heartbeats, which the
    broker does not answer, the limit of unacknowledged messages is set again: the answer shows that the broker is
    reachable."""
    heartbeat = float(channel.connection.heartbeat or 0)
    return KeepAliveSettings(
        encode_qos(channel.channel_id, prefetch),
        interval=min(heartbeat / 2 or _CONFIRM_INTERVAL, _CONFIRM_INTERVAL),
        timeout=heartbeat * 2,
        unresponsive_after=_UNRESPONSIVE_AFTER,
    )
