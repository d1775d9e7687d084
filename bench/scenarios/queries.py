"""Bellflower alone, with a million tasks and more in its store: how long every kind of question takes, while nothing
happens and while events arrive."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.dataset import Population
from bench.event_feed import Feed, Form
from bench.event_stream import Workload
from bench.fill import population_of
from bench.http_timing import ask, figures, interview
from bench.paced_load import Drip
from bench.query_mix import TEN_MILLIONS, Request, Row, rows
from bench.results import Bar, Figure, Sample, single
from bench.runner import SERVERS, Bench, fill, wait_until
from bench.systems_under_test import Running, wait_idle
from bench.visibility_check import View

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
#: So many seconds columns and text index may lag; questions must not.
LAG = 1.0


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
        ended = feed.ended_by_step[drip.step - 1] if drip.step else None
        visible = _seconds_until(lambda: ended is None or view.ended([ended]))
        found = _seconds_until(lambda: ended is None or _finds(view, ended.uuid))
        yield from _told(bench, figures(f"{label}, busy", asked, times, tasks, factor=BUSY))
        yield _own(f"{label}, busy: events sent", "events/s", single(drip.achieved))
        yield _own(f"{label}, busy: last event visible after", "s", visible)
        yield _own(f"{label}, busy: then found by its text after", "s", found, Bar("value", "<=", LAG))
        yield _memory(f"{label}: memory after questions", running, tasks)


def _label(tasks: int) -> str:
    return f"{tasks / 1e6:g} M"


def _own(name: str, unit: str, sample: Sample, bar: Bar | None = None) -> Figure:
    return Figure(name, unit, {"bellflower": sample}, bar)


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


def _seconds_until(true: Callable[[], bool]) -> Sample:
    """Infinite if it does not come true in half a minute."""
    began = time.monotonic()
    return single(time.monotonic() - began if wait_until(true, limit=30) else float("inf"))


def _finds(view: View, uuid: str) -> bool:
    """By a part of the id: that is a search in all the text there is."""
    return ask(view, Request("/api/v1/tasks", {"query": uuid[9:]}, uuid)).error is None


def _memory(name: str, running: Running, tasks: int) -> Figure:
    bar = Bar("value", "<=", MEMORY) if tasks <= TEN_MILLIONS else None
    memory = running.memory()
    return Figure(name, "MB", {"bellflower": single(memory.own / 1e6)}, bar, {"memory": memory})


def _told(bench: Bench, made: Sequence[Figure]) -> Sequence[Figure]:
    missed = [figure.name for figure in made if figure.met is False]
    bench.say(f"{len(made)} figures; missed: {'; '.join(missed) or 'none'}")
    return made
