"""Events a second until everything is visible and right; what that costs in processor time and memory;
and, as the tasks are there anyway, how quickly a page of them comes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.event_feed import Feed, Form, Lost, Paced
from bench.event_stream import Workload
from bench.results import Bar, Figure, Sample, middle, single
from bench.runner import Bench, Stage, outcomes, stage, wait_until
from bench.systems_under_test import Memory, System, wait_idle
from bench.visibility_check import Verdict, View, judge

BARS = {"redis-single": 8, "redis-batched": 10, "rabbitmq-single": 5, "rabbitmq-batched": 8}
#: The spread is over so many parts of the stream: fewer than a fast system makes transactions.
SLICES = 5
PAGES: dict[str, dict[str, object]] = {"newest 50": {"limit": 50}, "50 failures": {"limit": 50, "state": "FAILURE"}}


@dataclass(slots=True)
class Run:
    """What one system did with the stream."""

    events: int
    tasks: int
    seconds: float
    cpu: float
    before: Memory
    after: Memory
    verdict: Verdict
    #: events visible, seconds since the start, processor seconds since the start
    marks: list[tuple[int, float, float]] = field(default_factory=list)
    pages: dict[str, Sample] = field(default_factory=dict)

    def speed(self) -> Sample:
        slices = [e / t for e, t, _ in self._slices()]
        return Sample(self.events / self.seconds, min(slices), max(slices), slices)

    def cpu_per_million(self) -> Sample:
        slices = [c / e * 1e6 for e, _, c in self._slices()]
        return Sample(self.cpu / self.events * 1e6, min(slices), max(slices), slices)

    def bytes_per_task(self) -> Sample:
        return single((self.after.own - self.before.own) / self.tasks)

    def _slices(self) -> Iterator[tuple[int, float, float]]:
        """Events, seconds and processor seconds of each part of the stream."""
        last = (0, 0.0, 0.0)
        for mark in self.marks:
            if mark[0] - last[0] >= self.events / SLICES or (mark is self.marks[-1] and last[0] == 0):
                yield mark[0] - last[0], mark[1] - last[1], mark[2] - last[2]
                last = mark


def throughput(bench: Bench, form: Form) -> Iterator[Figure]:
    workload = Workload(bench.sizes.tasks)
    bench.say(f"{form.label}: encoding the events of {workload.tasks:,} tasks")
    with Feed(form, workload) as feed:
        runs = {system.name: _measured(bench, system, feed) for system in bench.systems}
    speeds = {name: run.speed() for name, run in runs.items()}
    yield Figure(f"{form.label}: speed", "events/s", speeds, Bar("ratio", ">=", BARS[form.label]))
    cpu = {name: run.cpu_per_million() for name, run in runs.items()}
    yield Figure(f"{form.label}: processor time", "s / M events", cpu, Bar("ratio", "<=", 0.1))
    missing = {name: single(run.verdict.absent + run.verdict.wrong) for name, run in runs.items()}
    yield Figure(f"{form.label}: absent or wrong", "tasks", missing, Bar("value", "<=", 0))
    memory = {name: single(run.after.own / 1e6) for name, run in runs.items()}
    yield Figure(f"{form.label}: memory after", "MB", memory, more={name: vars_of(run) for name, run in runs.items()})
    growth = {name: run.bytes_per_task() for name, run in runs.items()}
    yield Figure(f"{form.label}: memory per task", "bytes", growth)
    for page in PAGES:
        answers = {name: run.pages[page] for name, run in runs.items()}
        yield Figure(f"{form.label}: page of {page}", "ms", answers)


def vars_of(run: Run) -> dict[str, object]:
    return {
        "before": run.before,
        "after": run.after,
        "marks": run.marks,
        "verdict": run.verdict,
        "seconds": run.seconds,
    }


def _measured(bench: Bench, system: System, feed: Feed) -> Run:
    with stage(system, feed) as at:
        run = _run(bench, system, feed, at)
    bench.say(
        f"{feed.form.label}: {system.name}: {run.events / run.seconds:,.0f} events/s, "
        f"{run.cpu / run.events * 1e6:,.1f} s of processor per million, "
        f"{run.verdict.absent} tasks absent, {run.verdict.wrong} wrong"
    )
    return run


def _run(bench: Bench, system: System, feed: Feed, at: Stage) -> Run:
    marks: list[tuple[int, float, float]] = []
    before, cpu = at.running.memory(), at.running.cpu_seconds()
    began = time.monotonic()

    def seen(events: int) -> None:
        marks.append((events, time.monotonic() - began, at.running.cpu_seconds() - cpu))

    try:
        Paced(feed, at.view, system.window).run(seen)
        wait_until(lambda: at.view.ended(feed.tail), limit=20)
    except Lost as lost:
        bench.say(f"{feed.form.label}: {system.name}: {lost}")
    seconds = time.monotonic() - began
    # Work put off is work all the same.
    wait_idle(at.running, calm=1.5, limit=60)
    spent, after = at.running.cpu_seconds() - cpu, at.running.memory()
    verdict, late = _final_verdict(at.view, feed.workload)
    pages = {name: _page(at.view, parameters) for name, parameters in PAGES.items()}
    shown = feed.events if marks and marks[-1][0] == feed.events else (marks[-1][0] if marks else 0)
    return Run(max(shown, 1), feed.workload.tasks, seconds + late, spent, before, after, verdict, marks, pages)


def _final_verdict(view: View, workload: Workload, limit: float = 15.0) -> tuple[Verdict, float]:
    """The verdict over every task. If it is not right at once it is asked for again, and the time that
    passed before the right answer was asked for is given as well: it was not all visible until then."""
    began = asked = time.monotonic()
    while True:
        verdict = judge(view.tasks(), outcomes(workload))
        if verdict.lost == 0 or time.monotonic() - began > limit:
            return verdict, asked - began if verdict.lost == 0 else 0.0
        time.sleep(0.5)
        asked = time.monotonic()


def _page(view: View, parameters: dict[str, object]) -> Sample:
    answers = [view.timed("/api/tasks", **parameters) * 1000 for _ in range(7)]
    return middle(answers[1:])
