"""Creates the capture for the broker of an application."""

import logging

from celery import Celery

from flower.capture.connection import describe_error
from flower.capture.decoder import Decoder
from flower.capture.enable_events import EventEnabler
from flower.capture.kombu_source import KombuSource
from flower.capture.protocols import Capture
from flower.capture.receiver import EventReceiver, EventSource
from flower.capture.settings import CaptureSettings, accepted_serializers
from flower.capture.spill_queue import SpillQueue
from flower.redaction import mask_url

log = logging.getLogger(__name__)


class ReceiverWithEnabler(EventReceiver):
    """An event receiver that also enables events on the workers."""

    def __init__(self, source: EventSource, decoder: Decoder, queue: SpillQueue, enabler: EventEnabler) -> None:
        super().__init__(source, decoder, queue, on_connect=enabler.on_connect)
        self._enabler = enabler

    def start(self) -> None:
        super().start()
        self._enabler.start()

    def stop(self) -> None:
        self._enabler.stop()
        super().stop()


def app_from_settings(settings: CaptureSettings) -> Celery:
    """A Celery application with broker settings only, which is not the current app."""
    app = Celery("bellflower", set_as_current=False, fixups=[])
    app.conf.update(settings.conf)
    return app


def create_capture(settings: CaptureSettings) -> Capture:
    """A capture that is ready to start. Does not raise if the broker is unreachable or its URL is invalid: that is
    reported in the log and in `status`."""
    app = app_from_settings(settings)
    decoder = Decoder(accepted_serializers(settings), settings.redaction)
    source = _create_source(app, settings, decoder)
    # A broker that retains messages needs no local copy on disk.
    folder = None if source.broker_retains_messages else settings.spill_folder
    queue = SpillQueue(folder, memory_limit=settings.memory_limit, disk_limit=settings.spill_limit)
    log.info("capture: %s at %s", source.description, mask_url(source.url))
    if settings.enable_events:
        return ReceiverWithEnabler(source, decoder, queue, EventEnabler(app, settings.enable_interval))
    return EventReceiver(source, decoder, queue)


def _create_source(app: Celery, settings: CaptureSettings, decoder: Decoder) -> EventSource:
    try:
        connection = app.connection_for_read()
        transport = connection.get_transport_cls()
        # kombu has the attribute since 5.6.1
        token_login = bool(getattr(connection, "credential_provider", None)) or "credential_provider" in str(
            app.conf.broker_read_url
        )
    except Exception as error:  # noqa: BLE001  an unknown transport, a missing library, an invalid URL
        return KombuSource(app, settings, decoder, describe_error(error, app.conf.broker_read_url))
    # The client libraries of the direct sources are imported only if they are used.
    name = f"{transport.__module__}.{transport.__name__}"
    if name == "kombu.transport.redis.Transport" and not token_login:
        from flower.capture.redis import RedisSource  # noqa: PLC0415

        return RedisSource(app, decoder)
    if name in ("kombu.transport.pyamqp.Transport", "kombu.transport.pyamqp.SSLTransport"):
        from flower.capture.rabbitmq import RabbitMQSource  # noqa: PLC0415

        return RabbitMQSource(app, settings, decoder)
    reason = "expiring credentials" if token_login else f"transport {transport.driver_type}"
    return KombuSource(app, settings, decoder, reason)
