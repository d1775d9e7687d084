"""Which settings of the user's Celery are on: as far as the records, the workers' own answers and the configuration of
the application tell. What none of them tells is unknown; nobody is asked anew, and nothing is loaded for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from flower.records import Worker
from flower.search.tree import Node, Term, all_of
from flower.store.protocols import Reader

if TYPE_CHECKING:
    from flower.api.context import Context

CheckState: TypeAlias = Literal["on", "off", "unknown"]

#: Seconds of the past that say how things are now.
RECENT_SECONDS: Final = 3_600.0


class Check(msgspec.Struct, frozen=True):
    """`how_known`: what `state` rests on. `gives`: what one has of it. `how`: a line for the application's
    configuration."""

    setting: str
    state: CheckState
    source: str
    benefit: str
    instructions: str


class ConfigCheck(msgspec.Struct, frozen=True):
    """`events_seen`: of tasks, at any time; `workers_seen`: some worker was ever heard."""

    checks: tuple[Check, ...]
    events_seen: bool
    workers_seen: bool


@dataclass(frozen=True, slots=True)
class CheckInput:
    """What is known. Of tasks: how many were received by workers and sent within the last hour, and how many of those
    received were seen being sent."""

    received_tasks: int = 0
    received_and_sent_tasks: int = 0
    sent_tasks: int = 0
    #: by name, what live workers said is set and not left at its default
    worker_configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: of the application that the server was given; None if it was given none, or has not loaded it
    app_config: Mapping[str, Any] | None = None
    #: a live worker that has run tasks of which no event came
    worker_without_events: str = ""


@dataclass(frozen=True, slots=True)
class SettingRule:
    """`old` are the names of it in former versions; `seen` what the records say, None if nothing. `otherwise`: how it
    may be on although no configuration says so."""

    name: str
    old_names: tuple[str, ...]
    benefit: str
    check_events: Callable[[CheckInput], tuple[CheckState, str] | None]
    alternative: str = ""


def check_config(context: "Context") -> ConfigCheck:
    store, now = context.recorded_reader, time.time()
    known = collect_check_input(store, read_worker_configs(context, now), read_app_config(context), now)
    return ConfigCheck(
        tuple(_check_setting(setting, known) for setting in SETTING_RULES),
        store.status().tasks > 0,
        bool(store.workers()),
    )


def collect_check_input(
    store: Reader, confs: Mapping[str, Mapping[str, Any]], app: Mapping[str, Any] | None, now: float
) -> CheckInput:
    received = Term("received", "range", (now - RECENT_SECONDS, None))
    was_sent = Term("sent", "range", (None, None))
    count = store.count_until_deadline(received).count
    alive = [worker for worker in store.workers().values() if worker.is_alive(now)]
    return CheckInput(
        received_tasks=count,
        received_and_sent_tasks=store.count_until_deadline(all_of([received, was_sent])).count if count else 0,
        sent_tasks=store.count_until_deadline(_sent_after(now - RECENT_SECONDS)).count,
        worker_configs=confs,
        app_config=app,
        worker_without_events="" if count else _find_worker_without_events(store, alive),
    )


def read_worker_configs(context: "Context", now: float) -> dict[str, Mapping[str, Any]]:
    """What live workers said of their settings when they were last asked."""
    alive = {name for name, worker in context.store.workers().items() if worker.is_alive(now)}
    said = {name: found.get_value("conf") for name, found in context.inspections.all().items() if name in alive}
    return {name: conf for name, conf in said.items() if isinstance(conf, Mapping)}


def read_app_config(context: "Context") -> Mapping[str, Any] | None:
    """Of the application, if it is the user's and is loaded already."""
    app = getattr(context.app, "loaded", None)
    if app is None or not getattr(context.app, "named", False):
        return None
    return {setting.name: app.conf.get(setting.name) for setting in SETTING_RULES}


def _sent_after(moment: float) -> Node:
    # the newest event of a task is not older than its sending, and of that each part of the store knows the bounds
    return all_of([Term("timestamp", "range", (moment, None)), Term("sent", "range", (moment, None))])


def _find_worker_without_events(store: Reader, alive: Sequence[Worker]) -> str:
    for worker in alive:
        if worker.processed and not store.count_until_deadline(Term("worker", "equals", worker.hostname)).count:
            return worker.hostname
    return ""


def _check_setting(setting: SettingRule, known: CheckInput) -> Check:
    state, how_known = setting.check_events(known) or _check_configuration(setting, known)
    if state == "off" and setting.alternative and setting.check_events(known) is None:
        state, how_known = "unknown", f"{how_known} {setting.alternative}"
    return Check(setting.name, state, how_known, setting.benefit, f"app.conf.{setting.name} = True")


def _check_configuration(setting: SettingRule, known: CheckInput) -> tuple[CheckState, str]:
    """By the workers' own word before that of the application, for they run."""
    if known.worker_configs:
        on = sorted(name for name, conf in known.worker_configs.items() if _is_set(conf, setting))
        if len(on) == len(known.worker_configs):
            return "on", _describe_workers(len(on), "said that it is set")
        missing = sorted(known.worker_configs.keys() - set(on))
        some = "" if len(known.worker_configs) == 1 else f" ({len(missing)} of {len(known.worker_configs)} workers)"
        return "off", f"{missing[0]} said that it is not set{some}."
    if known.app_config is not None and known.app_config.get(setting.name) is not None:
        on_here = bool(known.app_config[setting.name])
        return ("on" if on_here else "off"), f"It is {'' if on_here else 'not '}set in the application's configuration."
    return "unknown", "No worker has told its settings, and the application's configuration is not known here."


def _describe_workers(count: int, said: str) -> str:
    return f"The only worker that lives {said}." if count == 1 else f"All {count} workers that live {said}."


def _is_set(conf: Mapping[str, Any], setting: SettingRule) -> bool:
    names = {setting.name, *setting.old_names}
    return any(bool(value) for name, value in conf.items() if str(name).casefold() in names)


def _check_task_events(known: CheckInput) -> tuple[CheckState, str] | None:
    if known.received_tasks:
        return "on", f"Workers told of {known.received_tasks:,} tasks within the last hour."
    if known.worker_without_events:
        return "off", f"{known.worker_without_events} has run tasks, and no event tells of any."
    return None


def _check_sent_events(known: CheckInput) -> tuple[CheckState, str] | None:
    if known.received_and_sent_tasks:
        return (
            "on",
            (
                f"Of {known.received_tasks:,} tasks within the last hour, {known.received_and_sent_tasks:,} were seen"
                " being sent."
            ),
        )
    if known.sent_tasks:
        return "on", f"{known.sent_tasks:,} tasks were seen being sent within the last hour."
    if known.received_tasks:
        return "off", f"None of the {known.received_tasks:,} tasks within the last hour was seen being sent."
    return None


def _check_nothing(known: CheckInput) -> None:
    """No event depends on it."""


SETTING_RULES: Final[tuple[SettingRule, ...]] = (
    SettingRule(
        "worker_send_task_events",
        ("celeryd_send_events", "celery_send_events"),
        "Everything about tasks: without it no worker tells of any. `celery worker -E` does the same.",
        _check_task_events,
        "The option -E of a worker turns it on, too; no worker told of a task within the last hour.",
    ),
    SettingRule(
        "task_send_sent_event",
        ("celery_send_task_sent_event",),
        "Tasks from the moment they are sent, with queue and waiting time; rates of queues; tasks that no worker took.",
        _check_sent_events,
    ),
    SettingRule(
        "task_track_started",
        ("celery_track_started",),
        "The state STARTED in the result backend, for whoever asks there while a task runs.",
        _check_nothing,
    ),
    SettingRule(
        "result_extended",
        ("celery_result_extended",),
        "Arguments kept whole in the result backend, so that a task can be run again although its event was cut short.",
        _check_nothing,
    ),
)
