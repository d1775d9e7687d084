"""Routes that say how things stand: whether anything is wrong, which settings are missing, which are ours."""

from typing import Any, Final

from flower.api.checklist import Checklist, checklist
from flower.api.health.report import Health
from flower.api.health.rules import health_of
from flower.api.health.signs import gather
from flower.api.queue_rates import consumers_of, rates_now
from flower.api.reading import read
from flower.api.v1.acting import Acting, Action, Nothing
from flower.api.v1.ours import Ours, ours


async def health(acting: Acting, asked: Nothing, body: None) -> Health:
    context = acting.context

    def find_out() -> Health:
        rates, consumers = rates_now(context), consumers_of(context)
        return health_of(gather(context.records, context.ledger, rates=rates, consumers=consumers))

    return await read(lambda: context.health.of(find_out))


async def settings(acting: Acting, asked: Nothing, body: None) -> Checklist:
    return await read(lambda: checklist(acting.context))


_CONCERN: Final[dict[str, Any]] = {
    "kind": "queue_growing",
    "severity": "warning",
    "title": "mail is growing",
    "detail": "12,300 messages wait, 4.2 a second more: at this rate it is never empty.",
    "subject": {"type": "queue", "id": "mail", "query": "queue:mail"},
    "since": None,
    "value": 12300.0,
    "trend": [11040.0, 11670.0, 12300.0],
}

_ITEM: Final[dict[str, Any]] = {
    "setting": "task_send_sent_event",
    "state": "off",
    "how_known": "None of the 1,204 tasks within the last hour was seen being sent.",
    "gives": "Tasks from the moment they are sent, with queue and waiting time; rates of queues; "
    "tasks that no worker took.",
    "how": "app.conf.task_send_sent_event = True",
}

ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "GET", "/health", "getHealth", "status", "Whether anything is wrong, in words", "view", Nothing, None, Health,
        health,
        {"verdict": "warning", "sentence": "mail is growing", "at": 1795342600.0, "concerns": [_CONCERN]},
    ),
    Action(
        "GET", "/checklist", "getChecklist", "status", "Which settings of Celery are on, and what each gives", "view",
        Nothing, None, Checklist, settings, {"items": [_ITEM], "events_seen": True, "workers_seen": True},
    ),
    Action(
        "GET", "/settings", "getSettings", "status", "How long things are kept, what is masked, and what may be done",
        "view", Nothing, None, Ours, ours,
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
