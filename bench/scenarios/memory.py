"""Memory of an idle instance on Redis with an empty store, in total and of each process."""

import time
from collections.abc import Iterator

from bench.results import Measurement, Target, single_sample
from bench.runner import SERVERS, BenchmarkRun
from bench.systems_under_test import Memory, System, SystemProcess, wait_idle

TARGET = Target("value", "<=", 110)
#: Seconds without load before the measurement: the text index process of Bellflower exits after 60.
IDLE_DELAY = 70.0

#: The process, by a part of its command line.
_PROCESSES = {
    "flower.recorder_process": "recorder",
    "flower.capture.drain.process": "drain",
    "flower.store.sqlite.text.process": "text index",
}


def memory(bench: BenchmarkRun) -> Iterator[Measurement]:
    measured = {system.name: _measure(system) for system in bench.systems}
    for name, each in measured.items():
        bench.log(f"memory: {name}: {', '.join(f'{part} {size:.0f} MB' for part, size in name_parts(each).items())}")
    samples = {name: single_sample(each.pss / 1e6) for name, each in measured.items()}
    yield Measurement("idle memory (PSS), all processes", "MB", samples, TARGET, {"memory": measured})
    if bellflower := measured.get("bellflower"):
        for part, size in name_parts(bellflower).items():
            yield Measurement(f"idle memory (PSS), {part}", "MB", {"bellflower": single_sample(size)})


def name_parts(memory: Memory) -> dict[str, float]:
    """Megabytes of each process. The text index process is missing if it has exited."""
    sizes: dict[str, float] = {}
    for command, pss in memory.each:
        name = next((name for part, name in _PROCESSES.items() if part in command), "server")
        sizes[name] = sizes.get(name, 0.0) + pss / 1e6
    return sizes


def _measure(system: System) -> Memory:
    with SERVERS["redis"]() as server, SystemProcess(system, server.url) as running:
        running.start()
        running.client().wait_for_page("/healthcheck")
        wait_idle(running, limit=60)
        if system.name == "bellflower":
            time.sleep(IDLE_DELAY)
        return running.memory()
