"""Cost of reconciliation on a healthy cluster of 20 workers and 500 tasks per second: processor time of the workers
with and without it, and the messages that the broker receives for it."""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec
import psutil
from celery import Celery

from bench.install import ROOT
from bench.results import Measurement, Sample, Target
from bench.runner import BenchmarkRun, wait_until
from bench.systems_under_test import SystemProcess
from bench.visibility_check import HttpClient
from tests.helpers.servers import Redis

WORKERS = 20
RATE = 500.0
#: Seconds of load that are not measured, and that are.
WARM_UP, DURATION = 10.0, 60.0
TASK = "bench.return_argument"  # of bench.celery_app


@dataclass(frozen=True, slots=True)
class Trial:
    """Processor seconds of all workers per 1,000 tasks; messages for workers per second and worker."""

    worker_seconds: float
    messages: float
    cost: dict[str, Any]


def reconciliation(run: BenchmarkRun) -> Iterator[Measurement]:
    trials: dict[bool, list[Trial]] = {True: [], False: []}
    for enabled in (False, True, True, False):
        run.log(f"{WORKERS} workers, {RATE:.0f} tasks/s, reconciliation {'on' if enabled else 'off'}")
        trials[enabled].append(_measure(run, enabled=enabled))
        run.log(f"  {trials[enabled][-1]}")
    samples = {enabled: _sample([trial.worker_seconds for trial in trials[enabled]]) for enabled in (True, False)}
    name = "processor time of the workers per 1,000 tasks"
    yield Measurement(f"{name}, with reconciliation", "s", {"bellflower": samples[True]})
    yield Measurement(f"{name}, without", "s", {"bellflower": samples[False]})
    messages = _sample([trial.messages for trial in trials[True]])
    cost = {"cost": [trial.cost for trial in trials[True]]}
    name = "messages of reconciliation per second and worker"
    yield Measurement(name, "1/s", {"bellflower": messages}, Target("value", "<=", 1.0), cost)


def _sample(values: list[float]) -> Sample:
    return Sample(statistics.mean(values), min(values), max(values), values)


def _measure(run: BenchmarkRun, *, enabled: bool) -> Trial:
    system = run.system("bellflower")
    system = replace(system, options=(*system.options, f"--reconcile={str(enabled).lower()}"))
    with ExitStack() as stack:
        server = stack.enter_context(Redis())
        app = Celery("bench", broker=server.url, set_as_current=False)
        workers = stack.enter_context(_run_workers(app, server.url))
        running = stack.enter_context(SystemProcess(system, server.url))
        running.start()
        client = running.client()
        client.wait_for_page("/healthcheck")
        load = stack.enter_context(Load(app))
        time.sleep(WARM_UP)
        sent, used, cost = load.sent, _cpu_seconds(workers), _read_cost(client)
        started_at = time.monotonic()
        time.sleep(DURATION)
        seconds, sent = time.monotonic() - started_at, load.sent - sent
        used, after = _cpu_seconds(workers) - used, _read_cost(client)
    spent = {name: value - cost.get(name, 0) for name, value in after.items()}
    # Each request is delivered to all workers.
    messages = spent.get("worker_requests", 0) * WORKERS + spent.get("worker_replies", 0)
    return Trial(used / sent * 1_000, messages / WORKERS / seconds, {**spent, "tasks_per_second": sent / seconds})


class Load:
    """Sends tasks at RATE in a thread; a context manager, whose end stops it."""

    def __init__(self, app: Celery) -> None:
        self.app, self.sent = app, 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        started_at = time.monotonic()
        with self.app.connection_for_write() as connection, self.app.amqp.Producer(connection) as producer:
            while not self._stopped.wait(max(0.0, started_at + self.sent / RATE - time.monotonic())):
                self.app.send_task(TASK, (self.sent,), producer=producer, ignore_result=True)
                self.sent += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


@contextmanager
def _run_workers(app: Celery, broker: str) -> Iterator[list[psutil.Process]]:
    """Solo workers, which have one process each, so that as many fit on the machine."""
    environment = {**os.environ, "BENCH_BROKER": broker, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "celery", "-A", "bench.celery_app", "worker", "-P", "solo", "-E", "-l", "ERROR"]
    started = [
        subprocess.Popen(
            [*command, "--without-mingle", "--without-gossip", "-n", f"worker-{number}@bench"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(WORKERS)
    ]
    try:
        if not wait_until(lambda: len(app.control.ping(timeout=2)) == WORKERS, limit=120, interval=1):
            raise RuntimeError("the workers did not start")
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait(30)


def _cpu_seconds(workers: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (worker.cpu_times() for worker in workers))


def _read_cost(client: HttpClient) -> dict[str, float]:
    """Counters of the reconciler; empty if it is disabled."""
    _, body = client.get("/api/v1/status")
    report = msgspec.json.decode(body)["recorder"].get("reconcile") or {}
    return {name: value for name, value in report.items() if isinstance(value, int | float)}
