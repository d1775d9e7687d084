"""Checks which Celery settings that Bellflower depends on are enabled: by recorded events, by the configuration that
workers returned when they were last inspected, and by the configuration of the application. A setting about which none
of them has information is unknown; the check sends no requests and loads nothing."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from flower.api.worker_states import find_live_workers
from flower.records import Worker
from flower.search.tree import Node, Term, all_of
from flower.store.protocols import Reader

if TYPE_CHECKING:
    from flower.api.context import Context

CheckState: TypeAlias = Literal["on", "off", "unknown"]

#: Seconds before now in which events are evaluated.
RECENT_SECONDS: Final = 3_600.0


class Check(msgspec.Struct, frozen=True):
    """One setting. `source`: what `state` is based on. `benefit`: what the setting provides. `instructions`: a line for
    the application's configuration."""

    setting: str
    state: CheckState
    source: str
    benefit: str
    instructions: str


class ConfigCheck(msgspec.Struct, frozen=True):
    """`events_seen`: a task event was recorded, at any time; `workers_seen`: a worker is known."""

    checks: tuple[Check, ...]
    events_seen: bool
    workers_seen: bool


@dataclass(frozen=True, slots=True)
class CheckInput:
    """Input of the rules. Task numbers are those of the last hour: received by workers, of those received the ones with
    a task-sent event, and all with a task-sent event."""

    received_tasks: int = 0
    received_and_sent_tasks: int = 0
    sent_tasks: int = 0
    #: by worker online: its settings that differ from the default
    worker_configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: settings of the application; None if the server was started without one, or has not loaded it
    app_config: Mapping[str, Any] | None = None
    #: a worker online that has run tasks without any task event; "" if there is none
    worker_without_events: str = ""


@dataclass(frozen=True, slots=True)
class SettingRule:
    """`old_names`: names in earlier versions of Celery. `check_events`: the state and its source by events, None if
    they do not determine it. `alternative`: how the feature can be on although no configuration enables it."""

    name: str
    old_names: tuple[str, ...]
    benefit: str
    check_events: Callable[[CheckInput], tuple[CheckState, str] | None]
    alternative: str = ""


def check_config(context: "Context") -> ConfigCheck:
    store, now = context.recorded_reader, time.time()
    check_input = collect_check_input(store, read_worker_configs(context, now), read_app_config(context), now)
    checks = tuple(_check_setting(rule, check_input) for rule in SETTING_RULES)
    return ConfigCheck(checks, store.status().tasks > 0, bool(store.workers()))


def collect_check_input(
    store: Reader, worker_configs: Mapping[str, Mapping[str, Any]], app_config: Mapping[str, Any] | None, now: float
) -> CheckInput:
    received = Term("received", "range", (now - RECENT_SECONDS, None))
    was_sent = Term("sent", "range", (None, None))
    count = store.count_until_deadline(received).count
    live_names = find_live_workers(store, now)
    live_workers = [worker for name, worker in store.workers().items() if name in live_names]
    return CheckInput(
        received_tasks=count,
        received_and_sent_tasks=store.count_until_deadline(all_of([received, was_sent])).count if count else 0,
        sent_tasks=store.count_until_deadline(_sent_after(now - RECENT_SECONDS)).count,
        worker_configs=worker_configs,
        app_config=app_config,
        worker_without_events="" if count else _find_worker_without_events(store, live_workers),
    )


def read_worker_configs(context: "Context", now: float) -> dict[str, Mapping[str, Any]]:
    """The settings of the workers online, as returned when they were last inspected."""
    live_workers = find_live_workers(context.store, now)
    configs = {
        name: inspection.get_value("conf")
        for name, inspection in context.inspections.all().items()
        if name in live_workers
    }
    return {name: config for name, config in configs.items() if isinstance(config, Mapping)}


def read_app_config(context: "Context") -> Mapping[str, Any] | None:
    """The settings of the application that the server was started with (-A); None without one, or if it is not
    loaded."""
    app = getattr(context.app, "loaded_app", None)
    if app is None or not getattr(context.app, "is_user_app", False):
        return None
    return {rule.name: app.conf.get(rule.name) for rule in SETTING_RULES}


def _sent_after(moment: float) -> Node:
    # the newest event of a task is not older than `sent`, and its bounds are known for each segment of the store
    return all_of([Term("timestamp", "range", (moment, None)), Term("sent", "range", (moment, None))])


def _find_worker_without_events(store: Reader, live_workers: Sequence[Worker]) -> str:
    for worker in live_workers:
        if worker.processed and not store.count_until_deadline(Term("worker", "equals", worker.hostname)).count:
            return worker.hostname
    return ""


def _check_setting(rule: SettingRule, check_input: CheckInput) -> Check:
    by_events = rule.check_events(check_input)
    state, source = by_events or _check_configuration(rule, check_input)
    if state == "off" and rule.alternative and by_events is None:
        state, source = "unknown", f"{source} {rule.alternative}"
    return Check(rule.name, state, source, rule.benefit, f"app.conf.{rule.name} = True")


def _check_configuration(rule: SettingRule, check_input: CheckInput) -> tuple[CheckState, str]:
    """By the configuration of the workers, which run the tasks, before that of the application."""
    configs, app_config = check_input.worker_configs, check_input.app_config
    if configs:
        enabled = {name for name, config in configs.items() if _is_enabled(config, rule)}
        if len(enabled) == len(configs):
            return "on", _describe_workers(len(enabled))
        missing = sorted(configs.keys() - enabled)
        others = "" if len(configs) == 1 else f" ({len(missing)} of {len(configs)} workers)"
        return "off", f"Not set on {missing[0]}{others}."
    if app_config is not None and app_config.get(rule.name) is not None:
        is_on = bool(app_config[rule.name])
        return ("on" if is_on else "off"), f"{'Set' if is_on else 'Not set'} in the application's configuration."
    return "unknown", "The configuration of the workers and of the application is unknown."


def _describe_workers(count: int) -> str:
    return "Set on the only worker online." if count == 1 else f"Set on all {count} workers online."


def _is_enabled(config: Mapping[str, Any], rule: SettingRule) -> bool:
    names = {rule.name, *rule.old_names}
    return any(bool(value) for name, value in config.items() if str(name).casefold() in names)


def _check_task_events(check_input: CheckInput) -> tuple[CheckState, str] | None:
    if check_input.received_tasks:
        return "on", f"Workers sent events of {check_input.received_tasks:,} tasks within the last hour."
    if check_input.worker_without_events:
        return "off", f"{check_input.worker_without_events} has run tasks without sending task events."
    return None


def _check_sent_events(check_input: CheckInput) -> tuple[CheckState, str] | None:
    received = check_input.received_tasks
    if check_input.received_and_sent_tasks:
        sent = check_input.received_and_sent_tasks
        return "on", f"{sent:,} of {received:,} tasks within the last hour have a task-sent event."
    if check_input.sent_tasks:
        return "on", f"{check_input.sent_tasks:,} tasks within the last hour have a task-sent event."
    if received:
        return "off", f"None of the {received:,} tasks within the last hour has a task-sent event."
    return None


def _check_nothing(check_input: CheckInput) -> None:
    """For settings that no event depends on."""


SETTING_RULES: Final[tuple[SettingRule, ...]] = (
    SettingRule(
        "worker_send_task_events",
        ("celeryd_send_events", "celery_send_events"),
        "Required: without it workers send no task events. Same as `celery worker -E`.",
        _check_task_events,
        "The worker option -E enables it as well; no task events were received within the last hour.",
    ),
    SettingRule(
        "task_send_sent_event",
        ("celery_send_task_sent_event",),
        "Records tasks when they are sent, with queue and queue time. Required for queue rates and for tasks that no "
        "worker received.",
        _check_sent_events,
    ),
    SettingRule(
        "task_track_started",
        ("celery_track_started",),
        "Stores STARTED in the result backend.",
        _check_nothing,
    ),
    SettingRule(
        "result_extended",
        ("celery_result_extended",),
        "Stores complete arguments in the result backend, so that tasks with truncated arguments can be re-run.",
        _check_nothing,
    ),
)
