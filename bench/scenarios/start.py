"""Seconds from starting the command to the first page, with an empty store."""

import time
from collections.abc import Iterator

from bench.results import Measurement, Sample, Target, median_sample
from bench.runner import SERVERS, BenchmarkRun
from bench.systems_under_test import System, SystemProcess

#: The target for a million tasks; with an empty store it is easier.
TARGET = Target("value", "<=", 1.0)


def start(bench: BenchmarkRun) -> Iterator[Measurement]:
    times = {system.name: _measure(bench, system) for system in bench.systems}
    yield Measurement("start to first page, empty", "s", times, TARGET)


def _measure(bench: BenchmarkRun, system: System) -> Sample:
    times = []
    with SERVERS["redis"]() as server:
        for _ in range(bench.sizes.starts):
            with SystemProcess(system, server.url) as running:
                times.append(time_to_first_page(running))
    sample = median_sample(times)
    bench.log(f"start: {system.name}: {sample.value:.2f} s to the first page")
    return sample


def time_to_first_page(running: SystemProcess) -> float:
    """Start the process; returns the seconds to the first page."""
    started_at = time.monotonic()
    running.start()
    running.client().wait_for_page()
    return time.monotonic() - started_at
