"""Ten clients of the event stream (Server-Sent Events) under load: seconds from the publication of an event to its
message, and the processor time of the web process."""

import bisect
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx
import msgspec
import psutil

from bench.event_feed import EventFeed, Transport
from bench.event_stream import EVENTS_PER_TASK, FINAL_STATES, Workload
from bench.paced_load import PacedLoad
from bench.results import Measurement, Sample, Target, p95_sample, single_sample
from bench.runner import BenchmarkRun, Trial, start_trial
from bench.systems_under_test import System, wait_idle

#: Parameters of the clients. Some are equal, as in production.
SUBSCRIPTIONS = (
    "",
    "",
    "columns=name,state,worker,received_at,runtime",
    "query=state:FAILURE",
    "query=state:FAILURE&start=-1h",
    "query=name:orders.tasks.*",
    "query=ORD-1 -state:RECEIVED",
    "query=runtime:>1s&columns=name,state,runtime",
    "query=worker:worker-01",
    "topics=status,workers",
)

_FORM = Transport("redis", batched=True)


class _Row(msgspec.Struct):
    uuid: str
    state: str


class _Message(msgspec.Struct):
    tasks: list[_Row]
    changed: int
    omitted: int


_decode = msgspec.json.Decoder(_Message).decode


@dataclass(slots=True)
class StreamClient:
    """Reads the stream in a thread. `finished_at`: when a final state of a task was first received."""

    port: int
    parameters: str
    finished_at: dict[str, float] = field(default_factory=dict)
    messages: int = 0
    bytes: int = 0
    resets: int = 0
    omitted: int = 0
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    _closing: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._read_stream, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join(10)
        self._client.close()

    def _read_stream(self) -> None:
        address = f"http://127.0.0.1:{self.port}/api/v1/stream?{self.parameters}"
        with self._client.stream("GET", address) as response:
            name = ""
            for line in response.iter_lines():
                self.bytes += len(line) + 1
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self._handle_message(name, line.removeprefix("data: "), time.monotonic())
                if self._closing.is_set():
                    return

    def _handle_message(self, name: str, data: str, now: float) -> None:
        self.resets += name == "reset"
        if name == "tasks":
            message = _decode(data)
            self.messages += 1
            self.omitted += message.omitted
            for row in message.tasks:
                if row.state in FINAL_STATES:
                    self.finished_at.setdefault(row.uuid, now)


class _TimedFeed(EventFeed):
    """Records when each step was published."""

    sent_at: list[float]

    def send(self, until: int) -> dict[str, object]:
        response = super().send(until)
        now = time.monotonic()
        self.sent_at += [now] * (until - len(self.sent_at))
        return response


def live(bench: BenchmarkRun) -> Iterator[Measurement]:
    pace, seconds = bench.sizes.background_rate, bench.sizes.background_seconds / 2
    tasks = round(pace * seconds / EVENTS_PER_TASK)
    workload = Workload(tasks, start=float(int(time.time()) + 10), pace=pace / EVENTS_PER_TASK)
    system = bench.system("bellflower")
    with _TimedFeed(_FORM, workload) as feed:
        feed.sent_at = []
        finishing_step = _finishing_steps(feed, workload)
        cores, pages = _measure(bench, system, feed)
    delays = [
        trial - feed.sent_at[finishing_step[uuid]]
        for page in pages
        for uuid, trial in page.finished_at.items()
        if uuid in finishing_step
    ]
    note = ", ".join(
        f"{page.parameters or 'all'}: {page.messages} messages, {page.bytes / 1e6:.1f} MB"
        + (f", {page.omitted} omitted" if page.omitted else "")
        + (f", {page.resets} resets" if page.resets else "")
        for page in pages
    )
    sample: Sample = p95_sample(delays)
    yield Measurement("live: delay", "p95 s", {"bellflower": sample}, Target("value", "<=", 2.0), {}, note)
    yield Measurement("live: web process", "cores", {"bellflower": single_sample(cores)}, Target("value", "<=", 0.5))


def _finishing_steps(feed: EventFeed, workload: Workload) -> dict[str, int]:
    """The step in which each task finishes; batches change the order slightly."""
    return {
        event.event["uuid"]: min(bisect.bisect_left(feed.sent_by_step, count), feed.steps - 1)
        for count, event in enumerate(workload.events(), start=1)
        if event.final is not None
    }


def _measure(bench: BenchmarkRun, system: System, feed: EventFeed) -> tuple[float, list[StreamClient]]:
    """The cores used by the web process, and the clients with what they received."""
    with start_trial(system, feed) as trial, ExitStack() as open_streams:
        feed.send(1)  # the first step is not measured
        wait_idle(trial.running, idle_for=2)
        pages = [
            open_streams.enter_context(StreamClient(trial.running.port, parameters)) for parameters in SUBSCRIPTIONS
        ]
        web = _web_process(trial)
        idle = _measure_cores(web, 5.0)
        with PacedLoad(feed, bench.sizes.background_rate) as load:
            started_at, cpu_before = time.monotonic(), _cpu_seconds(web)
            while not load.is_over():
                time.sleep(0.2)
            cores = (_cpu_seconds(web) - cpu_before) / (time.monotonic() - started_at)
        time.sleep(3.0)
        bench.log(f"{load.actual_rate:,.0f} events/s; the web process used {cores:.2f} cores, idle {idle:.3f}")
    return cores, pages


def _web_process(trial: Trial) -> psutil.Process:
    assert trial.running.process is not None
    return psutil.Process(trial.running.process.pid)


def _measure_cores(process: psutil.Process, seconds: float) -> float:
    cpu_before = _cpu_seconds(process)
    time.sleep(seconds)
    return (_cpu_seconds(process) - cpu_before) / seconds


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
