"""Ten pages that listen while events arrive: seconds from an event going out to the message that tells of it, and
what that costs the web process."""

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

from bench.event_feed import Feed, Form
from bench.event_stream import FINAL, Workload
from bench.paced_load import Drip
from bench.results import Bar, Figure, Sample, single, slow_end
from bench.runner import Bench, Stage, stage
from bench.systems_under_test import System, wait_idle

#: Events of a task.
EVENTS_PER_TASK = 3.6

#: What the pages ask for. Pages of the same kind are open in several places, as they are in life.
PAGES = (
    "",
    "",
    "columns=name,state,worker,received,runtime",
    "query=state:FAILURE",
    "query=state:FAILURE&start=-1h",
    "query=name:orders.tasks.*",
    "query=ORD-1 -state:RECEIVED",
    "query=runtime:>1s&columns=name,state,runtime",
    "query=worker:worker-01",
    "topics=status,workers",
)

_FORM = Form("redis", batched=True)


class _Row(msgspec.Struct):
    uuid: str
    state: str


class _Message(msgspec.Struct):
    tasks: list[_Row]
    touched: int
    unread: int


_decode = msgspec.json.Decoder(_Message).decode


@dataclass(slots=True)
class Page:
    """Listens in a thread. `heard` says when a task was told first as ended."""

    port: int
    asked: str
    heard: dict[str, float] = field(default_factory=dict)
    messages: int = 0
    bytes: int = 0
    resets: int = 0
    unread: int = 0
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    _leaving: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leaving.set()
        if self._thread is not None:
            self._thread.join(10)
        self._client.close()

    def _listen(self) -> None:
        address = f"http://127.0.0.1:{self.port}/api/v1/live?{self.asked}"
        with self._client.stream("GET", address) as answer:
            name = ""
            for line in answer.iter_lines():
                self.bytes += len(line) + 1
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self._take(name, line.removeprefix("data: "), time.monotonic())
                if self._leaving.is_set():
                    return

    def _take(self, name: str, data: str, now: float) -> None:
        self.resets += name == "reset"
        if name == "tasks":
            message = _decode(data)
            self.messages += 1
            self.unread += message.unread
            for row in message.tasks:
                if row.state in FINAL:
                    self.heard.setdefault(row.uuid, now)


class _Timed(Feed):
    """Notes when each step was out."""

    out: list[float]

    def send(self, until: int) -> dict[str, object]:
        answer = super().send(until)
        now = time.monotonic()
        self.out += [now] * (until - len(self.out))
        return answer


def live(bench: Bench) -> Iterator[Figure]:
    pace, seconds = bench.sizes.drip_pace, bench.sizes.drip_seconds / 2
    tasks = round(pace * seconds / EVENTS_PER_TASK)
    workload = Workload(tasks, start=float(int(time.time()) + 10), pace=pace / EVENTS_PER_TASK)
    system = bench.system("bellflower")
    with _Timed(_FORM, workload) as feed:
        feed.out = []
        ended = _steps_of(feed, workload)
        cores, pages = _listened(bench, system, feed)
    delays = [at - feed.out[ended[uuid]] for page in pages for uuid, at in page.heard.items() if uuid in ended]
    note = ", ".join(
        f"{page.asked or 'all'}: {page.messages} messages, {page.bytes / 1e6:.1f} MB"
        + (f", {page.unread} unread" if page.unread else "")
        + (f", {page.resets} resets" if page.resets else "")
        for page in pages
    )
    sample: Sample = slow_end(delays)
    yield Figure("live: delay", "p95 s", {"bellflower": sample}, Bar("value", "<=", 2.0), {}, note)
    yield Figure("live: web process", "cores", {"bellflower": single(cores)}, Bar("value", "<=", 0.5))


def _steps_of(feed: Feed, workload: Workload) -> dict[str, int]:
    """In which step each task ended, but for the little that batches change in the order."""
    return {
        event.event["uuid"]: min(bisect.bisect_left(feed.sent_by_step, count), feed.steps - 1)
        for count, event in enumerate(workload.events(), start=1)
        if event.final is not None
    }


def _listened(bench: Bench, system: System, feed: Feed) -> tuple[float, list[Page]]:
    """Cores that the web process took, and what the pages heard."""
    with stage(system, feed) as at, ExitStack() as open_pages:
        feed.send(1)  # greeted already; what comes first is not measured
        wait_idle(at.running, calm=2)
        pages = [open_pages.enter_context(Page(at.running.port, asked)) for asked in PAGES]
        web = _web(at)
        idle = _cores(web, 5.0)
        with Drip(feed, bench.sizes.drip_pace) as drip:
            began, used = time.monotonic(), _cpu(web)
            while not drip.over():
                time.sleep(0.2)
            cores = (_cpu(web) - used) / (time.monotonic() - began)
        time.sleep(3.0)
        bench.say(f"{drip.achieved:,.0f} events a second; the web process took {cores:.2f} cores, before {idle:.3f}")
    return cores, pages


def _web(at: Stage) -> psutil.Process:
    assert at.running.process is not None
    return psutil.Process(at.running.process.pid)


def _cores(process: psutil.Process, seconds: float) -> float:
    used = _cpu(process)
    time.sleep(seconds)
    return (_cpu(process) - used) / seconds


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
