"""Broadcasts `enable_events` to the workers periodically, so that workers that start later send events as well."""

import logging
import threading
from typing import Any

from celery import Celery
from kombu.messaging import Producer

from flower.capture.connection import describe_error, open_connection

log = logging.getLogger(__name__)

_STOP_TIMEOUT = 2.0


class _SingleAttemptProducer(Producer):
    """Kombu's mailbox would retry forever without a message; the loop in this module can be stopped."""

    def publish(self, *args: Any, **kwargs: Any) -> Any:
        return super().publish(*args, **{**kwargs, "retry": False})  # type: ignore[no-untyped-call]


class EventEnabler:
    """Broadcasts `enable_events` every `interval` seconds over its own connection."""

    def __init__(self, app: Celery, interval: float) -> None:
        self._app, self._interval = app, interval
        self._wake = threading.Event()
        self._stopping = False
        self._has_connected = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="capture-enable", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def on_connect(self) -> None:
        """Capture has (re)connected: broadcast immediately, and request a heartbeat, so that online workers are known
        at once."""
        self._has_connected = True
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        while not self._stopping:
            # Events are requested only once capture is connected.
            if self._wake.wait(self._interval if self._has_connected else None):
                self._wake.clear()
            if self._stopping:
                return
            try:
                with open_connection(self._app.connection_for_write()) as connection:
                    self._broadcast(connection)
            except Exception as error:  # noqa: BLE001  each transport has its own errors; none may end this thread
                self._log_failure(error)

    def _broadcast(self, connection: Any) -> None:
        """Broadcast on one connection until it fails or stop is requested."""
        mailbox = self._app.control.mailbox(connection)
        producer = _SingleAttemptProducer(connection.default_channel, auto_declare=False)  # type: ignore[no-untyped-call]
        heartbeat_requested = False
        while not self._stopping:
            mailbox._publish("enable_events", {}, producer=producer)
            if not heartbeat_requested or self._wake.is_set():
                self._wake.clear()
                mailbox._publish("heartbeat", {}, producer=producer)
                heartbeat_requested = True
            if self._failing:
                log.info("capture: enable_events broadcasts resumed")
                self._failing = False
            self._wake.wait(self._interval)

    def _log_failure(self, error: Exception) -> None:
        if not self._failing:
            reason = describe_error(error, self._app.conf.broker_write_url)
            log.warning("capture: cannot broadcast enable_events: %s", reason)
            log.debug("capture: enable_events failed", exc_info=True)
        self._failing = True
