"""Milliseconds of an answer of `/metrics`, at rest and while events arrive: 60 types of tasks ran on 50 workers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.event_feed import Feed, Form, Paced
from bench.event_stream import Workload
from bench.paced_load import Drip
from bench.results import Bar, Figure, slow_end
from bench.runner import Bench, Stage, stage, wait_until
from bench.systems_under_test import System, wait_idle

WORKERS, TYPES = 50, 60
#: Events of a task.
EVENTS_PER_TASK = 3.6
#: Seconds between two answers: often for a Prometheus, but each must be another one.
EVERY = 0.5
#: The p95 in milliseconds that is wanted, at rest and busy.
BARS = {"at rest": 20.0, "busy": 40.0}

_FORM = Form("redis", batched=True)


@dataclass(slots=True)
class Answers:
    """Milliseconds, and what went wrong in words."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    bytes: int = 0


def metrics(bench: Bench) -> Iterator[Figure]:
    workload = Workload(bench.sizes.tasks, workers=WORKERS, types=TYPES)
    seconds = bench.sizes.drip_seconds / 2
    more = Workload(round(bench.sizes.drip_pace * seconds / EVENTS_PER_TASK), seed=23, workers=WORKERS, types=TYPES)
    answers: dict[str, dict[str, Answers]] = {when: {} for when in BARS}
    with Feed(_FORM, workload) as feed, Feed(_FORM, more) as dripping:
        for system in bench.systems:
            for when, found in _of(bench, system, feed, dripping).items():
                answers[when][system.name] = found
    for when, bar in BARS.items():
        samples = {name: slow_end(found.milliseconds) for name, found in answers[when].items() if not found.errors}
        note = ", ".join(f"{name} {found.bytes / 1000:.0f} kB" for name, found in answers[when].items())
        yield Figure(f"/metrics, {when}", "p95 ms", samples, Bar("value", "<=", bar), answers[when], note)


def _of(bench: Bench, system: System, feed: Feed, dripping: Feed) -> dict[str, Answers]:
    with stage(system, feed) as at:
        Paced(feed, at.view, system.window).run(lambda events: None)
        wait_until(lambda: at.view.ended(feed.tail), limit=30)
        wait_idle(at.running, calm=2)
        bench.say(f"{system.name}: asking for metrics")
        rounds = max(bench.sizes.rounds, 5)
        resting = _asked(at, lambda done: done >= rounds)
        dripping.connect(at.server)
        with Drip(dripping, bench.sizes.drip_pace) as drip:
            busy = _asked(at, lambda done: drip.over())
        bench.say(f"{system.name}: {drip.achieved:,.0f} events a second went out meanwhile")
    return {"at rest": resting, "busy": busy}


def _asked(at: Stage, over: Callable[[int], bool]) -> Answers:
    """The first is to warm up with."""
    found = Answers()
    at.view.get("/metrics")
    while not over(len(found.milliseconds)):
        began = time.perf_counter()
        status, body = at.view.get("/metrics")
        found.milliseconds.append(1000 * (time.perf_counter() - began))
        found.bytes = len(body)
        if status != 200 or b"flower_events_total{" not in body:
            found.errors.append(f"{status}: {body[:200].decode(errors='replace')}")
        time.sleep(EVERY)
    return found
