"""Routes of the server itself: status, health, configuration check and settings."""

import logging
import time
from typing import Any, Final

import msgspec

from flower import __version__
from flower.api.config_check import ConfigCheck, check_config
from flower.api.gaps import load_gaps
from flower.api.health.models import Health
from flower.api.health.rules import evaluate_health
from flower.api.health.snapshot import collect_snapshot
from flower.api.queues import get_current_rates, list_queue_consumers
from flower.errors import FlowerError
from flower.http.v1.route import NoParams, RequestContext, Route
from flower.http.v1.schemas import MigrationState, ReconcileRow, RecorderRow, StatusResponse, StoreState, UnreadableRow
from flower.recorder_status import RecorderStatus, UnreadableReport
from flower.redaction import Rules, mask_url
from flower.store.ledger import Ledger
from flower.store.ledger.queue_samples import RAW_SAMPLE_RETENTION, SAMPLE_RETENTION
from flower.store.protocols import Reader, StoreMigration

log = logging.getLogger(__name__)


class RetentionSettings(msgspec.Struct, frozen=True):
    """Ages in seconds; 0 is unlimited. If there are more than `max_tasks`, the oldest are deleted. After
    `queue_samples_exact_max_age` the history of queues has a resolution of five minutes."""

    task_max_age: float
    max_tasks: int
    audit_max_age: float
    queue_samples_exact_max_age: float
    queue_samples_max_age: float


class RedactionSettings(msgspec.Struct, frozen=True):
    """What is masked before it is stored: values whose name matches `names`, text that matches a pattern in `patterns`,
    and the positional `arguments` of tasks, numbered from 0."""

    names: tuple[str, ...]
    patterns: tuple[str, ...]
    arguments: tuple[str, ...]


class BulkSettings(msgspec.Struct, frozen=True):
    """`limit`: maximum number of tasks in one job. `rate`: maximum number of tasks per second."""

    limit: int
    rate: float


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`broker_url` is the broker's URL without the password, null if the application cannot be loaded."""

    version: str
    broker_url: str | None
    read_only: bool
    login_required: bool
    retention: RetentionSettings
    redaction: RedactionSettings
    bulk: BulkSettings


def get_status(ctx: RequestContext, params: NoParams, body: None) -> StatusResponse:
    return read_status(ctx.store, ctx.server.ledger)


def get_health(ctx: RequestContext, params: NoParams, body: None) -> Health:
    server = ctx.server

    def evaluate() -> Health:
        rates, consumers = get_current_rates(server), list_queue_consumers(server)
        return evaluate_health(
            collect_snapshot(server.recorded_reader, server.ledger, rates=rates, consumers=consumers)
        )

    return server.health_cache.get(evaluate)


def get_config_check(ctx: RequestContext, params: NoParams, body: None) -> ConfigCheck:
    return check_config(ctx.server)


def get_settings(ctx: RequestContext, params: NoParams, body: None) -> ServerSettings:
    server = ctx.server
    return ServerSettings(
        version=__version__,
        broker_url=_broker_url(ctx),
        read_only=server.read_only,
        login_required=server.login_required,
        retention=RetentionSettings(
            task_max_age=server.max_age,
            max_tasks=server.max_tasks,
            audit_max_age=server.audit_max_age,
            queue_samples_exact_max_age=float(RAW_SAMPLE_RETENTION),
            queue_samples_max_age=float(SAMPLE_RETENTION),
        ),
        redaction=_redaction_settings(server.redactor.rules),
        bulk=BulkSettings(server.bulk_limit, server.bulk_rate),
    )


def _redaction_settings(rules: Rules) -> RedactionSettings:
    arguments = (
        f"{task}: {'all' if positions is None else ', '.join(map(str, positions))}"
        for task, positions in rules.positions
    )
    return RedactionSettings(rules.names, rules.patterns, tuple(arguments))


def _broker_url(ctx: RequestContext) -> str | None:
    try:
        return mask_url(ctx.server.app().conf.broker_read_url)
    except FlowerError as error:
        log.warning("Cannot determine the broker URL: %s", error)
        return None


def read_status(store: Reader, ledger: Ledger | None) -> StatusResponse:
    now = time.time()
    store_status, recorder = store.status(), RecorderStatus.from_dict(store.recorder_status())
    view = recorder.view(now)
    return StatusResponse(
        recording=recorder.is_recording(now),
        store=StoreState(
            sequence=store_status.sequence,
            task_count=store_status.tasks,
            size_bytes=store_status.size_bytes,
            segment_count=store_status.segments,
            damaged=store_status.damaged,
            migration=_migration_state(store_status.migration, is_interrupted=not recorder.is_alive(now)),
        ),
        recorder=RecorderRow(
            state=recorder.state(now),
            reported_at=recorder.reported_at,
            running=recorder.running,
            connected=recorder.connected,
            events=recorder.events,
            last_event_at=recorder.last_event_at,
            error=recorder.error,
            connection_error=recorder.connection_error,
            lag=recorder.lag,
            reconcile=None
            if recorder.reconcile is None
            else ReconcileRow(**msgspec.structs.asdict(recorder.reconcile)),
            unreadable=_unreadable_row(recorder.unreadable),
            blocked_since=recorder.blocked_since if recorder.is_alive(now) else None,
            current_at=None if recorder.reported_at is None else view.as_of,
            interruption=view.interruption,
        ),
        gaps=tuple(load_gaps(store, ledger, dismissed="no")),
    )


def _migration_state(migration: StoreMigration | None, *, is_interrupted: bool) -> MigrationState | None:
    if migration is None:
        return None
    return MigrationState(migration.done, migration.total, migration.started_at, migration.error, is_interrupted)


def _unreadable_row(report: UnreadableReport | None) -> UnreadableRow | None:
    if report is None or not report.count:
        return None
    return UnreadableRow(
        count=report.count,
        last_at=report.last_at,
        reasons=report.reasons,
        encodings=report.encodings,
        sample=report.sample,
    )


_ISSUE_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "queue_growing",
    "severity": "warning",
    "title": "mail is growing",
    "detail": "12,300 messages wait, 4.2 more per second: at this rate the queue never empties.",
    "subject": {"type": "queue", "id": "mail", "query": "queue:mail"},
    "started_at": None,
    "value": 12300.0,
    "trend": [11040.0, 11670.0, 12300.0],
}
_CHECK_EXAMPLE: Final[dict[str, Any]] = {
    "setting": "task_send_sent_event",
    "state": "off",
    "source": "None of the 1,204 tasks within the last hour has a task-sent event.",
    "benefit": "Records tasks when they are sent, with queue and queue time. Required for queue rates and for tasks "
    "that no worker received.",
    "instructions": "app.conf.task_send_sent_event = True",
}
_SETTINGS_EXAMPLE: Final[dict[str, Any]] = {
    "version": "2.3.0",
    "broker_url": "redis://:**@redis:6379/0",
    "read_only": False,
    "login_required": True,
    "retention": {
        "task_max_age": 2592000.0,
        "max_tasks": 0,
        "audit_max_age": 0.0,
        "queue_samples_exact_max_age": 172800.0,
        "queue_samples_max_age": 7776000.0,
    },
    "redaction": {"names": ["*password*"], "patterns": ["url"], "arguments": ["shop.login: 1"]},
    "bulk": {"limit": 10000, "rate": 100.0},
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/status", "getStatus", "system", "Get the status of store and recorder", get_status,
        response=StatusResponse, example="status",
    ),
    Route(
        "GET", "/health", "getHealth", "system", "Get the health of cluster, recorder and store", get_health,
        response=Health,
        example={
            "status": "warning",
            "summary": "mail is growing",
            "checked_at": 1795342600.0,
            "issues": [_ISSUE_EXAMPLE],
            "next_step": "",
        },
    ),
    Route(
        "GET", "/config-check", "getConfigCheck", "system", "Check the Celery settings that monitoring needs",
        get_config_check, response=ConfigCheck,
        example={"checks": [_CHECK_EXAMPLE], "events_seen": True, "workers_seen": True},
    ),
    Route(
        "GET", "/settings", "getSettings", "system", "Get the server's settings: retention, redaction, bulk jobs",
        get_settings, response=ServerSettings, example=_SETTINGS_EXAMPLE,
    ),
)  # fmt: skip
