"""Bellflower alone, with a million or more tasks in its store: response times of every kind of request, idle and under
load."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.dataset import Dataset
from bench.event_feed import EventFeed, Transport
from bench.event_stream import EVENTS_PER_TASK, Workload
from bench.fill import read_dataset
from bench.http_timing import make_measurements, time_request, time_requests
from bench.paced_load import PacedLoad
from bench.query_mix import TEN_MILLIONS, QueryRow, Request, query_rows
from bench.results import Measurement, Sample, Target, single_sample
from bench.runner import SERVERS, BenchmarkRun, fill_store, wait_until
from bench.scenarios.first_requests import measure_first_searches
from bench.systems_under_test import SystemProcess, wait_idle
from bench.visibility_check import HttpClient

#: Factor of the targets under load.
BUSY_FACTOR = 2.0
#: Seconds after which a request counts as failed.
TIMEOUT = 30.0
#: Maximum duration of the idle part in seconds.
MAX_IDLE_SECONDS = 600.0
#: Seconds to wait until columns and text index of a filled store are complete.
INDEX_TIMEOUT = 3_600.0
#: Megabytes at ten million tasks, after queries of all kinds.
MAX_MEMORY_MB = 500
#: Maximum lag of columns and text index in seconds; query results must not lag.
MAX_LAG = 1.0


def queries(bench: BenchmarkRun) -> Iterator[Measurement]:
    sizes = [read_dataset(bench.store).tasks] if bench.store else bench.sizes.queried_tasks
    for tasks in sizes:
        yield from _measure(bench, tasks)


def _measure(bench: BenchmarkRun, tasks: int) -> Iterator[Measurement]:
    label = _label(tasks)
    with (
        SERVERS["redis"]() as server,
        SystemProcess(bench.system("bellflower"), server.url) as running,
        _background_feed(bench) as feed,
    ):
        dataset = _prepare_store(bench, running, tasks)
        rows = query_rows(dataset)
        client = _start(bench, running)
        yield _memory(f"{label}: memory before requests", running, tasks)
        rng = random.Random(tasks)
        yield from measure_first_searches(client, label, rng)
        warm_up(client, rows, rng)
        bench.log(f"{label}: requests while idle")
        deadline = time.monotonic() + MAX_IDLE_SECONDS
        times = time_requests(client, rows, rng, rounds=bench.sizes.rounds, is_over=lambda: time.monotonic() > deadline)
        yield from _report(bench, make_measurements(f"{label}, idle", rows, times, tasks))
        feed.connect(server)
        feed.wait_until_consuming(client)
        bench.log(f"{label}: requests with {bench.sizes.background_rate:,} events/s arriving")
        with PacedLoad(feed, bench.sizes.background_rate) as load:
            times = time_requests(client, rows, rng, rounds=bench.sizes.rounds, is_over=load.is_over)
        ended = feed.finished_by_step[load.step - 1] if load.step else None
        visible_after = _time_until(lambda: ended is None or client.are_finished([ended]))
        searchable_after = _time_until(lambda: ended is None or _is_searchable(client, ended.uuid))
        yield from _report(bench, make_measurements(f"{label}, busy", rows, times, tasks, factor=BUSY_FACTOR))
        yield _measurement(f"{label}, busy: events sent", "events/s", single_sample(load.actual_rate))
        yield _measurement(f"{label}, busy: last event visible after", "s", visible_after)
        yield _measurement(
            f"{label}, busy: then found by text search after", "s", searchable_after, Target("value", "<=", MAX_LAG)
        )
        yield _memory(f"{label}: memory after requests", running, tasks)


def _label(tasks: int) -> str:
    return f"{tasks / 1e6:g} M"


def _measurement(name: str, unit: str, sample: Sample, target: Target | None = None) -> Measurement:
    return Measurement(name, unit, {"bellflower": sample}, target)


@contextmanager
def _background_feed(bench: BenchmarkRun) -> Iterator[EventFeed]:
    """A feed whose events have the current time when they are published."""
    pace = bench.sizes.background_rate / EVENTS_PER_TASK
    workload = Workload(round(pace * bench.sizes.background_seconds), seed=23, start=time.time(), pace=pace)
    bench.log(f"encoding the events of {workload.tasks:,} tasks")
    with EventFeed(Transport("redis", batched=True), workload) as feed:
        yield feed


def _prepare_store(bench: BenchmarkRun, running: SystemProcess, tasks: int) -> Dataset:
    store = running.folder / "store"
    if bench.store:
        store.symlink_to(bench.store.resolve())
        return read_dataset(bench.store)
    fill_store(bench, running, 0, tasks)
    return read_dataset(store)


def _start(bench: BenchmarkRun, running: SystemProcess) -> HttpClient:
    running.start()
    client = running.client()
    client.timeout = TIMEOUT
    client.wait_for_page()
    # The server responds meanwhile, too; this scenario measures a complete store.
    bench.log(f"idle {wait_idle(running, limit=INDEX_TIMEOUT):.0f} s after the first page")
    return client


def warm_up(client: HttpClient, rows: Sequence[QueryRow], rng: random.Random) -> None:
    """One request of every kind: the targets are for a warm cache."""
    for row in rows:
        for make in row.kinds.values():
            time_request(client, make(rng))


def _time_until(condition: Callable[[], bool]) -> Sample:
    """Seconds until the condition is true; infinite after 30 seconds."""
    started_at = time.monotonic()
    return single_sample(time.monotonic() - started_at if wait_until(condition, limit=30) else float("inf"))


def _is_searchable(client: HttpClient, uuid: str) -> bool:
    """Whether a search by a part of the task id, which searches all texts, finds the task."""
    return time_request(client, Request("/api/v1/tasks", {"query": uuid[9:]}, uuid)).error is None


def _memory(name: str, running: SystemProcess, tasks: int) -> Measurement:
    target = Target("value", "<=", MAX_MEMORY_MB) if tasks <= TEN_MILLIONS else None
    memory = running.memory()
    return Measurement(name, "MB", {"bellflower": single_sample(memory.pss / 1e6)}, target, {"memory": memory})


def _report(bench: BenchmarkRun, measurements: Sequence[Measurement]) -> Sequence[Measurement]:
    missed = [measurement.name for measurement in measurements if measurement.met is False]
    bench.log(f"{len(measurements)} measurements; missed: {'; '.join(missed) or 'none'}")
    return measurements
