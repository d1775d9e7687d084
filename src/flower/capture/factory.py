"""Creates the capture for the broker of an application."""

import logging
from collections.abc import Callable
from dataclasses import replace

from celery import Celery

from flower import __version__
from flower.capture.blocked_publishers import BlockedPublisherMonitor
from flower.capture.connection import app_from_settings, describe_error
from flower.capture.decoder import Decoder
from flower.capture.drain.capture import DrainedCapture
from flower.capture.drain.launcher import DrainUnavailable, select_drains, start_drain, stop_drains
from flower.capture.drain.settings import DrainSettings
from flower.capture.enable_events import EventEnabler
from flower.capture.interruption import Interruption, Progress
from flower.capture.kombu_source import KombuSource
from flower.capture.protocols import Capture
from flower.capture.receiver import EventReceiver
from flower.capture.reporting_capture import ReportingCapture
from flower.capture.settings import CaptureSettings, accepted_serializers
from flower.capture.source import EventSource
from flower.capture.spill_queue import SpillQueue
from flower.redaction import mask_url

log = logging.getLogger(__name__)


class ReceiverWithEnabler(EventReceiver):
    """An event receiver that also enables events on the workers."""

    def __init__(
        self,
        source: EventSource,
        decoder: Decoder,
        queue: SpillQueue,
        enabler: EventEnabler,
        interruption: Interruption | None,
    ) -> None:
        super().__init__(source, decoder, queue, on_connect=enabler.on_connect, interruption=interruption)
        self._enabler = enabler

    def start(self) -> None:
        super().start()
        self._enabler.start()

    def stop(self) -> None:
        self._enabler.stop()
        super().stop()


def create_capture(
    settings: CaptureSettings,
    interruption: Interruption | None = None,
    progress: Progress | None = None,
    is_planned_stop: Callable[[], bool] = lambda: True,
) -> Capture:
    """A capture that is ready to start. Does not raise if the broker is unreachable or its URL is invalid: that is
    reported in the log and in `status`.

    `interruption` is the time since an earlier recorder of the same store received events, and `progress` what that
    recorder stored. `is_planned_stop` is called by `stop`: after a crash, a drain process waits longer for the next
    recorder."""
    app = app_from_settings(settings)
    decoder = Decoder(accepted_serializers(settings), settings.redaction)
    source = create_source(app, settings, decoder)
    log.info("capture: %s at %s", source.description, mask_url(source.url))
    enabler = EventEnabler(app, settings.enable_interval) if settings.enable_events else None
    if settings.drain_folder is not None:
        if source.has_drain_process:
            drained = _create_drained(settings, decoder, interruption, progress or Progress(), enabler, is_planned_stop)
            if drained is not None:
                return ReportingCapture(_add_stream(drained, app, settings, decoder), decoder, enabler)
        else:
            stop_drains(str(settings.drain_folder))  # of a previous broker URL
    # A broker that retains messages needs no local copy on disk.
    folder = None if source.broker_retains_messages else settings.spill_folder
    queue = SpillQueue(folder, memory_limit=settings.memory_limit, disk_limit=settings.spill_limit)
    if enabler is not None:
        receiver: Capture = ReceiverWithEnabler(source, decoder, queue, enabler, interruption)
    else:
        receiver = EventReceiver(source, decoder, queue, interruption=interruption)
    return ReportingCapture(_add_stream(receiver, app, settings, decoder), decoder, enabler, _create_monitor(app))


def _create_monitor(app: Celery) -> BlockedPublisherMonitor | None:
    """A monitor if the broker is RabbitMQ."""
    try:
        is_rabbitmq = app.connection_for_read().get_transport_cls().driver_type == "amqp"
    except Exception:  # noqa: BLE001  an unknown transport, a missing library: reported by the source
        return None
    return BlockedPublisherMonitor(app) if is_rabbitmq else None


def _create_drained(
    settings: CaptureSettings, decoder: Decoder, interruption: Interruption | None, progress: Progress,
    enabler: EventEnabler | None, is_planned_stop: Callable[[], bool],
) -> Capture | None:  # fmt: skip
    """A capture that reads from a drain process; None if none can be used."""
    drain_settings = DrainSettings(settings, str(settings.drain_folder), __version__)
    try:
        current, successor = select_drains(drain_settings)
        if current is None:
            current = start_drain(replace(drain_settings, interruption=interruption))
        elif successor is None and not drain_settings.fits(current.welcome):
            successor = start_drain(drain_settings)
    except DrainUnavailable as error:
        log.warning("capture: no drain process (%s): events are lost while the recorder is not running", error)
        return None
    return DrainedCapture(
        drain_settings, decoder, current, progress, successor=successor, enabler=enabler,
        is_planned_stop=is_planned_stop,
    )  # fmt: skip


def _add_stream(published: Capture, app: Celery, settings: CaptureSettings, decoder: Decoder) -> Capture:
    """The capture, together with the stream of durable events if the broker is Redis."""
    try:
        is_redis = app.connection_for_read().get_transport_cls().driver_type == "redis"
    except Exception:  # noqa: BLE001  an unknown transport, a missing library: reported by the source
        return published
    if not is_redis or not settings.durable_events:
        return published
    # The client library is imported only if it is used.
    from flower.capture.merged_capture import MergedCapture, SenderList  # noqa: PLC0415
    from flower.capture.redis_stream import RedisStreamCapture  # noqa: PLC0415

    path = settings.spill_folder / "senders.json" if settings.spill_folder else None
    return MergedCapture(published, RedisStreamCapture(app, settings, decoder), SenderList(path), decoder)


def create_source(app: Celery, settings: CaptureSettings, decoder: Decoder) -> EventSource:
    """The source for the broker of this application. Does not connect."""
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
