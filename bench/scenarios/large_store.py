"""Bellflower alone, with millions of tasks in its store: does it start, take events, page and stay small?"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.event_feed import Feed, Form
from bench.event_stream import Workload
from bench.results import Bar, Figure, Sample, middle, single
from bench.runner import SERVERS, Bench, Broker, begin, feed_speed, fill
from bench.scenarios.start import seconds_to_page
from bench.systems_under_test import Running, System, wait_idle

BATCH = 10_000
#: So many batches at each end of the walk are compared.
ENDS = 3


def large_store(bench: Bench) -> Iterator[Figure]:
    system = bench.system("bellflower")
    sizes = bench.sizes
    paged, full = f"{sizes.paged_tasks / 1e6:g} M", f"{sizes.large_tasks / 1e6:g} M"
    with (
        Feed(Form("redis", batched=True), Workload(sizes.tasks)) as feed,
        SERVERS["redis"]() as server,
        Running(system, server.url) as running,
    ):
        fill(bench, running, 0, sizes.paged_tasks, of=sizes.large_tasks)
        yield _own(f"start to first page, {paged} tasks", "s", _starts(bench, running), Bar("value", "<=", 1.0))
        yield from _walks(bench, running, paged, sizes.paged_tasks)
        fill(bench, running, sizes.paged_tasks, sizes.large_tasks - sizes.paged_tasks)
        yield _own(f"start to first page, {full} tasks", "s", _starts(bench, running))
        empty = _speed_when_empty(system, server, feed)
        speed = feed_speed(begin(server, running, feed), feed)
        bench.say(f"large: {empty:,.0f} events/s into an empty store, {speed:,.0f} with {full} tasks in it")
        share = single(100 * speed / empty)
        yield _own(
            f"speed with {full} tasks", "% of empty", share, Bar("value", ">=", 80), {"empty": empty, "full": speed}
        )
        wait_idle(running, calm=2, limit=60)
        memory = running.memory()
        yield _own(
            f"memory with {full} tasks", "MB", single(memory.own / 1e6), Bar("value", "<=", 300), {"memory": memory}
        )


def _own(name: str, unit: str, sample: Sample, bar: Bar | None = None, more: dict[str, Any] | None = None) -> Figure:
    return Figure(name, unit, {"bellflower": sample}, bar, more or {})


def _starts(bench: Bench, running: Running) -> Sample:
    times = []
    for _ in range(bench.sizes.starts):
        times.append(seconds_to_page(running))
        running.stop()
    sample = middle(times)
    bench.say(f"large: {sample.value:.2f} s to the first page")
    return sample


def _speed_when_empty(system: System, server: Broker, feed: Feed) -> float:
    with Running(system, server.url) as running:
        return feed_speed(begin(server, running, feed), feed)


def _walks(bench: Bench, running: Running, label: str, tasks: int) -> Iterator[Figure]:
    """Through all tasks in batches, over HTTP and in Python: what the last ones cost beside the first."""
    running.start()
    view = running.view()
    view.first_page()
    ways: dict[str, Callable[[int], float]] = {
        "HTTP": lambda offset: view.timed("/api/tasks", limit=BATCH, offset=offset),
        "Python": _in_python(running),
    }
    for way, fetch in ways.items():
        times = [fetch(offset) for offset in range(0, tasks, BATCH)]
        first, last = middle(times[:ENDS]), middle(times[-ENDS:])
        bench.say(f"large: {way}: the first {BATCH:,} tasks in {first.value:.2f} s, the last in {last.value:.2f} s")
        more = {"seconds": times}
        yield _own(
            f"paging {label} ({way}): last : first", "×", single(last.value / first.value), Bar("value", "<=", 2), more
        )
    running.stop()


def _in_python(running: Running) -> Callable[[int], float]:
    # Here and not above: a bench of Flower alone has no need of us.
    from bench.celery_app import app  # noqa: PLC0415
    from flower.events import Events  # noqa: PLC0415
    from flower.utils.tasks import iter_tasks  # noqa: PLC0415

    events = Events(app, db=str(running.folder / "store"))

    def fetch(offset: int) -> float:
        began = time.monotonic()
        found = sum(1 for _ in iter_tasks(events, limit=BATCH, offset=offset))
        if found != BATCH:
            raise RuntimeError(f"{found} tasks at offset {offset}")
        return time.monotonic() - began

    return fetch
