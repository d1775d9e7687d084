"""Counters on the in-memory store: exactly-once counting across crashes and redelivery, and cardinality limits."""

import logging
import random
from collections import Counter
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from flower.counters import OTHER, CounterLimits, DurationHistogram, TaskCounters, duration_bucket_bounds
from flower.counting import EventAggregator, EventCounts
from flower.counting.cardinality import IDLE_TIMEOUT
from flower.fold import fold
from flower.recorder import RecorderTuning
from flower.records import Attempt, Event, Task
from flower.store.memory import MemoryStore
from tests.test_recorder import QUICK, DiskFullWriter, RecorderBench, until

W = "celery@one"


def event(kind: str, uuid: str, at: float, worker: str = W, **fields: Any) -> Event:
    return Event(type=f"task-{kind}", timestamp=at, uuid=uuid, hostname=worker, clock=round(at * 10), **fields)


def task_events(uuid: str, at: float = 100.0, name: str = "add", runtime: float = 0.3) -> list[Event]:
    return [
        event("sent", uuid, at, "gen1@web", name=name),
        event("received", uuid, at + 0.1, name=name),
        event("started", uuid, at + 0.6),
        event("progress", uuid, at + 0.7, data={"done": 1}),
        event("succeeded", uuid, at + 0.9, runtime=runtime, result="1"),
    ]


def stored_counters(store: MemoryStore) -> dict[Any, TaskCounters]:
    return {key: counters for key, (_, counters) in store.counters.items()}


def counts(store: MemoryStore) -> dict[tuple[str | None, str, str], int]:
    """Event counts by worker, task and event type."""
    return {
        (*key, kind): each[0]
        for key, counters in stored_counters(store).items()
        for kind, each in counters.events.items()
    }


def test_events_are_counted_by_sender_and_task_name() -> None:
    with RecorderBench(QUICK) as bench:
        bench.capture.give(
            Event(type="worker-heartbeat", timestamp=1.0, hostname=W), *task_events("a"), *task_events("b", 101.0)
        )
        odd = event("progress", "a", 199.0, name="else")
        token = bench.capture.give(event("revoked", "unknown", 3.0), event("failed", "a", 200.0), odd)
        until(lambda: bench.capture.acknowledged == token)
    kinds = ("task-received", "task-started", "task-progress", "task-succeeded")
    assert counts(bench.store) == {
        ("gen1@web", "add", "task-sent"): 2,
        (W, "", "worker-heartbeat"): 1,
        **{(W, "add", kind): 2 for kind in kinds},
        (W, "add", "task-failed"): 1,
        (W, "", "task-revoked"): 1,
        (W, "else", "task-progress"): 1,  # the name in the event takes precedence
    }
    found = stored_counters(bench.store)
    runtime, wait = found[W, "add"].runtime, found[None, "add"].wait
    assert runtime is not None
    assert (runtime.counts, runtime.sum) == ({0.3: 2}, pytest.approx(0.6))
    assert wait is not None
    assert (wait.counts, wait.sum) == ({0.6: 2}, pytest.approx(1.2))


def test_counters_continue_after_a_restart() -> None:
    store = MemoryStore()
    for number in range(3):
        with RecorderBench(QUICK, store=store) as bench:
            bench.capture.give(*task_events(f"t{number}", 100.0 + number))
    assert counts(store)[W, "add", "task-succeeded"] == 3
    runtime = stored_counters(store)[W, "add"].runtime
    assert runtime is not None
    assert sum(runtime.counts.values()) == 3


def test_held_tasks_are_counted_when_they_are_written() -> None:
    """After a crash their events are redelivered, and so are those of tasks that were written after them."""
    tuning = RecorderTuning(
        max_delay=60.0,
        busy_delay=60.0,
        busy_rate=0.02,
        flush_events=10,
        hold_delay=60.0,
        shutdown_timeout=0.0,
        small_message_events=0,
    )
    with RecorderBench(tuning) as bench:
        first = bench.capture.give(*task_events("a"), messages=1)
        waits = bench.capture.give(event("received", "waits", 110.0, name="add"), messages=1)
        bench.capture.give(*task_events("b", 120.0), messages=1)
        until(lambda: bench.task("b") is not None)
        assert bench.capture.acknowledged == waits - 1 == first
        killed = deepcopy_of(bench.store)
    assert counts(killed)[W, "add", "task-succeeded"] == 2
    assert counts(killed)[W, "add", "task-received"] == 2
    with RecorderBench(QUICK, store=killed) as after:
        again = (event("received", "waits", 110.0, name="add"), *task_events("b", 120.0))
        token = after.capture.give(*again, messages=2)
        until(lambda: after.capture.acknowledged == token)
    assert counts(killed)[W, "add", "task-succeeded"] == 2
    assert counts(killed)[W, "add", "task-received"] == 3


def deepcopy_of(store: MemoryStore) -> MemoryStore:
    """A copy of the current content of the disk."""
    copy = MemoryStore()
    with store.lock:
        attributes = {name: value for name, value in vars(store).items() if name != "lock"}
        vars(copy).update(deepcopy(attributes))
    return copy


def test_redelivered_events_are_counted_once() -> None:
    with RecorderBench(QUICK) as bench:
        token = bench.capture.give(*task_events("a"), *task_events("b", 130.0), messages=10)
        until(lambda: bench.capture.acknowledged == token)
        killed = deepcopy_of(bench.store)
    before = counts(killed)
    with RecorderBench(QUICK, store=killed) as after:
        after.capture.give(*task_events("b", 130.0), messages=3)
        token = after.capture.give(*task_events("a"), *task_events("c", 140.0), messages=4)
        until(lambda: after.capture.acknowledged == token)
        # unacknowledged events are redelivered after a reconnect
        token = after.capture.give(*task_events("c", 140.0), messages=4)
        until(lambda: after.capture.acknowledged == token)
    assert counts(killed) == {key: number + number // 2 for key, number in before.items()}


def worker_event(kind: str, at: float) -> Event:
    return Event(type=f"worker-{kind}", timestamp=at, uuid=None, hostname=W, pid=7, freq=2.0)


def test_events_of_workers_are_counted_once() -> None:
    beats = [worker_event("online", 100.0), *(worker_event("heartbeat", 102.0 + 2 * n) for n in range(5))]
    with RecorderBench(QUICK) as bench:
        token = bench.capture.give(*beats, messages=6)
        until(lambda: bench.capture.acknowledged == token and bool(bench.store.counters))
        killed = deepcopy_of(bench.store)
    with RecorderBench(QUICK, store=killed) as after:
        token = after.capture.give(*beats[3:], worker_event("offline", 112.0), *task_events("a", 113.0), messages=5)
        until(lambda: after.capture.acknowledged == token)
    found = {kind: number for (worker, task, kind), number in counts(killed).items() if (worker, task) == (W, "")}
    assert found == {"worker-online": 1, "worker-heartbeat": 5, "worker-offline": 1}


@pytest.mark.parametrize("messages", [0, 5])
def test_events_that_are_published_again_are_counted_once(messages: int) -> None:
    """Fault 12: all events of a run, minutes later, once backwards and twice in order, on any broker."""
    events = [*task_events("a"), *task_events("b", 130.0), *retried_and_run_twice("c", 200.0)]
    with RecorderBench(QUICK) as bench:
        token = bench.capture.give(*events, messages=messages)
        until(lambda: bench.capture.acknowledged == token)
        before = counts(bench.store)
        for again in (events[::-1], events, events):
            token = bench.capture.give(*again, messages=messages)
        until(lambda: bench.capture.acknowledged == token)
    assert counts(bench.store) == before
    assert before == Counter((each.hostname, "add", each.type) for each in events)
    # every end that happened, and no other
    succeeded = [each for uuid in "abc" for each in attempts_of(bench, uuid) if each.state == "SUCCESS"]
    assert before[W, "add", "task-succeeded"] + before["celery@two", "add", "task-succeeded"] == len(succeeded) == 4


def retried_and_run_twice(uuid: str, at: float) -> list[Event]:
    """A retry, which two workers then run at the same time."""
    return [
        event("sent", uuid, at, "gen1@web", name="add", retries=0),
        event("received", uuid, at + 1, name="add", retries=0),
        event("started", uuid, at + 2),
        event("sent", uuid, at + 3, "gen2@web", name="add", retries=1),
        event("retried", uuid, at + 4, exception="E()"),
        event("received", uuid, at + 5, name="add", retries=1),
        event("started", uuid, at + 6),
        event("progress", uuid, at + 6.5, data={"done": 1}),
        event("progress", uuid, at + 6.6, data={"done": 2}),
        event("received", uuid, at + 7, "celery@two", name="add", retries=1),
        event("started", uuid, at + 8, "celery@two"),
        event("succeeded", uuid, at + 9, runtime=3.0, result="1"),
        event("succeeded", uuid, at + 10, "celery@two", runtime=2.0, result="2"),
    ]


def attempts_of(bench: RecorderBench, uuid: str) -> tuple[Attempt, ...]:
    task = bench.task(uuid)
    assert task is not None
    return task.attempts


def test_events_with_equal_timestamps_are_distinguished() -> None:
    same = [event("progress", f"t{number}", 5.0) for number in range(50)]
    with RecorderBench(QUICK) as bench:
        token = bench.capture.give(*same, event("other", "t1", 5.0), messages=51)
        until(lambda: bench.capture.acknowledged == token)
    assert counts(bench.store) == {(W, "", "task-progress"): 50, (W, "", "task-other"): 1}


def test_full_disk_neither_loses_nor_duplicates_counts() -> None:
    with RecorderBench(
        RecorderTuning(max_delay=0.01, disk_retry_interval=0.02, status_interval=0.02), DiskFullWriter
    ) as bench:
        bench.capture.give(*task_events("a"), messages=5)
        token = bench.capture.give(*task_events("b", 130.0), messages=5)
        until(lambda: bench.reader.recorder_status().get("trouble") is not None)
        assert counts(bench.store) == {}
        bench.writer.full = False  # type: ignore[attr-defined]
        until(lambda: bench.capture.acknowledged == token)
    assert counts(bench.store)[W, "add", "task-succeeded"] == 2


@pytest.mark.parametrize("seed", range(4))
def test_kills_at_random_moments(seed: int) -> None:
    """After a kill the next recorder receives all unacknowledged events, in order."""
    chance = random.Random(seed)
    stream = [each for number in range(120) for each in task_events(f"t{number}", 100.0 + 2 * number)]
    batches = [stream[start : start + 7] for start in range(0, len(stream), 7)]
    store, done = MemoryStore(), 0
    tuning = RecorderTuning(
        max_delay=0.001,
        busy_delay=0.001,
        busy_rate=20_000.0,
        hold_delay=0.01,
        small_message_events=0 if seed % 2 else 4,
    )
    while done < len(batches):
        with RecorderBench(tuning, store=store) as bench:
            for batch in batches[done : done + chance.randrange(1, 30)]:
                bench.capture.give(*batch, messages=2)
            enough = chance.randrange(1, 15)
            until(lambda: bench.capture.acknowledged >= min(enough, bench.capture._token))  # noqa: B023
            acknowledged = bench.capture.acknowledged
            killed = deepcopy_of(bench.store)
        store, done = killed, done + acknowledged
    expected = Counter((each.hostname, "add", each.type) for each in stream)
    assert counts(store) == expected


class AggregatorBench:
    """An aggregator without a recorder, with an explicit clock."""

    def __init__(self, limits: CounterLimits, known: list[TaskCounters] | None = None) -> None:
        self.aggregator = EventAggregator(known or [], limits, 0.0)
        self.stored: dict[Any, TaskCounters] = {each.key: each for each in known or []}

    def give(self, now: float, *events: Event) -> None:
        counts = EventCounts()
        for each in events:
            counts.add(each, fold(None, each))
        update = self.aggregator.collect([(counts, None)], now)
        for key in update.removed_keys:
            self.stored.pop(key, None)
        self.stored.update((each.key, each) for each in update.counters)
        self.aggregator.mark_written()

    def counts(self) -> dict[Any, int]:
        return {key: sum(each[0] for each in counters.events.values()) for key, counters in self.stored.items()}


def received(number: int, worker: str, task: str) -> Event:
    return event("received", f"u{number}", float(number), worker, name=task)


def test_names_beyond_the_limit_are_counted_as_other(caplog: pytest.LogCaptureFixture) -> None:
    counter = AggregatorBench(CounterLimits(max_names=3, max_pairs=100))
    with caplog.at_level(logging.WARNING):
        counter.give(0.0, *(received(n, f"w{n % 5}", f"t{n // 5}") for n in range(25)))
        counter.give(1.0, *(received(n, f"w{n % 5}", f"t{n // 5}") for n in range(25)))
    names = {f"w{n}" for n in range(3)} | {OTHER}, {f"t{n}" for n in range(3)} | {OTHER}
    assert counter.counts() == {
        (worker, task): 2 * (2 if worker == OTHER else 1) * (2 if task == OTHER else 1)
        for worker in names[0]
        for task in names[1]
    }
    assert len(caplog.messages) == 2
    assert "task types" in caplog.text


def test_pairs_beyond_the_limit_are_counted_as_other_per_worker() -> None:
    counter = AggregatorBench(CounterLimits(max_names=100, max_pairs=4))
    counter.give(0.0, *(received(n, f"w{n % 2}", f"t{n // 2}") for n in range(10)))
    assert counter.counts() == {
        **{(f"w{n % 2}", f"t{n // 2}"): 1 for n in range(4)}, ("w0", OTHER): 3, ("w1", OTHER): 3,
    }  # fmt: skip


def test_idle_names_are_evicted() -> None:
    counter = AggregatorBench(CounterLimits(max_names=2, max_pairs=100))
    counter.give(0.0, received(1, "w1", "add"), received(2, "w2", "add"))
    counter.give(IDLE_TIMEOUT - 1, received(3, "w2", "add"), received(4, "w3", "add"))
    assert counter.counts() == {("w1", "add"): 1, ("w2", "add"): 2, (OTHER, "add"): 1}
    counter.give(IDLE_TIMEOUT + 1, received(5, "w4", "add"), received(6, "w2", "add"))
    assert counter.counts() == {("w2", "add"): 3, (OTHER, "add"): 1, ("w4", "add"): 1}
    counter.give(IDLE_TIMEOUT + 2, received(7, "w5", "add"))
    assert counter.counts()[OTHER, "add"] == 2
    # an evicted name starts at zero again
    counter.give(3 * IDLE_TIMEOUT, received(8, "w1", "add"))
    assert counter.counts() == {("w1", "add"): 1, (OTHER, "add"): 2}


def test_runtimes_of_an_evicted_worker_stay_in_the_task_type() -> None:
    counter = AggregatorBench(CounterLimits(max_names=1))
    counter.give(5.0, event("succeeded", "a", 1.0, "w1", name="add", runtime=0.3))
    counter.give(IDLE_TIMEOUT + 6, event("succeeded", "b", 2.0, "w2", name="add", runtime=0.4))
    assert set(counter.stored) == {("w2", "add"), (None, "add")}
    runtime = counter.stored[None, "add"].runtime
    assert runtime is not None
    assert (runtime.counts, runtime.sum, runtime.created) == ({0.3: 1}, 0.3, 5.0)


def test_event_types_are_limited() -> None:
    counter = AggregatorBench(CounterLimits(max_names=3))
    counter.give(0.0, *(event(f"custom{n}", f"u{n}", 1.0) for n in range(9)))
    assert counter.stored[W, ""].events.keys() == {"task-custom0", "task-custom1", "task-custom2", OTHER}
    assert counter.stored[W, ""].events[OTHER][0] == 6


def test_unusual_names_are_cleaned() -> None:
    counter = AggregatorBench(CounterLimits())
    counter.give(0.0, received(1, "\ud800", "x" * 10_000), Event(type="task-sent", timestamp=1.0, uuid="u"))
    (worker, task), rest = counter.stored
    assert (worker, len(task), rest) == ("\\ud800", 500, ("", ""))


def test_waits_are_counted_at_the_first_start_of_tasks_without_an_eta() -> None:
    aggregator, counts = EventAggregator([], CounterLimits(), 0.0), EventCounts()
    now = Task("a", "add", sent=1.0, received=3.0, started=4.0)
    later = replace(now, uuid="b", eta="2030-01-01")
    again = replace(
        now, uuid="c", received=3.5, retries=1, earlier=(Attempt(0, started=2.0, ended=2.5, state="RETRY"),)
    )
    unseen = Task("d", "add", started=4.0)
    for task in (now, later, again, unseen):
        counts.add(event("started", task.uuid, 4.0), task)
    counted = {each.key: each for each in aggregator.collect([(counts, None)], 9.0).counters}[None, "add"]
    assert (counted.wait, counted.backoff) == (
        DurationHistogram({3.0: 1}, 3.0, 9.0),
        DurationHistogram({1.5: 1}, 1.5, 9.0),
    )
    restored = EventAggregator([counted], CounterLimits(), 10.0)
    restored.collect([(counts, None)], 11.0)
    (again_counted,) = [each for each in restored.collect([], 11.0).counters if each.key == (None, "add")]
    assert again_counted.backoff == DurationHistogram({1.5: 2}, 3.0, 9.0)


def test_bucket_bounds_include_every_configured_bound() -> None:
    bounds = duration_bucket_bounds((0.33, 2.5, float("inf")))
    assert list(bounds) == sorted(set(bounds))
    assert {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.33, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 4000} <= set(bounds)
    assert bounds[-1] == float("inf")
    assert all(later / former <= 1.34 for former, later in pairwise(bounds[:-1]))


def test_changed_bounds_keep_the_counts() -> None:
    before = AggregatorBench(CounterLimits(bucket_bounds=(0.33,)))
    before.give(0.0, event("succeeded", "a", 1.0, runtime=0.33), event("succeeded", "b", 1.0, runtime=0.34))
    after = AggregatorBench(CounterLimits(bucket_bounds=(0.45,)), list(before.stored.values()))
    after.give(1.0, event("succeeded", "c", 2.0, runtime=0.42))
    runtime = after.stored[W, ""].runtime
    assert runtime is not None
    assert runtime.cumulative((0.3, 0.33, 0.4, 0.45, 1.0, float("inf"))) == [0, 1, 2, 3, 3, 3]
    assert runtime.cumulative((0.42, float("inf"))) == [2, 3]
