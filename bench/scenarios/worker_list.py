"""Duration of `/api/workers`, which must not wait for a worker: with a worker that replies, one that is suspended, and
one that has just appeared."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.http_timing import time_request
from bench.query_mix import Request
from bench.results import Measurement, Sample, Target, median_sample, percentile
from bench.runner import SERVERS, BenchmarkRun, wait_until
from bench.systems_under_test import System, SystemProcess
from bench.visibility_check import HttpClient
from tests.helpers.celery_app import make
from tests.helpers.celery_worker import Worker

REQUESTS = 300
#: Seconds after the start of a worker in which requests are measured, and between two of them.
APPEARANCE, PAUSE = 10.0, 0.02
#: Milliseconds of the slowest request: a wait for a worker takes a second.
TARGET = Target("value", "<=", 50)
SITUATIONS = ("replies", "is suspended", "has just appeared")


def worker_list(bench: BenchmarkRun) -> Iterator[Measurement]:
    samples = {system.name: _measure_system(system) for system in bench.systems}
    for situation in SITUATIONS:
        found = {name: each[situation] for name, each in samples.items()}
        note = "; ".join(
            f"{name}: p95 {percentile(sorted(each.raw), 95):.2f} ms, slowest {each.high:.1f} ms"
            for name, each in found.items()
        )
        bench.log(f"worker {situation}: {note}")
        yield Measurement(f"/api/workers, worker {situation}", "ms", found, TARGET, {}, note)


def _measure_system(system: System) -> dict[str, Sample]:
    with SERVERS["redis"]() as server, SystemProcess(system, server.url) as running:
        running.start()
        client = running.client()
        client.wait_for_page("/healthcheck")
        app = make(server.url, None)
        with Worker(app, "first", 1) as first:

            def is_listed() -> bool:
                return first.hostname in client.get("/api/workers", refresh="1")[1].decode()

            assert wait_until(is_listed, limit=60, interval=0.5)
            replying = [_request(client) for _ in range(REQUESTS)]
            second = Worker(app, "second", 1)
            appearing = []
            try:
                with ThreadPoolExecutor(1) as pool:
                    starting = pool.submit(second.start)
                    deadline = time.monotonic() + APPEARANCE
                    while time.monotonic() < deadline or not starting.done():
                        appearing.append(_request(client))
                        time.sleep(PAUSE)
                    starting.result()
            finally:
                second.stop()
            first.signal(signal.SIGSTOP)
            try:
                suspended = [_request(client) for _ in range(REQUESTS)]
            finally:
                first.signal(signal.SIGCONT)
    return dict(zip(SITUATIONS, map(median_sample, (replying, suspended, appearing)), strict=True))


def _request(client: HttpClient) -> float:
    """Milliseconds."""
    response = time_request(client, Request("/api/workers", {}))
    if response.error:
        raise RuntimeError(response.error)
    return response.milliseconds
