"""What every measure is handed: the systems, the sizes, brokers, and a place to say how far it is."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.event_feed import Feed, Paced
from bench.event_stream import Outcome, Workload
from bench.install import ROOT
from bench.systems_under_test import Running, System
from bench.visibility_check import View
from tests.helpers.servers import RabbitMQ, Redis

Broker = Redis | RabbitMQ
SERVERS: dict[str, type[Broker]] = {"redis": Redis, "rabbitmq": RabbitMQ}


#: The last commit before the store had columns and a text index.
BASE = "65d80e3"


@dataclass(frozen=True, slots=True)
class Sizes:
    tasks: int = 100_000
    flood_events: int = 200_000
    crash_tasks: int = 20_000
    starts: int = 3
    large_tasks: int = 5_000_000
    paged_tasks: int = 1_000_000
    #: stores that questions are asked of
    asked_tasks: tuple[int, ...] = (1_000_000,)
    #: how often each kind of question is asked of Bellflower alone, and of both systems
    rounds: int = 40
    pairs: int = 30
    #: events a second while questions are asked, and for how long
    drip_pace: int = 5_000
    drip_seconds: int = 120


QUICK = Sizes(
    tasks=6_000,
    flood_events=40_000,
    crash_tasks=5_000,
    starts=3,
    asked_tasks=(20_000,),
    rounds=5,
    pairs=5,
    drip_seconds=10,
)


@dataclass(frozen=True, slots=True)
class Bench:
    systems: tuple[System, ...]
    sizes: Sizes
    #: Prints one line.
    line: Callable[[str], None]
    #: a store that `bench.fill` has filled, to be asked instead of a new one
    store: Path | None = None
    #: the commit that ingest is compared with
    base: str = BASE
    began: float = field(default_factory=time.monotonic)

    def system(self, name: str) -> System:
        return next(system for system in self.systems if system.name == name)

    def say(self, text: str) -> None:
        elapsed = int(time.monotonic() - self.began)
        self.line(f"{elapsed // 60:3d}:{elapsed % 60:02d}  {text}")


@dataclass(frozen=True, slots=True)
class Stage:
    """A system at work on a fresh broker, and the publisher connected to the same."""

    server: Broker
    running: Running
    view: View


@contextmanager
def stage(system: System, feed: Feed, *, durable: bool = False) -> Iterator[Stage]:
    """Each system has a broker of its own, so that what one leaves in it (queues, connections) does not
    slow down the next."""
    with SERVERS[feed.form.broker]() as server, Running(system, server.url, durable=durable) as running:
        yield begin(server, running, feed)


def begin(server: Broker, running: Running, feed: Feed) -> Stage:
    """Start the system, and return when it has been seen to hear the publisher."""
    running.start()
    view = running.view()
    view.first_page("/healthcheck")
    feed.connect(server)
    feed.greet(view)
    return Stage(server, running, view)


def fill(bench: Bench, running: Running, first: int, count: int, *, of: int | None = None) -> None:
    """Put tasks into the store of a system that does not run, with its own writer."""
    began = time.monotonic()
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
    # The root for `bench`; the product is that of the interpreter's environment.
    subprocess.run(command, cwd=ROOT, check=True)
    bench.say(f"{count:,} tasks written in {time.monotonic() - began:.0f} s")


def feed_speed(at: Stage, feed: Feed) -> float:
    """Events a second until all of them are visible."""
    began = time.monotonic()
    Paced(feed, at.view, at.running.system.window).run(lambda events: None)
    return feed.events / (time.monotonic() - began)


@cache
def outcomes(workload: Workload) -> dict[str, Outcome]:
    return workload.outcomes()


def wait_until(true: Callable[[], bool], *, limit: float, every: float = 0.03) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + limit
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
