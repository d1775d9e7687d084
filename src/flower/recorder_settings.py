"""The settings of a recorder, picklable, and their derivation from the configuration. Does not import Celery."""

from dataclasses import dataclass, field

from flower.capture.settings import CaptureSettings, settings_from_app
from flower.celery_app import LazyApp
from flower.config import Config, log_level
from flower.counters import CounterLimits
from flower.redaction import Rules, parse_rules
from flower.store.protocols import Retention


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """Everything that `recorder_process.run_recorder` needs."""

    db: str
    capture: CaptureSettings
    retention: Retention = field(default_factory=Retention)
    #: cardinality limits of the counters
    limits: CounterLimits = field(default_factory=CounterLimits)
    log_level: str = "INFO"
    #: whether the text index has its own process; inside another program a thread is used
    index_process: bool = False


def settings_from_config(config: Config, app: LazyApp) -> RecorderSettings:
    """The recorder settings of a configuration. Imports the application. Raises InvalidRequest."""
    return RecorderSettings(
        db=config.db,
        capture=settings_from_app(
            app(),
            enable_events=config.enable_events,
            queue_expires=float(config.event_queue_expires),
            max_length=config.event_queue_length,
            redaction=redaction_rules(config),
        ),
        retention=Retention(
            max_tasks=config.max_tasks or None,
            max_age=float(config.max_age) or None,
            max_bytes=int(config.max_size) or None,
        ),
        limits=CounterLimits(config.metrics_max_names, config.metrics_max_pairs, config.task_runtime_metric_buckets),
        log_level=log_level(config),
        index_process=True,
    )


def redaction_rules(config: Config) -> Rules:
    """The redaction rules of the configuration. Raises InvalidRequest."""
    return parse_rules(config.redact, config.redact_patterns, config.redact_args or ())
