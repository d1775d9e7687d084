"""Routes that say how things stand: whether anything is wrong, which settings are missing, which are ours."""

from typing import Any, Final

from flower.api.config_check import ConfigCheck, check_config
from flower.api.health.models import Health
from flower.api.health.rules import evaluate_health
from flower.api.health.snapshot import collect_snapshot
from flower.api.queues import get_current_rates, list_queue_consumers
from flower.api.thread_pool import run_in_thread
from flower.http.v1.route import ActionRoute, NoParams, RequestContext
from flower.http.v1.server_settings import ServerSettings, get_server_settings


async def get_health(acting: RequestContext, asked: NoParams, body: None) -> Health:
    context = acting.server

    def find_out() -> Health:
        rates, consumers = get_current_rates(context), list_queue_consumers(context)
        return evaluate_health(
            collect_snapshot(context.recorded_reader, context.ledger, rates=rates, consumers=consumers)
        )

    return await run_in_thread(lambda: context.health_cache.get(find_out))


async def get_config_check(acting: RequestContext, asked: NoParams, body: None) -> ConfigCheck:
    return await run_in_thread(lambda: check_config(acting.server))


_ISSUE_EXAMPLE: Final[dict[str, Any]] = {
    "kind": "queue_growing",
    "severity": "warning",
    "title": "mail is growing",
    "detail": "12,300 messages wait, 4.2 a second more: at this rate it is never empty.",
    "subject": {"type": "queue", "id": "mail", "query": "queue:mail"},
    "since": None,
    "value": 12300.0,
    "trend": [11040.0, 11670.0, 12300.0],
}

_CHECK_EXAMPLE: Final[dict[str, Any]] = {
    "setting": "task_send_sent_event",
    "state": "off",
    "how_known": "None of the 1,204 tasks within the last hour was seen being sent.",
    "gives": (
        "Tasks from the moment they are sent, with queue and waiting time; rates of queues; tasks that no worker took."
    ),
    "how": "app.conf.task_send_sent_event = True",
}

SYSTEM_ROUTES: Final[tuple[ActionRoute, ...]] = (
    ActionRoute(
        "GET", "/health", "getHealth", "status", "Whether anything is wrong, in words", "view", NoParams, None, Health,
        get_health,
        {"verdict": "warning", "sentence": "mail is growing", "at": 1795342600.0, "concerns": [_ISSUE_EXAMPLE]},
    ),
    ActionRoute(
        "GET", "/checklist", "getChecklist", "status", "Which settings of Celery are on, and what each gives", "view",
        NoParams, None, ConfigCheck, get_config_check, {"items": [_CHECK_EXAMPLE], "events_seen": True,
        "workers_seen": True},
    ),
    ActionRoute(
        "GET", "/settings", "getSettings", "status", "How long things are kept, what is masked, and what may be done",
        "view", NoParams, None, ServerSettings, get_server_settings,
        {
            "version": "2.3.0", "broker": "redis://:**@redis:6379/0", "read_only": False, "login": True,
            "kept": {
                "max_age": 2592000.0, "max_tasks": 0, "audit_max_age": 0.0, "samples_exact": 172800.0,
                "samples": 7776000.0,
            },
            "redaction": {"names": ["*password*"], "patterns": ["url"], "arguments": ["shop.login: 1"]},
            "bulk": {"limit": 10000, "rate": 100.0},
        },
    ),
)  # fmt: skip
