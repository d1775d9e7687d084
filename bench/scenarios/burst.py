"""What is missing after more events than it can take come as fast as the broker takes them, and how
long `/healthcheck` takes to answer meanwhile."""

import http.client
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Self

from bench.event_feed import Feed, Form
from bench.event_stream import Workload
from bench.results import Bar, Figure, percentile, single
from bench.runner import Bench, outcomes, stage
from bench.systems_under_test import System, wait_idle
from bench.visibility_check import Verdict, View, judge

EVENTS_PER_TASK = 3.6
#: Longer than the five seconds that RabbitMQ keeps a message for Flower, and than Flower's wait before it reconnects.
CALM = 6.0


@dataclass(slots=True)
class Pulse:
    """Asks for `/healthcheck` fifty times a second on a thread of its own; a context manager."""

    view: View
    #: seconds since the first question, seconds until the answer
    answers: list[tuple[float, float]] = field(default_factory=list)
    unanswered: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        assert self._thread is not None
        self._thread.join()

    def _beat(self) -> None:
        began = time.monotonic()
        while not self._over.wait(0.02):
            asked = time.monotonic() - began
            try:
                self.answers.append((asked, self.view.timed("/healthcheck")))
            except (OSError, http.client.HTTPException):
                self.unanswered += 1

    def milliseconds(self, until: float) -> list[float]:
        """The latencies of what was asked in the first `until` seconds, rising."""
        return sorted(1000 * seconds for asked, seconds in self.answers if asked <= until) or [math.inf]


@dataclass(frozen=True, slots=True)
class Flooded:
    verdict: Verdict
    latencies: Sequence[float]  # of the health check while it lasted, in milliseconds, rising
    unanswered: int
    published: float  # events a second
    unheard: int
    settled: float  # seconds from the first event until the system had nothing more to do


def burst(bench: Bench, form: Form) -> Iterator[Figure]:
    workload = Workload(round(bench.sizes.flood_events / EVENTS_PER_TASK))
    with Feed(form, workload) as feed:
        floods = {system.name: _flooded(bench, system, feed) for system in bench.systems}
    losses = {name: single(100 * flooded.verdict.lost) for name, flooded in floods.items()}
    more = {name: asdict(flooded) for name, flooded in floods.items()}
    yield Figure(f"{form.label}: flood: absent or wrong", "% of tasks", losses, Bar("value", "<=", 0), more)
    published = {name: single(flooded.published) for name, flooded in floods.items()}
    yield Figure(f"{form.label}: flood: published", "events/s", published)
    settled = {name: single(flooded.settled) for name, flooded in floods.items()}
    yield Figure(f"{form.label}: flood: at rest after", "s", settled)
    for percent, bar in ((50, None), (95, None), (100, Bar("value", "<=", 50))):
        answers = {name: single(percentile(flooded.latencies, percent)) for name, flooded in floods.items()}
        yield Figure(f"{form.label}: flood: healthcheck p{percent}", "ms", answers, bar)


def _flooded(bench: Bench, system: System, feed: Feed) -> Flooded:
    with stage(system, feed) as at:
        began = time.monotonic()
        with Pulse(at.running.view()) as pulse:
            sent = feed.send_all()
            settled = time.monotonic() - began + wait_idle(at.running, calm=CALM)
        verdict = judge(at.view.tasks(), outcomes(feed.workload))
    latencies = pulse.milliseconds(settled)
    bench.say(
        f"{feed.form.label}: {system.name}: flooded with {feed.events / sent['seconds']:,.0f} events/s: "
        f"{verdict.absent:,} of {verdict.expected:,} tasks absent, {verdict.wrong:,} wrong, "
        f"longest healthcheck {latencies[-1]:,.0f} ms"
    )
    published = feed.events / sent["seconds"]
    return Flooded(verdict, latencies, pulse.unanswered, published, sent.get("unheard", 0), settled)
