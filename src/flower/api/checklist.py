"""Which settings of the user's Celery are on: as far as the records, the workers' own answers and the configuration of
the application tell. What none of them tells is unknown; nobody is asked anew, and nothing is loaded for it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from flower.records import Worker
from flower.search.tree import Node, Term, all_of
from flower.store.port import Reader

if TYPE_CHECKING:
    from flower.api.context import Context

State: TypeAlias = Literal["on", "off", "unknown"]

#: Seconds of the past that say how things are now.
RECENT: Final = 3_600.0


class Item(msgspec.Struct, frozen=True):
    """`how_known`: what `state` rests on. `gives`: what one has of it. `how`: a line for the application's
    configuration."""

    setting: str
    state: State
    how_known: str
    gives: str
    how: str


class Checklist(msgspec.Struct, frozen=True):
    """`events_seen`: of tasks, at any time; `workers_seen`: some worker was ever heard."""

    items: tuple[Item, ...]
    events_seen: bool
    workers_seen: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known. Of tasks: how many were received by workers and sent within the last hour, and how many of those
    received were seen being sent."""

    received: int = 0
    received_sent: int = 0
    sent: int = 0
    #: by name, what live workers said is set and not left at its default
    confs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: of the application that the server was given; None if it was given none, or has not loaded it
    app: Mapping[str, Any] | None = None
    #: a live worker that has run tasks of which no event came
    mute: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """`old` are the names of it in former versions; `seen` what the records say, None if nothing. `otherwise`: how it
    may be on although no configuration says so."""

    name: str
    old: tuple[str, ...]
    gives: str
    seen: Callable[[Evidence], tuple[State, str] | None]
    otherwise: str = ""


def checklist(context: "Context") -> Checklist:
    store, now = context.records, time.time()
    known = evidence(store, confs_of(context, now), app_conf(context), now)
    return Checklist(
        tuple(_item(setting, known) for setting in SETTINGS), store.status().tasks > 0, bool(store.workers())
    )


def evidence(
    store: Reader, confs: Mapping[str, Mapping[str, Any]], app: Mapping[str, Any] | None, now: float
) -> Evidence:
    received = Term("received", "range", (now - RECENT, None))
    was_sent = Term("sent", "range", (None, None))
    count = store.counted(received).count
    alive = [worker for worker in store.workers().values() if worker.is_alive(now)]
    return Evidence(
        received=count,
        received_sent=store.counted(all_of([received, was_sent])).count if count else 0,
        sent=store.counted(_sent_since(now - RECENT)).count,
        confs=confs,
        app=app,
        mute="" if count else _mute(store, alive),
    )


def confs_of(context: "Context", now: float) -> dict[str, Mapping[str, Any]]:
    """What live workers said of their settings when they were last asked."""
    alive = {name for name, worker in context.store.workers().items() if worker.is_alive(now)}
    said = {name: found.value("conf") for name, found in context.inspections.all().items() if name in alive}
    return {name: conf for name, conf in said.items() if isinstance(conf, Mapping)}


def app_conf(context: "Context") -> Mapping[str, Any] | None:
    """Of the application, if it is the user's and is loaded already."""
    app = getattr(context.app, "loaded", None)
    if app is None or not getattr(context.app, "named", False):
        return None
    return {setting.name: app.conf.get(setting.name) for setting in SETTINGS}


def _sent_since(moment: float) -> Node:
    # the newest event of a task is not older than its sending, and of that each part of the store knows the bounds
    return all_of([Term("timestamp", "range", (moment, None)), Term("sent", "range", (moment, None))])


def _mute(store: Reader, alive: Sequence[Worker]) -> str:
    for worker in alive:
        if worker.processed and not store.counted(Term("worker", "equals", worker.hostname)).count:
            return worker.hostname
    return ""


def _item(setting: Setting, known: Evidence) -> Item:
    state, how_known = setting.seen(known) or _configured(setting, known)
    if state == "off" and setting.otherwise and setting.seen(known) is None:
        state, how_known = "unknown", f"{how_known} {setting.otherwise}"
    return Item(setting.name, state, how_known, setting.gives, f"app.conf.{setting.name} = True")


def _configured(setting: Setting, known: Evidence) -> tuple[State, str]:
    """By the workers' own word before that of the application, for they run."""
    if known.confs:
        on = sorted(name for name, conf in known.confs.items() if _is_set(conf, setting))
        if len(on) == len(known.confs):
            return "on", _sentence(len(on), "said that it is set")
        missing = sorted(known.confs.keys() - set(on))
        some = "" if len(known.confs) == 1 else f" ({len(missing)} of {len(known.confs)} workers)"
        return "off", f"{missing[0]} said that it is not set{some}."
    if known.app is not None and known.app.get(setting.name) is not None:
        on_here = bool(known.app[setting.name])
        return ("on" if on_here else "off"), f"It is {'' if on_here else 'not '}set in the application's configuration."
    return "unknown", "No worker has told its settings, and the application's configuration is not known here."


def _sentence(count: int, said: str) -> str:
    return f"The only worker that lives {said}." if count == 1 else f"All {count} workers that live {said}."


def _is_set(conf: Mapping[str, Any], setting: Setting) -> bool:
    names = {setting.name, *setting.old}
    return any(bool(value) for name, value in conf.items() if str(name).casefold() in names)


def _task_events(known: Evidence) -> tuple[State, str] | None:
    if known.received:
        return "on", f"Workers told of {known.received:,} tasks within the last hour."
    if known.mute:
        return "off", f"{known.mute} has run tasks, and no event tells of any."
    return None


def _sent_events(known: Evidence) -> tuple[State, str] | None:
    if known.received_sent:
        return "on", f"Of {known.received:,} tasks within the last hour, {known.received_sent:,} were seen being sent."
    if known.sent:
        return "on", f"{known.sent:,} tasks were seen being sent within the last hour."
    if known.received:
        return "off", f"None of the {known.received:,} tasks within the last hour was seen being sent."
    return None


def _nothing(known: Evidence) -> None:
    """No event depends on it."""


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "worker_send_task_events",
        ("celeryd_send_events", "celery_send_events"),
        "Everything about tasks: without it no worker tells of any. `celery worker -E` does the same.",
        _task_events,
        "The option -E of a worker turns it on, too; no worker told of a task within the last hour.",
    ),
    Setting(
        "task_send_sent_event",
        ("celery_send_task_sent_event",),
        "Tasks from the moment they are sent, with queue and waiting time; rates of queues; tasks that no worker took.",
        _sent_events,
    ),
    Setting(
        "task_track_started",
        ("celery_track_started",),
        "The state STARTED in the result backend, for whoever asks there while a task runs.",
        _nothing,
    ),
    Setting(
        "result_extended",
        ("celery_result_extended",),
        "Arguments kept whole in the result backend, so that a task can be run again although its event was cut short.",
        _nothing,
    ),
)
