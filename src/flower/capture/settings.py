"""Capture settings in a form that can be passed to another process. Does not import Celery."""

import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flower.redaction import Rules
from flower.units import MEBIBYTE

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

#: The Celery settings that define how to reach and read the broker.
_SETTING_PREFIXES = ("broker_", "event_", "control_", "redis_")
_SETTING_NAMES = ("accept_content", "task_serializer")


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """Created by `settings_from_app`. Times are seconds, sizes bytes."""

    #: Celery settings; never shown, because they contain passwords
    conf: Mapping[str, Any] = field(repr=False)
    #: Part of the queue's name on the broker: stable for a store, different between stores
    queue_name: str = "unnamed"
    #: Directory for events that arrive faster than they can be written; None = no spilling to disk
    spill_folder: Path | None = None
    #: Send enable_events to new workers, and to all workers periodically
    enable_events: bool = True
    #: How long RabbitMQ keeps the queue and its messages while no recorder is connected
    queue_expires: float = 3600.0
    #: Maximum number of messages in that queue
    max_length: int = 1_000_000
    #: Maximum number of unacknowledged messages; at most 65,535
    prefetch: int = 65_000
    #: For temporary stores, which never reconnect to their queue
    delete_queue_on_stop: bool = False
    #: Directory for the sockets of drain processes; None = receive in the process of the recorder
    drain_folder: Path | None = None
    #: Seconds for which the drain process receives events after a planned stop
    drain_linger: float = 60.0
    log_level: str = "INFO"
    memory_limit: int = 64 * MEBIBYTE
    spill_limit: int = 2048 * MEBIBYTE
    #: Seconds between two enable_events broadcasts
    enable_interval: float = 30.0
    #: Whether the stream of durable events on Redis is read, if it exists
    durable_events: bool = True
    #: What is masked while events are decoded
    redaction: Rules = field(default_factory=Rules)


def settings_from_app(app: "Celery", **options: Any) -> CaptureSettings:
    """The broker settings of `app`, picklable. `options` are fields of `CaptureSettings`.

    A setting that cannot be pickled (for example a function as failover strategy) is left out and logged."""
    conf: dict[str, Any] = {}
    for name, value in _broker_settings(app).items():
        try:
            pickle.dumps(value)
        except Exception as error:  # noqa: BLE001  an object's __reduce__ may raise anything
            log.warning("capture: cannot pass the setting %s to the recorder: %s", name, type(error).__name__)
        else:
            conf[name] = value
    return CaptureSettings(conf=conf, **options)


def accepted_serializers(settings: CaptureSettings) -> frozenset[str]:
    """Serializers that the user's configuration permits. Pickle only if it is configured there."""
    configured = settings.conf.get("accept_content") or ()
    return frozenset({*configured, settings.conf.get("event_serializer") or "json", "json"})


def _broker_settings(app: "Celery") -> dict[str, Any]:
    names = [name for name in app.conf if name.startswith(_SETTING_PREFIXES) or name in _SETTING_NAMES]
    values = {name: app.conf.get(name) for name in names}
    # Celery also reads these three from the environment.
    for name in ("broker_url", "broker_read_url", "broker_write_url"):
        values[name] = getattr(app.conf, name)
    return {name: value for name, value in values.items() if value is not None}
