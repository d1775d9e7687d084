"""How this server is set up, as far as those who use it are concerned. Nothing secret is told."""

import logging

import msgspec

from flower import __version__
from flower.api.thread_pool import run_in_thread
from flower.errors import FlowerError
from flower.http.v1.route import NoParams, RequestContext
from flower.redaction import Rules, mask_url
from flower.store.ledger.queue_samples import RAW_SAMPLE_RETENTION, SAMPLE_RETENTION

log = logging.getLogger(__name__)


class RetentionSettings(msgspec.Struct, frozen=True):
    """Seconds; 0 is without end. `max_tasks`: of more the oldest go; `samples_exact`: after that the history of queues
    is told in steps of five minutes."""

    task_max_age: float
    max_tasks: int
    audit_max_age: float
    queue_samples_exact_max_age: float
    queue_samples_max_age: float


class RedactionSettings(msgspec.Struct, frozen=True):
    """What is masked before it is kept: values under `names`, what looks like one of `patterns`, positional `arguments`
    of tasks, numbered from 0."""

    names: tuple[str, ...]
    patterns: tuple[str, ...]
    arguments: tuple[str, ...]


class BulkSettings(msgspec.Struct, frozen=True):
    """Tasks that one job takes, and how many of them are worked off in a second."""

    limit: int
    rate: float


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`broker`: its address without the password, null if the application cannot be loaded. `login`: whether one is
    needed."""

    version: str
    broker_url: str | None
    read_only: bool
    login_required: bool
    retention: RetentionSettings
    redaction: RedactionSettings
    bulk: BulkSettings


async def get_server_settings(acting: RequestContext, asked: NoParams, body: None) -> ServerSettings:
    context = acting.server
    return ServerSettings(
        version=__version__,
        broker_url=await run_in_thread(lambda: _broker_url(acting)),
        read_only=context.read_only,
        login_required=context.login_required,
        retention=RetentionSettings(
            context.max_age,
            context.max_tasks,
            context.audit_max_age,
            float(RAW_SAMPLE_RETENTION),
            float(SAMPLE_RETENTION),
        ),
        redaction=_redaction_settings(context.redactor.rules),
        bulk=BulkSettings(context.bulk_limit, context.bulk_rate),
    )


def _redaction_settings(rules: Rules) -> RedactionSettings:
    placed = (
        f"{task}: {'all' if places is None else ', '.join(str(place) for place in places)}"
        for task, places in rules.positions
    )
    return RedactionSettings(rules.names, rules.patterns, tuple(placed))


def _broker_url(acting: RequestContext) -> str | None:
    try:
        return mask_url(acting.server.app().conf.broker_read_url)
    except FlowerError as error:
        log.warning("The broker's address is not known: %s", error)
        return None
