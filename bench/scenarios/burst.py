"""A burst of events as fast as the broker accepts them, more than a system can process at once: how many tasks are
missing afterwards, and how long `/healthcheck` takes meanwhile."""

import http.client
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Self

from bench.event_feed import EventFeed, Transport
from bench.event_stream import EVENTS_PER_TASK, Workload
from bench.results import Measurement, Target, percentile, single_sample
from bench.runner import BenchmarkRun, expected_outcomes, start_trial
from bench.systems_under_test import System, wait_idle
from bench.visibility_check import Comparison, HttpClient, compare_tasks

#: Longer than the five seconds that RabbitMQ keeps a message for Flower, and than Flower's wait before it reconnects.
IDLE_SECONDS = 6.0


@dataclass(slots=True)
class HealthcheckPoller:
    """Requests `/healthcheck` fifty times per second in a thread. A context manager."""

    client: HttpClient
    #: seconds since the start, seconds until the response
    latencies_by_time: list[tuple[float, float]] = field(default_factory=list)
    failed_requests: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopped.set()
        assert self._thread is not None
        self._thread.join()

    def _poll(self) -> None:
        started_at = time.monotonic()
        while not self._stopped.wait(0.02):
            sent_at = time.monotonic() - started_at
            try:
                self.latencies_by_time.append((sent_at, self.client.time_get("/healthcheck")))
            except (OSError, http.client.HTTPException):
                self.failed_requests += 1

    def milliseconds(self, until: float) -> list[float]:
        """The sorted latencies of the requests of the first `until` seconds."""
        return sorted(1000 * seconds for sent_at, seconds in self.latencies_by_time if sent_at <= until) or [math.inf]


@dataclass(frozen=True, slots=True)
class BurstResult:
    comparison: Comparison
    latencies: Sequence[float]  # of the health check during the burst, in milliseconds, sorted
    failed_requests: int
    published: float  # events per second
    undelivered: int
    idle_after: float  # seconds from the first event until the system was idle


def burst(bench: BenchmarkRun, transport: Transport) -> Iterator[Measurement]:
    workload = Workload(round(bench.sizes.burst_events / EVENTS_PER_TASK))
    with EventFeed(transport, workload) as feed:
        results = {system.name: _measure(bench, system, feed) for system in bench.systems}
    losses = {name: single_sample(100 * result.comparison.loss) for name, result in results.items()}
    more = {name: asdict(result) for name, result in results.items()}
    yield Measurement(
        f"{transport.label}: burst: missing or wrong", "% of tasks", losses, Target("value", "<=", 0), more
    )
    published = {name: single_sample(result.published) for name, result in results.items()}
    yield Measurement(f"{transport.label}: burst: published", "events/s", published)
    idle_after = {name: single_sample(result.idle_after) for name, result in results.items()}
    yield Measurement(f"{transport.label}: burst: idle after", "s", idle_after)
    for percent, target in ((50, None), (95, None), (100, Target("value", "<=", 50))):
        latencies_by_time = {
            name: single_sample(percentile(result.latencies, percent)) for name, result in results.items()
        }
        yield Measurement(f"{transport.label}: burst: healthcheck p{percent}", "ms", latencies_by_time, target)


def _measure(bench: BenchmarkRun, system: System, feed: EventFeed) -> BurstResult:
    with start_trial(system, feed) as trial:
        started_at = time.monotonic()
        with HealthcheckPoller(trial.running.client()) as poller:
            sent = feed.send_all()
            idle_after = time.monotonic() - started_at + wait_idle(trial.running, idle_for=IDLE_SECONDS)
        comparison = compare_tasks(trial.client.tasks(), expected_outcomes(feed.workload))
    latencies = poller.milliseconds(idle_after)
    bench.log(
        f"{feed.transport.label}: {system.name}: burst of {feed.events / sent['seconds']:,.0f} events/s: "
        f"{comparison.missing:,} of {comparison.expected:,} tasks missing, {comparison.wrong:,} wrong, "
        f"longest healthcheck {latencies[-1]:,.0f} ms"
    )
    published = feed.events / sent["seconds"]
    return BurstResult(comparison, latencies, poller.failed_requests, published, sent.get("unheard", 0), idle_after)
