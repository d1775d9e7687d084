"""What columns and text index cost while events come in: Bellflower beside itself as it was before it had them."""

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.event_feed import FORMS, Feed
from bench.event_stream import Workload
from bench.install import ROOT
from bench.results import Bar, Figure, single
from bench.runner import SERVERS, Bench, begin, feed_speed, fill
from bench.systems_under_test import Running, System, bellflower_at

BAR = Bar("value", ">=", 85)
#: Turn about, so that a machine whose speed wanders is fair to both.
TURNS = 3

Speeds = dict[str, list[float]]


def ingest(bench: Bench) -> Iterator[Figure]:
    both = (bellflower_at(bench.base), bench.system("bellflower"))
    stored = bench.sizes.paged_tasks
    with _filled(bench, both[0], stored) as old, _filled(bench, both[1], stored) as new:
        full = {"base": old, "bellflower": new}
        for place, stores in ((0, {}), (stored, full)):
            yield _share(bench, f"writer, {_millions(place)}", _written(bench, both, place, stores))
        for form in FORMS:
            if form.broker == "redis":
                with Feed(form, Workload(bench.sizes.tasks)) as feed:
                    yield _share(bench, f"{form.label}, {_millions(0)}", _recorded(both, feed, {}))
                    yield _share(bench, f"{form.label}, {_millions(stored)}", _recorded(both, feed, full))


def _millions(tasks: int) -> str:
    return f"{tasks / 1e6:g} M tasks in the store" if tasks else "empty store"


@contextmanager
def _filled(bench: Bench, system: System, tasks: int) -> Iterator[Path]:
    """A store that is copied for every turn: the same tasks must be new to it each time."""
    with Running(system, "") as idle:
        fill(bench, idle, 0, tasks)
        yield idle.folder / "store"


def _stock(running: Running, stores: Mapping[str, Path]) -> None:
    """Give it a copy of its store, if there is one. A text index that was copied is begun anew, for it cannot know what
    the copy lacks: that is over before the clock starts."""
    if running.system.name in stores:
        store = shutil.copytree(stores[running.system.name], running.folder / "store")
        subprocess.run([str(running.system.python), "-m", "bench.finish_store", str(store)], cwd=ROOT, check=True)


def _share(bench: Bench, name: str, speeds: Speeds) -> Figure:
    middle = {system: statistics.median(each) for system, each in speeds.items()}
    share = 100 * middle["bellflower"] / middle["base"]
    bench.say(f"{name}: {middle['bellflower']:,.0f} a second, {middle['base']:,.0f} at the base: {share:.0f} %")
    note = f"{middle['base']:,.0f} → {middle['bellflower']:,.0f} a second"
    return Figure(f"ingest: {name}", "% of base", {"bellflower": single(share)}, BAR, {"speeds": speeds}, note)


def _written(bench: Bench, both: Sequence[System], place: int, stores: Mapping[str, Path]) -> Speeds:
    speeds: Speeds = {system.name: [] for system in both}
    for _ in range(TURNS):
        for system in both:
            with Running(system, "") as idle:
                _stock(idle, stores)
                command = [str(system.python), "-m", "bench.store_write", str(idle.folder / "store"), str(place)]
                said = subprocess.run(
                    [*command, str(bench.sizes.tasks)], cwd=ROOT, check=True, capture_output=True, text=True
                )
                answer = json.loads(said.stdout)
                speeds[system.name].append(answer["tasks"] / answer["seconds"])
    return speeds


def _recorded(both: Sequence[System], feed: Feed, stores: Mapping[str, Path]) -> Speeds:
    speeds: Speeds = {system.name: [] for system in both}
    for _ in range(TURNS):
        for system in both:
            with SERVERS[feed.form.broker]() as server, Running(system, server.url) as running:
                _stock(running, stores)
                speeds[system.name].append(feed_speed(begin(server, running, feed), feed))
    return speeds
