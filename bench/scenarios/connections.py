"""Seconds to the first page on a new connection while 2,000 idle and 200 slow connections are open."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psutil

from bench.install import ROOT
from bench.results import Measurement, Target, p95_sample, single_sample
from bench.runner import SERVERS, BenchmarkRun, wait_until
from bench.systems_under_test import SystemProcess, wait_idle

IDLE, SLOW = 2_000, 200
#: Seconds with the connections open: every one that sends no request is closed and opened again at least twice.
SECONDS = 60.0
PAUSE = 0.2

TARGET = Target("value", "<=", 0.05)


def connections(bench: BenchmarkRun) -> Iterator[Measurement]:
    with SERVERS["redis"]() as server, SystemProcess(bench.system("bellflower"), server.url) as running:
        running.start()
        running.client().wait_for_page()
        wait_idle(running, idle_for=2)
        assert running.process is not None
        process = psutil.Process(running.process.pid)
        url = f"http://127.0.0.1:{running.port}/"
        before = [_load_page(url) for _ in range(50)]
        descriptors, memory, log = process.num_fds(), process.memory_info().rss, running.log.stat().st_size
        # In a process of its own: its work must not delay the measured requests.
        command = [sys.executable, "-m", "tests.helpers.slow_clients", str(running.port), str(IDLE), str(SLOW)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as clients:
            assert clients.stdout is not None
            wait_until(lambda: process.num_fds() >= descriptors + 0.95 * (IDLE + SLOW), limit=60)
            during, peak_memory, peak_descriptors = [], 0, 0
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                during.append(_load_page(url))
                peak_memory = max(peak_memory, process.memory_info().rss)
                peak_descriptors = max(peak_descriptors, process.num_fds())
                time.sleep(PAUSE)
            clients.kill()
            closed = clients.stdout.read().split()[-1]
        written = running.log.stat().st_size - log
    note = (
        f"before: median {statistics.median(before) * 1000:.1f} ms, p95 {p95_sample(before).value * 1000:.1f} ms; "
        f"median {statistics.median(during) * 1000:.1f} ms; {closed} connections were closed; "
        f"descriptors {descriptors} -> {peak_descriptors}, memory {memory / 1e6:.0f} -> {peak_memory / 1e6:.0f} MB, "
        f"log +{written} bytes"
    )
    bench.log(note)
    samples = {"bellflower": p95_sample(during)}
    yield Measurement("first page with 2,200 slow clients", "p95 s", samples, TARGET, {}, note)
    yield Measurement("log with 2,200 slow clients", "bytes", {"bellflower": single_sample(written)})


def _load_page(url: str) -> float:
    with httpx.Client(timeout=30, follow_redirects=True) as client:
        started = time.monotonic()
        client.get(url).raise_for_status()
        return time.monotonic() - started
