"""What every scenario receives: the systems, the sizes, brokers, and a log of the progress."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.event_feed import EventFeed, WindowedFeed
from bench.event_stream import Outcome, Workload
from bench.install import ROOT
from bench.systems_under_test import System, SystemProcess
from bench.visibility_check import HttpClient
from tests.helpers.servers import RabbitMQ, Redis

Broker = Redis | RabbitMQ
SERVERS: dict[str, type[Broker]] = {"redis": Redis, "rabbitmq": RabbitMQ}


#: The last commit before the store had columns and a text index.
BASE = "65d80e3"


@dataclass(frozen=True, slots=True)
class Sizes:
    tasks: int = 60_000
    burst_events: int = 200_000
    kill9_tasks: int = 20_000
    starts: int = 3
    large_tasks: int = 5_000_000
    paged_tasks: int = 1_000_000
    #: tasks in the stores of the step `queries-alone`
    queried_tasks: tuple[int, ...] = (1_000_000,)
    #: requests of each kind: to Bellflower alone, and to both systems
    rounds: int = 30
    pairs: int = 20
    #: background load during requests: events per second, and its duration in seconds
    background_rate: int = 5_000
    background_seconds: int = 60


QUICK = Sizes(
    tasks=6_000,
    burst_events=40_000,
    kill9_tasks=5_000,
    starts=3,
    queried_tasks=(20_000,),
    rounds=5,
    pairs=5,
    background_seconds=10,
)


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    systems: tuple[System, ...]
    sizes: Sizes
    #: prints one line
    print_line: Callable[[str], None]
    #: a store filled by `bench.fill`, queried instead of a new one
    store: Path | None = None
    #: the commit that the step `ingest` compares with
    base: str = BASE
    started_at: float = field(default_factory=time.monotonic)

    def system(self, name: str) -> System:
        return next(system for system in self.systems if system.name == name)

    def log(self, text: str) -> None:
        elapsed = int(time.monotonic() - self.started_at)
        self.print_line(f"{elapsed // 60:3d}:{elapsed % 60:02d}  {text}")


@dataclass(frozen=True, slots=True)
class Trial:
    """A running system on a fresh broker, with the publisher connected to the same broker."""

    server: Broker
    running: SystemProcess
    client: HttpClient


@contextmanager
def start_trial(system: System, feed: EventFeed, *, durable: bool = False) -> Iterator[Trial]:
    """Each system gets a broker of its own: queues and connections that one leaves behind do not slow the next."""
    with SERVERS[feed.transport.broker]() as server, SystemProcess(system, server.url, durable=durable) as running:
        yield start_and_connect(server, running, feed)


def start_and_connect(server: Broker, running: SystemProcess, feed: EventFeed) -> Trial:
    """Start the system, connect the publisher, and return when the system shows an event of the publisher."""
    running.start()
    client = running.client()
    client.wait_for_page("/healthcheck")
    feed.connect(server)
    feed.wait_until_consuming(client)
    return Trial(server, running, client)


def fill_store(bench: BenchmarkRun, running: SystemProcess, first: int, count: int, *, of: int | None = None) -> None:
    """Write tasks into the store of a system that is not running, with the writer of that version."""
    started_at = time.monotonic()
    store = str(running.folder / "store")
    command = [
        str(running.system.python),
        "-m",
        "bench.fill",
        store,
        str(first),
        str(count),
        "--of",
        str(of or first + count),
    ]
    # The working directory provides `bench`; the interpreter's environment provides the product.
    subprocess.run(command, cwd=ROOT, check=True)
    bench.log(f"{count:,} tasks written in {time.monotonic() - started_at:.0f} s")


def measure_feed_rate(trial: Trial, feed: EventFeed) -> float:
    """Events per second until all of them are visible."""
    started_at = time.monotonic()
    WindowedFeed(feed, trial.client).run(lambda events: None)
    return feed.events / (time.monotonic() - started_at)


@cache
def expected_outcomes(workload: Workload) -> dict[str, Outcome]:
    return workload.outcomes()


def wait_until(condition: Callable[[], bool], *, limit: float, interval: float = 0.03) -> bool:
    """Whether the condition became true within `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True
