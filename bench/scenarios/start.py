"""Seconds from starting the command to the first page, with an empty store."""

import time
from collections.abc import Iterator

from bench.results import Bar, Figure, Sample, middle
from bench.runner import SERVERS, Bench
from bench.systems_under_test import Running, System

#: The promise is for a million tasks; with none it can only be easier.
BAR = Bar("value", "<=", 1.0)


def start(bench: Bench) -> Iterator[Figure]:
    times = {system.name: _started(bench, system) for system in bench.systems}
    yield Figure("start to first page, empty", "s", times, BAR)


def _started(bench: Bench, system: System) -> Sample:
    times = []
    with SERVERS["redis"]() as server:
        for _ in range(bench.sizes.starts):
            with Running(system, server.url) as running:
                times.append(seconds_to_page(running))
    sample = middle(times)
    bench.say(f"start: {system.name}: {sample.value:.2f} s to the first page")
    return sample


def seconds_to_page(running: Running) -> float:
    """Starts it."""
    began = time.monotonic()
    running.start()
    running.view().first_page()
    return time.monotonic() - began
