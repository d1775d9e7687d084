"""The tasks that are still visible after `kill -9` of all processes during a stream, and a restart.

Each system runs with its persistence: Flower with its state file, saved every five seconds."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from bench.event_feed import EventFeed, EventsLost, Transport, WindowedFeed
from bench.event_stream import FINAL_STATES, Workload
from bench.results import Measurement, Target, single_sample
from bench.runner import BenchmarkRun, expected_outcomes, start_trial
from bench.systems_under_test import System, wait_idle
from bench.visibility_check import Tasks, compare_tasks


@dataclass(frozen=True, slots=True)
class Kill9Result:
    visible: int
    retained: int
    correct: int
    expected: int


def kill9(bench: BenchmarkRun, transport: Transport) -> Iterator[Measurement]:
    with EventFeed(transport, Workload(bench.sizes.kill9_tasks)) as feed:
        results = {system.name: _measure(bench, system, feed) for system in bench.systems}
    retained = {name: single_sample(100 * s.retained / max(s.visible, 1)) for name, s in results.items()}
    yield Measurement(
        f"{transport.broker}: kill -9: still visible", "% of tasks", retained, Target("value", ">=", 100), results
    )
    if transport.broker == "rabbitmq":
        correct = {name: single_sample(100 * s.correct / s.expected) for name, s in results.items()}
        yield Measurement(
            f"{transport.broker}: kill -9: correct at the end", "% of tasks", correct, Target("value", ">=", 100)
        )


def _measure(bench: BenchmarkRun, system: System, feed: EventFeed) -> Kill9Result:
    with start_trial(system, feed, durable=True) as trial:
        with suppress(EventsLost):  # only visible tasks count
            WindowedFeed(feed, trial.client).run(lambda events: None, until=feed.steps // 2)
        # Events arrive while the tasks are fetched and the system is killed; the tasks fetched before count.
        stream = threading.Thread(target=feed.send, args=(feed.steps * 3 // 4,))
        stream.start()
        before = trial.client.tasks()
        trial.running.kill()
        stream.join()
        feed.send_all()  # no process consumes these
        trial.running.start()
        trial.client.wait_for_page("/healthcheck")
        wait_idle(trial.running)
        after = trial.client.tasks()
    result = Kill9Result(len(before), _count_retained(before, after), _count_correct(after, feed), feed.workload.tasks)
    bench.log(
        f"{feed.transport.label}: {system.name}: killed with {result.visible:,} tasks visible: {result.retained:,} "
        f"of them after the restart; {result.correct:,} of all {result.expected:,} correct at the end"
    )
    return result


def _count_retained(before: Tasks, after: Tasks) -> int:
    """The tasks that are visible again; a finished task must be in its final state."""
    return sum(
        uuid in after and (task.state not in FINAL_STATES or task.state == after[uuid].state)
        for uuid, task in before.items()
    )


def _count_correct(after: Tasks, feed: EventFeed) -> int:
    comparison = compare_tasks(after, expected_outcomes(feed.workload))
    return comparison.expected - comparison.missing - comparison.wrong
