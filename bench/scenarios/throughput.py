"""Events per second until all tasks are visible and correct; processor time and memory; and the response times of pages
of these tasks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.event_feed import EventFeed, EventsLost, Transport, WindowedFeed
from bench.event_stream import Workload
from bench.results import Measurement, Sample, Target, median_sample, p95_sample, single_sample
from bench.runner import BenchmarkRun, Trial, expected_outcomes, start_trial, wait_until
from bench.systems_under_test import Memory, System, wait_idle
from bench.visibility_check import Comparison, HttpClient, compare_tasks

TARGETS = {"redis-single": 12, "redis-batched": 12, "rabbitmq-single": 7, "rabbitmq-batched": 10}
#: Minimum and maximum are over this many parts of the stream, fewer than the transactions of a fast system.
SLICES = 5
PAGES: dict[str, dict[str, object]] = {"newest 50": {"limit": 50}, "50 failures": {"limit": 50, "state": "FAILURE"}}


@dataclass(slots=True)
class SystemRun:
    """One system and one event stream."""

    events: int
    tasks: int
    seconds: float
    cpu: float
    before: Memory
    after: Memory
    comparison: Comparison
    #: visible events, seconds since the start, processor seconds since the start
    marks: list[tuple[int, float, float]] = field(default_factory=list)
    #: seconds until events are visible, at this speed
    delays: list[float] = field(default_factory=list)
    #: processor seconds by process
    cpu_parts: dict[str, float] = field(default_factory=dict)
    pages: dict[str, Sample] = field(default_factory=dict)

    def speed(self) -> Sample:
        slices = [e / t for e, t, _ in self._slices()]
        return Sample(self.events / self.seconds, min(slices), max(slices), slices)

    def cpu_per_million(self) -> Sample:
        slices = [c / e * 1e6 for e, _, c in self._slices()]
        return Sample(self.cpu / self.events * 1e6, min(slices), max(slices), slices)

    def bytes_per_task(self) -> Sample:
        return single_sample((self.after.pss - self.before.pss) / self.tasks)

    def _slices(self) -> Iterator[tuple[int, float, float]]:
        """Events, seconds and processor seconds of each part of the stream."""
        last = (0, 0.0, 0.0)
        for mark in self.marks:
            if mark[0] - last[0] >= self.events / SLICES or (mark is self.marks[-1] and last[0] == 0):
                yield mark[0] - last[0], mark[1] - last[1], mark[2] - last[2]
                last = mark


def throughput(bench: BenchmarkRun, transport: Transport) -> Iterator[Measurement]:
    workload = Workload(bench.sizes.tasks)
    bench.log(f"{transport.label}: encoding the events of {workload.tasks:,} tasks")
    with EventFeed(transport, workload) as feed:
        runs = {system.name: _measure(bench, system, feed) for system in bench.systems}
    speeds = {name: run.speed() for name, run in runs.items()}
    yield Measurement(f"{transport.label}: speed", "events/s", speeds, Target("ratio", ">=", TARGETS[transport.label]))
    cpu = {name: run.cpu_per_million() for name, run in runs.items()}
    yield Measurement(f"{transport.label}: processor time", "s / M events", cpu, Target("ratio", "<=", 0.1))
    delays = {name: p95_sample(run.delays) for name, run in runs.items() if run.delays}
    yield Measurement(f"{transport.label}: visible after", "p95 s", delays, Target("value", "<=", 1.0))
    missing = {name: single_sample(run.comparison.missing + run.comparison.wrong) for name, run in runs.items()}
    yield Measurement(f"{transport.label}: missing or wrong", "tasks", missing, Target("value", "<=", 0))
    memory = {name: single_sample(run.after.pss / 1e6) for name, run in runs.items()}
    yield Measurement(
        f"{transport.label}: memory after", "MB", memory, more={name: details_of(run) for name, run in runs.items()}
    )
    growth = {name: run.bytes_per_task() for name, run in runs.items()}
    yield Measurement(f"{transport.label}: memory per task", "bytes", growth)
    for page in PAGES:
        times = {name: run.pages[page] for name, run in runs.items()}
        yield Measurement(f"{transport.label}: page of {page}", "ms", times)


def details_of(run: SystemRun) -> dict[str, object]:
    return {
        "before": run.before,
        "after": run.after,
        "marks": run.marks,
        "verdict": run.comparison,
        "seconds": run.seconds,
        "processor seconds by process": run.cpu_parts,
    }


def _measure(bench: BenchmarkRun, system: System, feed: EventFeed) -> SystemRun:
    with start_trial(system, feed) as trial:
        run = _run_stream(bench, system, feed, trial)
    bench.log(
        f"{feed.transport.label}: {system.name}: {run.events / run.seconds:,.0f} events/s, "
        f"{run.cpu / run.events * 1e6:,.1f} s of processor per million, "
        f"{run.comparison.missing} tasks missing, {run.comparison.wrong} wrong"
    )
    return run


def _run_stream(bench: BenchmarkRun, system: System, feed: EventFeed, trial: Trial) -> SystemRun:
    marks: list[tuple[int, float, float]] = []
    before, cpu = trial.running.memory(), trial.running.cpu_seconds()
    started_at = time.monotonic()

    def on_visible(events: int) -> None:
        marks.append((events, time.monotonic() - started_at, trial.running.cpu_seconds() - cpu))

    stream = WindowedFeed(feed, trial.client)
    try:
        stream.run(on_visible)
        wait_until(lambda: trial.client.are_finished(feed.tail), limit=20)
    except EventsLost as error:
        bench.log(f"{feed.transport.label}: {system.name}: {error}")
    seconds = time.monotonic() - started_at
    # Deferred work counts, too.
    wait_idle(trial.running, idle_for=1.5, limit=60)
    cpu_used, after = trial.running.cpu_seconds() - cpu, trial.running.memory()
    parts = trial.running.cpu_by_process()
    comparison, extra_seconds = _wait_for_result(trial.client, feed.workload)
    pages = {name: _time_page(trial.client, parameters) for name, parameters in PAGES.items()}
    visible_events = feed.events if marks and marks[-1][0] == feed.events else (marks[-1][0] if marks else 0)
    return SystemRun(
        max(visible_events, 1),
        feed.workload.tasks,
        seconds + extra_seconds,
        cpu_used,
        before,
        after,
        comparison,
        marks,
        stream.delays,
        parts,
        pages,
    )


def _wait_for_result(client: HttpClient, workload: Workload, limit: float = 15.0) -> tuple[Comparison, float]:
    """Compare all tasks until they are correct or `limit` seconds have passed. Also returns the seconds until the
    request with the correct response: not everything was visible before."""
    started_at = checked_at = time.monotonic()
    while True:
        comparison = compare_tasks(client.tasks(), expected_outcomes(workload))
        if comparison.loss == 0 or time.monotonic() - started_at > limit:
            return comparison, checked_at - started_at if comparison.loss == 0 else 0.0
        time.sleep(0.5)
        checked_at = time.monotonic()


def _time_page(client: HttpClient, parameters: dict[str, object]) -> Sample:
    times = [client.time_get("/api/tasks", **parameters) * 1000 for _ in range(7)]
    return median_sample(times[1:])
