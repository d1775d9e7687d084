"""All that capture must know, in a form that travels to another process."""

import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery

from flower.capture.spill_queue import MEGABYTE
from flower.redaction import Rules

log = logging.getLogger(__name__)

#: What of a Celery application's configuration says how to reach and read its broker.
_SETTING_PREFIXES = ("broker_", "event_", "control_", "redis_")
_SETTING_NAMES = ("accept_content", "task_serializer")


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """Made by `settings_from_app`. Times are seconds, sizes bytes."""

    #: Celery's own settings; they hold passwords, hence never shown.
    conf: Mapping[str, Any] = field(repr=False)
    #: Names our queue on the broker: the same for the same store, different for different ones.
    queue_name: str = "unnamed"
    #: Where events wait on disk when they come faster than they can be written; None = nowhere.
    spill_folder: Path | None = None
    #: Ask the workers every few seconds to send events, as Flower does.
    enable_events: bool = True
    #: How long RabbitMQ keeps our queue, and what arrives in it, while we are away.
    queue_expires: float = 3600.0
    #: How many messages it keeps at most.
    max_length: int = 1_000_000
    #: How many it gives us before the first is acknowledged; at most 65,535.
    prefetch: int = 65_000
    #: For private, temporary stores: nobody will come back for the queue.
    delete_queue_on_stop: bool = False
    memory_limit: int = 64 * MEGABYTE
    spill_limit: int = 2048 * MEGABYTE
    #: Seconds between two requests to the workers to send events.
    enable_interval: float = 5.0
    #: What is masked before anybody else sees an event.
    redaction: Rules = field(default_factory=Rules)


def settings_from_app(app: Celery, **options: Any) -> CaptureSettings:
    """The broker settings of `app`, ready to be pickled. `options` are fields of `CaptureSettings`.

    A setting that cannot be pickled (say, a function as failover strategy) is left out and named in the log.
    """
    conf: dict[str, Any] = {}
    for name, value in _broker_settings(app).items():
        try:
            pickle.dumps(value)
        except Exception as error:  # noqa: BLE001  an object's __reduce__ may raise anything
            log.warning("capture: the setting %s cannot be passed on to the recorder: %s", name, type(error).__name__)
        else:
            conf[name] = value
    return CaptureSettings(conf=conf, **options)


def app_from_settings(settings: CaptureSettings) -> Celery:
    """A Celery application that knows the broker and nothing else, and is nobody's current app."""
    app = Celery("bellflower", set_as_current=False, fixups=[])
    app.conf.update(settings.conf)
    return app


def accepted_serializers(settings: CaptureSettings) -> frozenset[str]:
    """What the user's configuration lets us decode. Pickle only if it is named there."""
    named = settings.conf.get("accept_content") or ()
    return frozenset({*named, settings.conf.get("event_serializer") or "json", "json"})


def _broker_settings(app: Celery) -> dict[str, Any]:
    names = [name for name in app.conf if name.startswith(_SETTING_PREFIXES) or name in _SETTING_NAMES]
    found = {name: app.conf.get(name) for name in names}
    # These three are also read from the environment, as Celery does.
    for name in ("broker_url", "broker_read_url", "broker_write_url"):
        found[name] = getattr(app.conf, name)
    return {name: value for name, value in found.items() if value is not None}
