"""Checks of workers: which reply, whether their task events are enabled, heartbeats, clocks."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from flower import cluster
from flower.api.health.remedies import ENABLE_EVENTS_REMEDY, describe_no_events, list_names, remedy_no_events
from flower.api.health.rules import MIN_CLOCK_OFFSET
from flower.capture.enable_events import read_enable_reply
from flower.doctor.event_probe import create_probe_source, receive_worker_events
from flower.doctor.examination import Examination
from flower.doctor.models import Outcome, Skipped
from flower.recorder_status import NoEventsCause
from flower.records import Event

#: Seconds to wait for replies of workers, and for their events: two heartbeats at Celery's interval of 2 s.
_REPLY_TIME: Final = 2.0
_LISTEN_TIME: Final = 5.0
#: The interval that a worker states in the heartbeat that the command `heartbeat` requests.
_REQUESTED_FREQ: Final = 5.0


def check_workers(examination: Examination) -> Iterable[Outcome]:
    """Which workers reply, and whether they send task events. Celery reports that only in the reply to
    `enable_events`; a worker whose events were disabled gets `disable_events` afterwards, so that nothing changes."""
    examination.require_broker()
    replies = _call(examination.app, "enable_events", None)
    examination.workers = frozenset(replies)
    if not replies:
        action = "Start a worker with the same broker: celery -A proj worker -E. Compare its broker_url with this one."
        return [Outcome("warning", f"No worker replied within {_REPLY_TIME:g} s", action)]
    outcomes = {name: read_enable_reply(reply) for name, reply in sorted(replies.items())}
    disabled = [name for name, outcome in outcomes.items() if outcome == "enabled"]
    if disabled:
        _call(examination.app, "disable_events", disabled)
    without_events = [name for name, outcome in outcomes.items() if outcome == "failed"]
    return [
        Outcome("ok", f"{list_names(sorted(replies))} replied"),
        *_event_findings(examination, disabled, without_events),
    ]


def _event_findings(
    examination: Examination, disabled: Sequence[str], without_events: Sequence[str]
) -> Iterator[Outcome]:
    if without_events:
        yield _no_events("no_dispatcher", without_events)
    elif not disabled:
        yield Outcome("ok", "Task events are enabled on all of them")
    if disabled and examination.config.enable_events:
        found = f"Task events are disabled on {list_names(disabled)}; a running server enables them"
        action = f"{ENABLE_EVENTS_REMEDY} Otherwise tasks between the start of a worker and this are not recorded."
        yield Outcome("ok", found, action)
    elif disabled:
        yield _no_events("not_enabled", disabled)


def _no_events(cause: NoEventsCause, workers: Sequence[str]) -> Outcome:
    return Outcome("error", describe_no_events(cause, workers), remedy_no_events(cause))


def check_heartbeats(examination: Examination) -> Iterable[Outcome]:
    """Receive events for some seconds: heartbeats that are sent anyway, and one that is requested."""
    examination.require_broker()
    app = examination.app
    events = receive_worker_events(
        create_probe_source(examination), _LISTEN_TIME, on_connected=lambda: _broadcast(app, "heartbeat")
    )
    by_worker: dict[str, list[tuple[float, Event]]] = {}
    for received, event in events:
        by_worker.setdefault(str(event.hostname), []).append((received, event))
    # Latency makes a clock look late: the largest difference is the most exact one.
    examination.clock_offsets = {
        name: max(event.timestamp - received for received, event in each) for name, each in by_worker.items()
    }
    examination.worker_versions = {
        name: version for name, each in by_worker.items() if (version := _last_version(each)) is not None
    }
    if not examination.workers and not by_worker:
        raise Skipped("no worker replied")
    return list(_heartbeat_findings(examination.workers, by_worker))


def _heartbeat_findings(
    workers: Iterable[str], by_worker: Mapping[str, Sequence[tuple[float, Event]]]
) -> Iterator[Outcome]:
    silent = sorted(set(workers) - set(by_worker))
    uncontrolled = sorted(set(by_worker) - set(workers))
    without = sorted(
        name
        for name in set(workers) & set(by_worker)
        if not any(event.type == "worker-heartbeat" and event.freq != _REQUESTED_FREQ for _, event in by_worker[name])
    )
    if uncontrolled:
        found = describe_no_events("no_remote_control", uncontrolled)
        yield Outcome("warning", found, remedy_no_events("no_remote_control"))
    if silent:
        action = (
            "Compare event_exchange, global_keyprefix and broker_url of workers and Bellflower; a solo worker with "
        )
        action += "a running task sends nothing until it ends."
        found = f"No event of {list_names(silent)} arrived within {_LISTEN_TIME:g} s, although they reply"
        yield Outcome("error" if len(silent) == len(set(workers)) else "warning", found, action)
    if without:
        found = f"No heartbeat of {list_names(without)} within {_LISTEN_TIME:g} s"
        action = "Start workers without --without-heartbeat and with an interval of 2 s: otherwise a killed worker is "
        action += "noticed late."
        yield Outcome("warning", found, action)
    if not silent and not without and not uncontrolled:
        yield Outcome("ok", f"Heartbeats of {list_names(sorted(by_worker))} arrive")


def check_clocks(examination: Examination) -> Iterable[Outcome]:
    """Compare the times in events with the time of their arrival."""
    examination.require_broker()
    offsets = examination.clock_offsets
    if not offsets:
        raise Skipped("no event of a worker arrived")
    wrong = {name: offset for name, offset in sorted(offsets.items()) if abs(offset) >= MIN_CLOCK_OFFSET}
    if wrong:
        texts = [f"{name} {abs(offset):.1f} s {'ahead' if offset > 0 else 'behind'}" for name, offset in wrong.items()]
        found = f"Clocks differ from that of this host: {list_names(texts)}"
        return [Outcome("warning", found, "Synchronize the clocks of all hosts, for example with chrony or NTP.")]
    largest = max(abs(offset) for offset in offsets.values())
    return [Outcome("ok", f"The largest difference is {largest * 1000:.0f} ms")]


def _call(app: Any, command: str, workers: Sequence[str] | None) -> dict[str, Any]:
    return asyncio.run(cluster.remote_control.call_workers(app, command, {}, workers, timeout=_REPLY_TIME))


def _broadcast(app: Any, command: str) -> None:
    asyncio.run(cluster.remote_control.broadcast_command(app, command, {}))


def _last_version(events: Sequence[tuple[float, Event]]) -> str | None:
    return next((event.sw_ver for _, event in reversed(events) if event.sw_ver), None)
