"""Response times of `/metrics`, idle and under load, with 60 task types on 50 workers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.event_feed import EventFeed, Transport, WindowedFeed
from bench.event_stream import EVENTS_PER_TASK, Workload
from bench.paced_load import PacedLoad
from bench.results import Measurement, Target, p95_sample
from bench.runner import BenchmarkRun, Trial, start_trial, wait_until
from bench.systems_under_test import System, wait_idle

WORKERS, TYPES = 50, 60
#: Seconds between two scrapes: frequent for Prometheus, and long enough for every response to differ.
SCRAPE_INTERVAL = 0.5
#: The p95 to reach in milliseconds, idle and under load.
TARGETS = {"idle": 20.0, "busy": 40.0}

_FORM = Transport("redis", batched=True)


@dataclass(slots=True)
class ScrapeTimes:
    """Response times in milliseconds, errors as text, and the size of the last response."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    bytes: int = 0


def metrics(bench: BenchmarkRun) -> Iterator[Measurement]:
    workload = Workload(bench.sizes.tasks, workers=WORKERS, types=TYPES)
    seconds = bench.sizes.background_seconds / 2
    background_workload = Workload(
        round(bench.sizes.background_rate * seconds / EVENTS_PER_TASK), seed=23, workers=WORKERS, types=TYPES
    )
    results: dict[str, dict[str, ScrapeTimes]] = {when: {} for when in TARGETS}
    with EventFeed(_FORM, workload) as feed, EventFeed(_FORM, background_workload) as background:
        for system in bench.systems:
            for when, times in _measure(bench, system, feed, background).items():
                results[when][system.name] = times
    for when, target in TARGETS.items():
        samples = {name: p95_sample(times.milliseconds) for name, times in results[when].items() if not times.errors}
        note = ", ".join(f"{name} {times.bytes / 1000:.0f} kB" for name, times in results[when].items())
        yield Measurement(f"/metrics, {when}", "p95 ms", samples, Target("value", "<=", target), results[when], note)


def _measure(bench: BenchmarkRun, system: System, feed: EventFeed, background: EventFeed) -> dict[str, ScrapeTimes]:
    with start_trial(system, feed) as trial:
        WindowedFeed(feed, trial.client).run(lambda events: None)
        wait_until(lambda: trial.client.are_finished(feed.tail), limit=30)
        wait_idle(trial.running, idle_for=2)
        bench.log(f"{system.name}: scraping metrics")
        rounds = max(bench.sizes.rounds, 5)
        idle = _scrape(trial, lambda done: done >= rounds)
        background.connect(trial.server)
        with PacedLoad(background, bench.sizes.background_rate) as load:
            busy = _scrape(trial, lambda done: load.is_over())
        bench.log(f"{system.name}: {load.actual_rate:,.0f} events/s were published meanwhile")
    return {"idle": idle, "busy": busy}


def _scrape(trial: Trial, is_done: Callable[[int], bool]) -> ScrapeTimes:
    """Scrape until `is_done` of the number of scrapes; the first one is for warming up."""
    times = ScrapeTimes()
    trial.client.get("/metrics")
    while not is_done(len(times.milliseconds)):
        started_at = time.perf_counter()
        status, body = trial.client.get("/metrics")
        times.milliseconds.append(1000 * (time.perf_counter() - started_at))
        times.bytes = len(body)
        if status != 200 or b"flower_events_total{" not in body:
            times.errors.append(f"{status}: {body[:200].decode(errors='replace')}")
        time.sleep(SCRAPE_INTERVAL)
    return times
