"""The cost of column files and text index while events arrive: Bellflower compared with an older commit."""

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.event_feed import TRANSPORTS, EventFeed
from bench.event_stream import Workload
from bench.install import ROOT
from bench.results import Measurement, Target, single_sample
from bench.runner import SERVERS, BenchmarkRun, fill_store, measure_feed_rate, start_and_connect
from bench.systems_under_test import System, SystemProcess, bellflower_at

TARGET = Target("value", ">=", 85)
#: The systems take turns, so that changes of the machine's speed affect both.
ROUNDS = 3

Speeds = dict[str, list[float]]


def ingest(bench: BenchmarkRun) -> Iterator[Measurement]:
    systems = (bellflower_at(bench.base), bench.system("bellflower"))
    stored = bench.sizes.paged_tasks
    with (
        _filled_store(bench, systems[0], stored) as base_store,
        _filled_store(bench, systems[1], stored) as current_store,
    ):
        full = {"base": base_store, "bellflower": current_store}
        for first, stores in ((0, {}), (stored, full)):
            yield _compare(bench, f"writer, {_describe_size(first)}", _measure_writer(bench, systems, first, stores))
        for transport in TRANSPORTS:
            if transport.broker == "redis":
                with EventFeed(transport, Workload(bench.sizes.tasks)) as feed:
                    yield _compare(
                        bench, f"{transport.label}, {_describe_size(0)}", _measure_recorder(systems, feed, {})
                    )
                    yield _compare(
                        bench, f"{transport.label}, {_describe_size(stored)}", _measure_recorder(systems, feed, full)
                    )


def _describe_size(tasks: int) -> str:
    return f"{tasks / 1e6:g} M tasks in the store" if tasks else "empty store"


@contextmanager
def _filled_store(bench: BenchmarkRun, system: System, tasks: int) -> Iterator[Path]:
    """A filled store that is copied for every round: the same tasks must be new each time."""
    with SystemProcess(system, "") as idle:
        fill_store(bench, idle, 0, tasks)
        yield idle.folder / "store"


def _copy_store(running: SystemProcess, stores: Mapping[str, Path]) -> None:
    """Copy the filled store of the system, if there is one. The text index of a copy is rebuilt, because it cannot know
    what the copy lacks; this ends before the clock starts."""
    if running.system.name in stores:
        store = shutil.copytree(stores[running.system.name], running.folder / "store")
        subprocess.run([str(running.system.python), "-m", "bench.finish_store", str(store)], cwd=ROOT, check=True)


def _compare(bench: BenchmarkRun, name: str, speeds: Speeds) -> Measurement:
    medians = {system: statistics.median(each) for system, each in speeds.items()}
    share = 100 * medians["bellflower"] / medians["base"]
    bench.log(f"{name}: {medians['bellflower']:,.0f} per second, {medians['base']:,.0f} at base: {share:.0f} %")
    note = f"{medians['base']:,.0f} → {medians['bellflower']:,.0f} per second"
    return Measurement(
        f"ingest: {name}", "% of base", {"bellflower": single_sample(share)}, TARGET, {"speeds": speeds}, note
    )


def _measure_writer(bench: BenchmarkRun, systems: Sequence[System], first: int, stores: Mapping[str, Path]) -> Speeds:
    speeds: Speeds = {system.name: [] for system in systems}
    for _ in range(ROUNDS):
        for system in systems:
            with SystemProcess(system, "") as idle:
                _copy_store(idle, stores)
                command = [str(system.python), "-m", "bench.store_write", str(idle.folder / "store"), str(first)]
                completed = subprocess.run(
                    [*command, str(bench.sizes.tasks)], cwd=ROOT, check=True, capture_output=True, text=True
                )
                output = json.loads(completed.stdout)
                speeds[system.name].append(output["tasks"] / output["seconds"])
    return speeds


def _measure_recorder(systems: Sequence[System], feed: EventFeed, stores: Mapping[str, Path]) -> Speeds:
    speeds: Speeds = {system.name: [] for system in systems}
    for _ in range(ROUNDS):
        for system in systems:
            with SERVERS[feed.transport.broker]() as server, SystemProcess(system, server.url) as running:
                _copy_store(running, stores)
                speeds[system.name].append(measure_feed_rate(start_and_connect(server, running, feed), feed))
    return speeds
