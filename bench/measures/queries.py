"""Bellflower alone, with a million tasks and more in its store: how long every kind of question takes, while nothing
happens and while events arrive."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.asking import ask, figures, interview
from bench.bench import SERVERS, Bench, fill, wait_until
from bench.drip import Drip
from bench.feed import Feed, Form
from bench.figures import Bar, Figure, Sample, single
from bench.fill import population_of
from bench.population import Population
from bench.questions import TEN_MILLIONS, Row, rows
from bench.systems import Running, wait_idle
from bench.visible import View
from bench.workload import Workload

#: Of the workload.
EVENTS_PER_TASK = 3.58
#: While events arrive, answers may take so much longer.
BUSY = 2.0
#: An answer that takes longer is none, in seconds.
TIMEOUT = 30.0
#: Questions are asked no longer than this while nothing happens, in seconds.
LONGEST = 600.0
#: Columns and text index of a store that was just filled may have to be made first.
SETTLE = 3_600.0
MEMORY = 700


def queries(bench: Bench) -> Iterator[Figure]:
    sizes = [population_of(bench.store).tasks] if bench.store else bench.sizes.asked_tasks
    for tasks in sizes:
        yield from _asked(bench, tasks)


def _asked(bench: Bench, tasks: int) -> Iterator[Figure]:
    label = _label(tasks)
    with (
        SERVERS["redis"]() as server,
        Running(bench.system("bellflower"), server.url) as running,
        _stream(bench) as feed,
    ):
        population = _filled(bench, running, tasks)
        asked = rows(population)
        view = _started(bench, running)
        yield _memory(f"{label}: memory before questions", running, tasks)
        chance = random.Random(tasks)
        _warm_up(view, asked, chance)
        bench.say(f"{label}: asking while nothing happens")
        enough = time.monotonic() + LONGEST
        times = interview(view, asked, chance, rounds=bench.sizes.rounds, over=lambda: time.monotonic() > enough)
        yield from _told(bench, figures(f"{label}, idle", asked, times, tasks))
        feed.connect(server)
        feed.greet(view)
        bench.say(f"{label}: asking while {bench.sizes.drip_pace:,} events a second arrive")
        with Drip(feed, bench.sizes.drip_pace) as drip:
            times = interview(view, asked, chance, rounds=bench.sizes.rounds, over=drip.over)
        behind = _behind(view, feed, drip.step)
        yield from _told(bench, figures(f"{label}, busy", asked, times, tasks, factor=BUSY))
        yield _own(f"{label}, busy: events sent", "events/s", single(drip.achieved))
        yield _own(f"{label}, busy: last event visible after", "s", behind)
        yield _memory(f"{label}: memory after questions", running, tasks)


def _label(tasks: int) -> str:
    return f"{tasks / 1e6:g} M"


def _own(name: str, unit: str, sample: Sample) -> Figure:
    return Figure(name, unit, {"bellflower": sample})


@contextmanager
def _stream(bench: Bench) -> Iterator[Feed]:
    """Events with times like those of the moment at which they go out."""
    pace = bench.sizes.drip_pace / EVENTS_PER_TASK
    workload = Workload(round(pace * bench.sizes.drip_seconds), seed=23, start=time.time(), pace=pace)
    bench.say(f"encoding the events of {workload.tasks:,} tasks")
    with Feed(Form("redis", batched=True), workload) as feed:
        yield feed


def _filled(bench: Bench, running: Running, tasks: int) -> Population:
    store = running.folder / "store"
    if bench.store:
        store.symlink_to(bench.store.resolve())
        return population_of(bench.store)
    fill(bench, running, 0, tasks)
    return population_of(store)


def _started(bench: Bench, running: Running) -> View:
    running.start()
    view = running.view()
    view.timeout = TIMEOUT
    view.first_page()
    # Questions would be answered meanwhile too; what is measured here is a store that has what it needs.
    bench.say(f"at rest {wait_idle(running, limit=SETTLE):.0f} s after the first page")
    return view


def _warm_up(view: View, asked: Sequence[Row], chance: random.Random) -> None:
    """The bars are for a warm cache."""
    for row in asked:
        for make in row.kinds.values():
            ask(view, make(chance))


def _behind(view: View, feed: Feed, step: int) -> Sample:
    """Seconds from the last event to its being visible; infinite if it is not in a minute."""
    began = time.monotonic()
    ended = feed.ended_by_step[step - 1] if step else None
    if ended is None or wait_until(lambda: view.ended([ended]), limit=60):
        return single(time.monotonic() - began)
    return single(float("inf"))


def _memory(name: str, running: Running, tasks: int) -> Figure:
    bar = Bar("value", "<=", MEMORY) if tasks <= TEN_MILLIONS else None
    memory = running.memory()
    return Figure(name, "MB", {"bellflower": single(memory.own / 1e6)}, bar, {"memory": memory})


def _told(bench: Bench, made: Sequence[Figure]) -> Sequence[Figure]:
    missed = [figure.name for figure in made if figure.met is False]
    bench.say(f"{len(made)} figures; missed: {'; '.join(missed) or 'none'}")
    return made
