"""What is still visible after `kill -9` of all processes in the middle of a stream, and a restart.

Each is given what it has against forgetting: Flower its state file, saved every five seconds."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from bench.event_feed import Feed, Form, Lost, Paced
from bench.event_stream import FINAL, Workload
from bench.results import Bar, Figure, single
from bench.runner import Bench, outcomes, stage
from bench.systems_under_test import System, wait_idle
from bench.visibility_check import Tasks, judge


@dataclass(frozen=True, slots=True)
class Survival:
    visible: int
    kept: int
    right: int
    expected: int


def kill9(bench: Bench, form: Form) -> Iterator[Figure]:
    with Feed(form, Workload(bench.sizes.crash_tasks)) as feed:
        survivals = {system.name: _killed(bench, system, feed) for system in bench.systems}
    kept = {name: single(100 * s.kept / max(s.visible, 1)) for name, s in survivals.items()}
    yield Figure(f"{form.broker}: kill -9: still visible", "% of tasks", kept, Bar("value", ">=", 100), survivals)
    if form.broker == "rabbitmq":
        right = {name: single(100 * s.right / s.expected) for name, s in survivals.items()}
        yield Figure(f"{form.broker}: kill -9: right in the end", "% of tasks", right, Bar("value", ">=", 100))


def _killed(bench: Bench, system: System, feed: Feed) -> Survival:
    with stage(system, feed, durable=True) as at:
        with suppress(Lost):  # what counts is what is visible
            Paced(feed, at.view, system.window).run(lambda events: None, until=feed.steps // 2)
        # Events are on their way while it is asked and killed; what it had shown by then is what counts.
        stream = threading.Thread(target=feed.send, args=(feed.steps * 3 // 4,))
        stream.start()
        before = at.view.tasks()
        at.running.kill()
        stream.join()
        feed.send_all()  # nobody is there to hear these
        at.running.start()
        at.view.first_page("/healthcheck")
        wait_idle(at.running)
        after = at.view.tasks()
    survival = Survival(len(before), _kept(before, after), _right(after, feed), feed.workload.tasks)
    bench.say(
        f"{feed.form.label}: {system.name}: killed with {survival.visible:,} tasks visible: {survival.kept:,} of them "
        f"after the restart; {survival.right:,} of all {survival.expected:,} right in the end"
    )
    return survival


def _kept(before: Tasks, after: Tasks) -> int:
    """A task that had ended must not have come to life again."""
    return sum(
        uuid in after and (task.state not in FINAL or task.state == after[uuid].state) for uuid, task in before.items()
    )


def _right(after: Tasks, feed: Feed) -> int:
    verdict = judge(after, outcomes(feed.workload))
    return verdict.expected - verdict.absent - verdict.wrong
