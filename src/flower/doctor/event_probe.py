"""Receives the events of a few seconds, over the connection that the recorder would have."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from flower.capture.connection import app_from_settings
from flower.capture.decoder import Decoder
from flower.capture.factory import create_source
from flower.capture.settings import CaptureSettings, accepted_serializers
from flower.capture.source import ConnectionLost, EventSource
from flower.doctor.examination import Examination
from flower.recorder_settings import settings_from_config
from flower.records import Event

_DONE: Final = "the probe is complete"
#: Seconds for which RabbitMQ keeps the queue of a probe that was killed.
_QUEUE_EXPIRES: Final = 60.0


def capture_settings(examination: Examination) -> CaptureSettings:
    """The settings of the recorder, with a queue of its own: the recorder's queue must not lose events. Its name has
    the same prefix, so that the same permissions apply."""
    settings = settings_from_config(examination.config, examination.load_app).capture
    return replace(
        settings,
        queue_name=f"doctor-{secrets.token_hex(4)}",
        queue_expires=_QUEUE_EXPIRES,
        delete_queue_on_stop=True,
    )


def create_probe_source(examination: Examination) -> EventSource:
    """The source of the recorder. Does not connect."""
    settings = capture_settings(examination)
    decoder = Decoder(accepted_serializers(settings), settings.redaction)
    return create_source(app_from_settings(settings), settings, decoder)


def receive_worker_events(
    source: EventSource, seconds: float, on_connected: Callable[[], None] = lambda: None
) -> list[tuple[float, Event]]:
    """The events of workers that arrive within `seconds`, with the time of their arrival. `on_connected` runs in a
    thread meanwhile. Raises ConnectionLost, and what the client library raises."""
    events: list[tuple[float, Event]] = []
    connection = source.connect(None)

    def put(data: bytes, received: float, since: float, timeout: float) -> bool:
        parsed: list[Event] = []
        try:
            connection.parser.feed(data, received, parsed)
        except ConnectionLost as error:
            connection.close(str(error))
        events.extend((received, event) for event in parsed if event.uuid is None and event.hostname)
        return True

    timer = threading.Timer(seconds, connection.close, [_DONE])
    timer.daemon = True
    timer.start()
    threading.Thread(target=on_connected, daemon=True).start()
    try:
        reason = connection.run(put)
        if reason != _DONE:
            raise ConnectionLost(reason)
    finally:
        timer.cancel()
        source.clean_up()
    return events
