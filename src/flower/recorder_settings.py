"""The settings of a recorder, picklable, and their derivation from the configuration. Does not import Celery."""

import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flower.capture.settings import CaptureSettings, settings_from_app
from flower.celery_app import LazyApp
from flower.config import Config, log_level
from flower.counters import CounterLimits
from flower.redaction import Rules, parse_rules
from flower.store.protocols import Retention

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

#: Written to the standard input of the recorder process before a planned stop.
STOP_MESSAGE: Final = b"stop"

#: The Celery settings that define how to reach workers, broker and result backend.
_RECONCILE_PREFIXES = (
    "broker_", "control_", "redis_", "result_", "database_", "cache_", "cassandra_", "couchbase_", "mongodb_", "s3_",
    "azureblockblob_", "elasticsearch_", "dynamodb_", "gcs_", "cosmosdbsql_", "arangodb_", "couchdb_", "etcd_",
)  # fmt: skip
_RECONCILE_NAMES = (
    "accept_content", "task_serializer", "task_default_queue", "task_queues", "task_queue_max_priority",
    "task_acks_late", "timezone", "enable_utc", "security_key", "security_certificate", "security_cert_store",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """What the reconciler needs. Created by `reconcile_settings`."""

    #: Celery settings; never shown, because they contain passwords
    conf: Mapping[str, Any] = field(repr=False)
    #: what is masked in results and arguments
    redaction: Rules = field(default_factory=Rules)


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
    #: None = tasks are not reconciled
    reconcile: ReconcileSettings | None = None
    #: whether a process of its own receives events where the broker does not keep them; inside another program a thread
    #: is used
    drain_process: bool = False


def settings_from_config(config: Config, app: LazyApp) -> RecorderSettings:
    """The recorder settings of a configuration. Imports the application. Raises InvalidRequest."""
    return RecorderSettings(
        db=config.db,
        capture=settings_from_app(
            app(),
            enable_events=config.enable_events,
            drain_linger=float(config.event_drain_linger),
            log_level=log_level(config),
            queue_expires=float(config.event_queue_expires),
            max_length=config.event_queue_length,
            durable_events=config.durable_events,
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
        reconcile=reconcile_settings(app(), redaction_rules(config)) if config.reconcile else None,
        drain_process=True,
    )


def redaction_rules(config: Config) -> Rules:
    """The redaction rules of the configuration. Raises InvalidRequest."""
    return parse_rules(config.redact, config.redact_patterns, config.redact_args or ())


def reconcile_settings(app: "Celery", redaction: Rules) -> ReconcileSettings:
    """The settings of broker and result backend of `app`, picklable. A setting that cannot be pickled is left out and
    logged."""
    conf: dict[str, Any] = {}
    for name, value in _settings_for_reconcile(app).items():
        try:
            pickle.dumps(value)
        except Exception as error:  # noqa: BLE001  an object's __reduce__ may raise anything
            log.warning("reconcile: cannot pass the setting %s to the recorder: %s", name, type(error).__name__)
        else:
            conf[name] = value
    return ReconcileSettings(conf, redaction)


def _settings_for_reconcile(app: "Celery") -> dict[str, Any]:
    names = [name for name in app.conf if name.startswith(_RECONCILE_PREFIXES) or name in _RECONCILE_NAMES]
    values = {name: app.conf.get(name) for name in names}
    # Celery also reads these from the environment.
    for name in ("broker_url", "broker_read_url", "broker_write_url", "result_backend"):
        values[name] = getattr(app.conf, name)
    if isinstance(app.backend_cls, str):
        values["result_backend"] = app.backend_cls
    return {name: value for name, value in values.items() if value is not None}
