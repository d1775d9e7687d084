"""Detects that RabbitMQ blocks publishers: while an alarm for memory or disk space is in effect, it accepts no messages
from workers and clients.

RabbitMQ notifies a connection when it blocks it, which happens only to connections that publish. Therefore a thread
with a connection of its own publishes an empty message that no queue receives. The connection of capture must not
publish: RabbitMQ would not read its acknowledgements.
"""

import contextlib
import logging
import threading
import time
from typing import Any, Final

import amqp
from celery import Celery

from flower.capture.connection import open_connection

log = logging.getLogger(__name__)

#: Seconds between two messages, and between two attempts to connect.
PUBLISH_INTERVAL: Final = 5.0
_RETRY_DELAY: Final = 10.0
_STOP_TIMEOUT: Final = 2.0
#: Of messages that show whether publishers are blocked. No queue has this name, so that RabbitMQ discards them.
PROBE_ROUTING_KEY: Final = "bellflower.blocked-publishers"


class BlockedPublisherMonitor:
    """Watches one broker. `blocked_since`: since when publishers are blocked, in epoch seconds; None if they are not,
    or if it is unknown."""

    def __init__(self, app: Celery) -> None:
        self._prototype = app.connection_for_write(heartbeat=PUBLISH_INTERVAL * 2)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture-blocked-publishers", daemon=True)
        self.blocked_since: float | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with open_connection(self._prototype) as connection:
                    self._watch(connection)
            except Exception:  # an unreachable broker is reported by capture; no permission means that it is unknown
                log.debug("capture: cannot find out whether publishers are blocked", exc_info=True)
            self.blocked_since = None
            self._stopping.wait(_RETRY_DELAY)

    def _watch(self, connection: Any) -> None:
        """Publish until stop is requested. Raises what py-amqp raises."""
        raw = connection.connection
        raw.on_blocked, raw.on_unblocked = self._on_blocked, self._on_unblocked
        channel = raw.channel()
        next_publish = 0.0
        while not self._stopping.is_set():
            if self.blocked_since is None and time.monotonic() >= next_publish:
                next_publish = time.monotonic() + PUBLISH_INTERVAL
                channel.basic_publish(amqp.Message(b""), exchange="", routing_key=PROBE_ROUTING_KEY)
            with contextlib.suppress(TimeoutError):
                raw.drain_events(timeout=0.5)
            connection.heartbeat_check()

    def _on_blocked(self, reason: str) -> None:
        if self.blocked_since is None:
            self.blocked_since = time.time()
            log.warning("capture: RabbitMQ blocks publishers because of an alarm for memory or disk space")

    def _on_unblocked(self) -> None:
        if self.blocked_since is not None:
            log.warning("capture: RabbitMQ accepts messages again")
        self.blocked_since = None
