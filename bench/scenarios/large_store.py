"""Bellflower alone, with millions of tasks in its store: start, first rows, disk space, speed and memory; paging."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.event_feed import EventFeed, Transport
from bench.event_stream import Workload
from bench.fill import read_dataset
from bench.query_mix import query_rows
from bench.results import Measurement, Sample, Target, median_sample, single_sample
from bench.runner import SERVERS, BenchmarkRun, fill_store, measure_feed_rate, start_and_connect
from bench.scenarios.first_requests import ROWS_TARGET, measure_first_rows
from bench.scenarios.queries import warm_up
from bench.scenarios.scripts import release_scripts
from bench.scenarios.start import time_to_first_page
from bench.systems_under_test import System, SystemProcess, wait_idle

BATCH = 10_000
#: Batches at the start and at the end that are compared.
COMPARED_BATCHES = 3
#: 60 % of what a task of the dataset needed before full segments were compressed.
MAX_BYTES_PER_TASK = 484


def large_store(bench: BenchmarkRun) -> Iterator[Measurement]:
    system = bench.system("bellflower")
    sizes = bench.sizes
    paged_label, full_label = f"{sizes.paged_tasks / 1e6:g} M", f"{sizes.large_tasks / 1e6:g} M"
    with (
        EventFeed(Transport("redis", batched=True), Workload(sizes.tasks)) as feed,
        SERVERS["redis"]() as server,
        SystemProcess(system, server.url) as running,
    ):
        fill_store(bench, running, 0, sizes.paged_tasks, of=sizes.large_tasks)
        yield _measurement(
            f"start to first page, {paged_label} tasks",
            "s",
            _measure_starts(bench, running),
            Target("value", "<=", 1.0),
        )
        yield from _measure_first_rows(running, paged_label)
        yield _measure_disk(running, paged_label, sizes.paged_tasks)
        fill_store(bench, running, sizes.paged_tasks, sizes.large_tasks - sizes.paged_tasks)
        yield _measurement(f"start to first page, {full_label} tasks", "s", _measure_starts(bench, running))
        empty = _measure_empty_store(system, feed)
        speed = measure_feed_rate(start_and_connect(server, running, feed), feed)
        bench.log(f"large: {empty:,.0f} events/s into an empty store, {speed:,.0f} with {full_label} tasks in it")
        share = single_sample(100 * speed / empty)
        yield _measurement(
            f"speed with {full_label} tasks",
            "% of empty",
            share,
            Target("value", ">=", 80),
            {"empty": empty, "full": speed},
        )
        warm_up(running.client(), query_rows(read_dataset(running.folder / "store")), random.Random(7))
        wait_idle(running, idle_for=2, limit=60)
        memory = running.memory()
        yield _measurement(
            f"memory with {full_label} tasks, after queries of all kinds",
            "MB",
            single_sample(memory.pss / 1e6),
            Target("value", "<=", 250),
            {"memory": memory},
        )


def paging(bench: BenchmarkRun) -> Iterator[Measurement]:
    tasks = bench.sizes.paged_tasks
    with SERVERS["redis"]() as server, SystemProcess(bench.system("bellflower"), server.url) as running:
        fill_store(bench, running, 0, tasks)
        yield from _measure_paging(bench, running, f"{tasks / 1e6:g} M", tasks)


def _measurement(
    name: str, unit: str, sample: Sample, target: Target | None = None, more: dict[str, Any] | None = None
) -> Measurement:
    return Measurement(name, unit, {"bellflower": sample}, target, more or {})


def _measure_starts(bench: BenchmarkRun, running: SystemProcess) -> Sample:
    times = []
    for _ in range(bench.sizes.starts):
        times.append(time_to_first_page(running))
        running.stop()
    sample = median_sample(times)
    bench.log(f"large: {sample.value:.2f} s to the first page")
    return sample


def _measure_first_rows(running: SystemProcess, label: str) -> Iterator[Measurement]:
    """With the scripts of a release."""
    with release_scripts():
        running.start()
        running.client().wait_for_page()
        yield _measurement(
            f"first rows of the tasks page, {label} tasks", "s", measure_first_rows(running), ROWS_TARGET
        )
        running.stop()


def _measure_disk(running: SystemProcess, label: str, tasks: int) -> Measurement:
    size = sum(path.stat().st_size for path in (running.folder / "store").rglob("*") if path.is_file())
    return _measurement(
        f"disk space, {label} tasks",
        "bytes per task",
        single_sample(size / tasks),
        Target("value", "<=", MAX_BYTES_PER_TASK),
    )


def _measure_empty_store(system: System, feed: EventFeed) -> float:
    # with a broker of its own: the other instance, which was just stopped, may still receive events
    with SERVERS["redis"]() as server, SystemProcess(system, server.url) as running:
        return measure_feed_rate(start_and_connect(server, running, feed), feed)


def _measure_paging(bench: BenchmarkRun, running: SystemProcess, label: str, tasks: int) -> Iterator[Measurement]:
    """Page through all tasks, over HTTP and in Python, and compare the last batches with the first."""
    running.start()
    client = running.client()
    client.wait_for_page()
    interfaces: dict[str, Callable[[int], float]] = {
        "HTTP": lambda offset: client.time_get("/api/tasks", limit=BATCH, offset=offset),
        "Python": _python_pager(running),
    }
    for interface, fetch in interfaces.items():
        times = [fetch(offset) for offset in range(0, tasks, BATCH)]
        first, last = median_sample(times[:COMPARED_BATCHES]), median_sample(times[-COMPARED_BATCHES:])
        bench.log(
            f"large: {interface}: the first {BATCH:,} tasks in {first.value:.2f} s, the last in {last.value:.2f} s"
        )
        more = {"seconds": times}
        yield _measurement(
            f"paging {label} ({interface}): last : first",
            "×",
            single_sample(last.value / first.value),
            Target("value", "<=", 2),
            more,
        )
    running.stop()


def _python_pager(running: SystemProcess) -> Callable[[int], float]:
    # Imported here: a benchmark of Flower alone does not need Bellflower.
    from bench.celery_app import app  # noqa: PLC0415
    from flower.events import Events  # noqa: PLC0415
    from flower.utils.tasks import iter_tasks  # noqa: PLC0415

    events = Events(app, db=str(running.folder / "store"))

    def fetch(offset: int) -> float:
        started_at = time.monotonic()
        count = sum(1 for _ in iter_tasks(events, limit=BATCH, offset=offset))
        if count != BATCH:
            raise RuntimeError(f"{count} tasks at offset {offset}")
        return time.monotonic() - started_at

    return fetch
