"""Seconds until a finished task is visible over HTTP and counted in `/metrics`, on an otherwise idle cluster; and until
it is visible while thousands of other events arrive per second."""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.event_feed import EventFeed, Transport
from bench.event_stream import EVENTS_PER_TASK, Emitted, Workload
from bench.paced_load import PacedLoad
from bench.publisher import CONNECTIONS, BrokerConnection
from bench.results import Measurement, Target, median_sample, p95_sample, percentile
from bench.runner import SERVERS, BenchmarkRun, start_trial
from bench.systems_under_test import System, SystemProcess, wait_idle
from bench.visibility_check import HttpClient
from bench.wire_format import ENCODERS, encode
from tests.helpers.servers import wait_for

#: Tasks per broker and system, with random pauses between them.
TASKS = 40
PAUSES = (0.2, 0.6)
#: Seconds between two requests. Shorter pauses would take processor time from the system.
POLL_INTERVAL = 0.001
#: Tasks that are followed in the background load, with pauses between them.
TASKS_UNDER_LOAD = 40
PAUSES_UNDER_LOAD = (0.1, 0.6)
TARGETS = {"p50": Target("value", "<=", 0.010), "p95": Target("value", "<=", 0.025)}

_SUCCEEDED = re.compile(rb'^flower_events_total\{[^}]*type="task-succeeded"[^}]*\} (\S+)', re.MULTILINE)


def visibility(bench: BenchmarkRun) -> Iterator[Measurement]:
    for broker in ("redis", "rabbitmq"):
        tasks: dict[str, list[float]] = {}
        metrics: dict[str, list[float]] = {}
        for system in bench.systems:
            tasks[system.name], metrics[system.name] = _measure(bench, broker, system)
        for what, delays in (("task", tasks), ("metrics", metrics)):
            medians = {name: median_sample(each) for name, each in delays.items()}
            yield Measurement(f"{what} visible, {broker}", "p50 s", medians, TARGETS["p50"])
            highest = {name: p95_sample(each) for name, each in delays.items()}
            yield Measurement(f"{what} visible, {broker}", "p95 s", highest, TARGETS["p95"])


def visibility_under_load(bench: BenchmarkRun) -> Iterator[Measurement]:
    rate = bench.sizes.background_rate
    tasks = round(bench.sizes.background_seconds * rate / EVENTS_PER_TASK)
    workload = Workload(tasks, start=time.time(), pace=rate / EVENTS_PER_TASK)
    delays = {}
    with EventFeed(Transport("redis", batched=True), workload) as feed:
        for system in bench.systems:
            delays[system.name] = _measure_under_load(bench, feed, system)
    samples = {name: p95_sample(each) for name, each in delays.items()}
    yield Measurement(f"task visible, {rate:,} events/s", "p95 s", samples, Target("value", "<=", 0.1))


def _measure_under_load(bench: BenchmarkRun, feed: EventFeed, system: System) -> list[float]:
    chance = random.Random(15)
    with start_trial(system, feed) as trial:
        connection = CONNECTIONS["redis"]("127.0.0.1", trial.server.port)
        delays: list[float] = []
        with PacedLoad(feed, bench.sizes.background_rate) as load:
            while len(delays) < TASKS_UNDER_LOAD and not load.is_over():
                time.sleep(chance.uniform(*PAUSES_UNDER_LOAD))
                delays.append(_time_until(partial(_is_finished, trial.client, _send_task("redis", connection))))
        connection.close()
    bench.log(f"{system.name}: {load.actual_rate:,.0f} events/s: {_describe(delays)}")
    return delays


def _measure(bench: BenchmarkRun, broker: str, system: System) -> tuple[list[float], list[float]]:
    chance = random.Random(15)
    with SERVERS[broker]() as server, SystemProcess(system, server.url) as running:
        running.start()
        client = running.client()
        client.wait_for_page()
        connection = CONNECTIONS[broker]("127.0.0.1", server.port)
        # events that are sent before the system has subscribed are lost
        wait_for(
            "the subscription", lambda: _time_until(lambda: client.task(_send_task(broker, connection)), 1.0) < 1.0
        )
        wait_idle(running, idle_for=2)
        tasks, metrics = [], []
        for _ in range(TASKS):
            time.sleep(chance.uniform(*PAUSES))
            task = _send_task(broker, connection)
            tasks.append(_time_until(partial(_is_finished, client, task)))
        for _ in range(TASKS):
            time.sleep(chance.uniform(*PAUSES))
            before = _count_succeeded(client)
            _send_task(broker, connection)
            metrics.append(_time_until(partial(_has_counted_more, client, before)))
        connection.close()
    bench.log(f"{system.name}, {broker}: {_describe(tasks)}; metrics {_describe(metrics)}")
    return tasks, metrics


def _send_task(broker: str, connection: BrokerConnection) -> str:
    """Publish the events of a task that succeeds. Returns its id."""
    task = str(uuid.uuid4())
    common = {"hostname": "celery@bench", "utcoffset": 0, "pid": 1, "uuid": task}
    now = time.time()
    details: tuple[dict[str, Any], ...] = (
        {"type": "task-received", "name": "bench.task", "args": "()", "kwargs": "{}", "retries": 0},
        {"type": "task-started"},
        {"type": "task-succeeded", "result": "None", "runtime": 0.001},
    )
    events = [
        Emitted({**common, **each, "clock": number, "timestamp": now + number / 10_000})
        for number, each in enumerate(details)
    ]
    messages = list(encode(events, ENCODERS[broker], batched=False))
    connection.send(b"".join(message.payload for message in messages), len(messages))
    return task


def _is_finished(client: HttpClient, task: str) -> bool:
    shown = client.task(task)
    return shown is not None and shown["state"] == "SUCCESS"


def _count_succeeded(client: HttpClient) -> float:
    return sum(map(float, _SUCCEEDED.findall(client.get("/metrics")[1])))


def _has_counted_more(client: HttpClient, before: float) -> bool:
    return _count_succeeded(client) > before


def _time_until(is_true: Callable[[], object], limit: float = 30.0) -> float:
    started_at = time.perf_counter()
    while not is_true() and time.perf_counter() - started_at < limit:
        time.sleep(POLL_INTERVAL)
    return time.perf_counter() - started_at


def _describe(delays: list[float]) -> str:
    milliseconds = sorted(1000 * each for each in delays)
    return f"p50 {percentile(milliseconds, 50):.1f} ms, p95 {percentile(milliseconds, 95):.1f} ms"
